import type { Actor } from '../../contract/audit.ts'
import type { NewEvent, Tx } from '../../audit/deed.ts'
import { Bug } from '../../foundation/errors.ts'
import type { StoredGrant } from '../../grants/stored-grant.ts'
import { SYSTEM } from '../caller.ts'
import { touchRequest } from '../end/expire-request.ts'
import { moveGrant } from '../state-moves.ts'
import type { StoredRequest } from '../stored-request.ts'

/** Stores that a grant with a start of its own has begun. It has worked since that instant, swept or not. */
export async function startGrant(tx: Tx, grant: StoredGrant, request: StoredRequest): Promise<NewEvent> {
  const moved = await tx
    .updateTable('grants')
    .set({ state: moveGrant(grant.state, 'active') })
    .where('id', '=', grant.id)
    .where('state', '=', 'scheduled')
    .executeTakeFirst()
  if (moved.numUpdatedRows !== 1n) throw new Bug(`grant ${grant.id} was started twice`)
  await touchRequest(tx, request)
  return startEvent(grant, SYSTEM)
}

function startEvent(grant: StoredGrant, actor: Actor): NewEvent {
  return {
    type: 'grant.start',
    actor,
    outcome: 'success',
    request: grant.request_id,
    grants: [grant.id],
    details: { user: grant.user_id, startsAt: grant.starts_at, endsAt: grant.ends_at, by: 'clock' },
    rows: [
      { table: 'grants', id: grant.id },
      { table: 'access_requests', id: grant.request_id },
    ],
  }
}
