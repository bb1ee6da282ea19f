import type { Actor } from '../../contract/audit.ts'
import type { NewEvent, Tx } from '../../audit/deed.ts'
import { Bug } from '../../foundation/errors.ts'
import { waitsForUse } from '../../grants/grant-clock.ts'
import type { StoredGrant } from '../../grants/stored-grant.ts'
import type { StoredRequest } from '../stored-request.ts'

/** Moves the end of a grant that is scheduled or running, in the deciding transaction of an extension. */
export async function extendGrant(
  tx: Tx,
  grant: StoredGrant,
  extension: StoredRequest,
  byMs: number,
  { actor, login, now }: { readonly actor: Actor; readonly login: string | null; readonly now: number },
): Promise<{ event: NewEvent; endsAt: number }> {
  const endsAt = grant.ends_at + byMs
  const moved = await tx
    .updateTable('grants')
    .set({
      ends_at: endsAt,
      moved_at: now,
      ...(waitsForUse(grant) ? { use_length_ms: (grant.use_length_ms ?? 0) + byMs } : {}),
    })
    .where('id', '=', grant.id)
    .where('state', '!=', 'ended')
    .where('ends_at', '=', grant.ends_at)
    .executeTakeFirst()
  if (moved.numUpdatedRows !== 1n) throw new Bug(`grant ${grant.id} was not as it had been read`)
  await tx
    .updateTable('access_requests')
    .set((set) => ({ version: set('version', '+', 1) }))
    .where('id', '=', grant.request_id)
    .execute()
  const event: NewEvent = {
    type: 'grant.extend',
    actor,
    outcome: 'success',
    login,
    request: extension.id,
    grants: [grant.id],
    details: { user: grant.user_id, grantedBy: grant.request_id, byMs, endedAt: grant.ends_at, endsAt },
    rows: [
      { table: 'grants', id: grant.id },
      { table: 'access_requests', id: grant.request_id },
    ],
  }
  return { event, endsAt }
}
