import type { NewEvent, Tx } from '../audit/deed.ts'
import { lengthOf, waitsForUse } from './grant-clock.ts'
import type { StoredGrant } from './stored-grant.ts'

/**
 * The first use of a grant that waits for one: a single statement starts its clock, so of all who come at once, on whatever
 * instance, one starts it and the others read that one's end. Null: it does not wait any more. The caller's event names
 * the rows that `rowsUsed` lists.
 */
export async function useGrant(tx: Tx, grant: StoredGrant, now: number): Promise<{ endsAt: number } | null> {
  if (!waitsForUse(grant)) return null
  const endsAt = now + lengthOf(grant)
  const started = await tx
    .updateTable('grants')
    .set({ state: 'active', starts_at: now, ends_at: endsAt, use_by: null, use_length_ms: null })
    .where('id', '=', grant.id)
    .where('state', '=', 'scheduled')
    .where('starts_at', '<=', now)
    .where('use_by', '>', now)
    .where('use_length_ms', '=', lengthOf(grant))
    .executeTakeFirst()
  if (started.numUpdatedRows !== 1n) return null
  await tx
    .updateTable('access_requests')
    .set((set) => ({ version: set('version', '+', 1) }))
    .where('id', '=', grant.request_id)
    .execute()
  return { endsAt }
}

export const rowsUsed = (grant: StoredGrant): NonNullable<NewEvent['rows']> => [
  { table: 'grants', id: grant.id },
  { table: 'access_requests', id: grant.request_id },
]
