import { sql } from 'kysely'
import { leafHash, rowHash } from '../formats/audit-chain.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { RowRef } from './deed.ts'
import { parseRows } from './verify/chain.ts'

/**
 * Why one row is not what its last event says, in a sentence; null when it is. A few queries: for the moment before a row gives
 * power, such as a grant's first use. Compares with what the store says about itself; the whole chain is `verifyAudit`'s.
 */
export async function rowTrouble(database: Database, ref: RowRef): Promise<string | null> {
  const { reads } = database
  const where = `${ref.table}/${ref.id}`
  const found = await sql<Record<string, unknown>>`select * from ${sql.table(ref.table)} where id = ${ref.id}`.execute(
    reads,
  )
  const event = await reads
    .selectFrom('audit_events')
    .selectAll()
    .where('seq', '=', (e) =>
      e
        .selectFrom('change_log')
        .select((m) => m.fn.max('seq').as('seq'))
        .where('table_name', '=', ref.table)
        .where('row_id', '=', ref.id),
    )
    .executeTakeFirst()
  const row = found.rows[0]
  if (!event) return row ? `no event tells of ${where}` : null
  const last = `event ${String(event.seq)}, the last that tells of ${where},`
  if (leafHash(event) !== event.leaf) return `${last} was edited`
  const bound = parseRows(event.rows_json).find((each) => each.table === ref.table && each.id === ref.id)
  if ((bound?.hash ?? null) !== (row ? rowHash(ref.table, row) : null)) return `${where} is not what ${last} says`
  return row && row['event_id'] !== event.id ? `${where} does not name ${last}` : null
}
