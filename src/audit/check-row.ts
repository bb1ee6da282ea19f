import { sql } from 'kysely'
import { leafHash, rowHash } from '../formats/audit-chain.ts'
import { fixedStatement } from '../foundation/database/fixed-statement.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { AuditEventsTable } from '../foundation/database/tables.ts'
import type { RowRef, Tx } from './deed.ts'
import { parseRows } from './verify/chain.ts'

const LOOKS = 5

/**
 * Why one row is not what its last event says, in a sentence; null when it is. A few queries: for the moment before a row gives
 * power, such as a grant's first use. Compares with what the store says about itself; the whole chain is `verifyAudit`'s.
 */
export async function rowTrouble(database: Database, ref: RowRef): Promise<string | null> {
  const { reads } = database
  for (let attempt = 1; ; attempt++) {
    const before = await lastWord(reads, ref)
    const found = await sql<Record<string, unknown>>`
      select * from ${sql.table(ref.table)} where id = ${ref.id}`.execute(reads)
    const last = await lastWord(reads, ref)
    // A deed came between the two looks: the row may be of before it and the event of after.
    if (before?.eventId !== last?.eventId && attempt < LOOKS) continue
    const row = found.rows[0] ?? null
    const trouble = contentTrouble(ref, last, row)
    if (trouble !== null || !row || !last) return trouble
    return row['event_id'] === last.eventId ? null : `${nameOf(ref)} does not name ${last.event}`
  }
}

/**
 * Why the row, as it was before `tx` touched it, was not what its last event says; null when it was. Without it a deed would
 * bind whatever somebody has written into the file beside us.
 */
export async function troubleBefore(
  tx: Tx,
  ref: RowRef,
  before: Readonly<Record<string, unknown>> | null,
): Promise<string | null> {
  return contentTrouble(ref, await lastWord(tx, ref), before)
}

interface LastWord {
  /** For sentences */
  readonly event: string
  readonly eventId: string
  readonly isWhole: boolean
  /** Of the row's content; null: removed */
  readonly hash: string | null
}

function contentTrouble(
  ref: RowRef,
  last: LastWord | null,
  row: Readonly<Record<string, unknown>> | null,
): string | null {
  if (!last) return row ? `no event tells of ${nameOf(ref)}` : null
  if (!last.isWhole) return `${last.event} was edited`
  if (last.hash === (row ? hashOf(ref.table, row) : null)) return null
  return `${nameOf(ref)} is not what ${last.event} says`
}

type LastEvent = Omit<AuditEventsTable, 'salt' | 'details_json' | 'hash'>
// Without the details, which are longer than all the rest.
const lastEvent = fixedStatement<LastEvent>(
  `select seq, id, time, type, actor_json, user_id, login_id, request_id, grant_ids_json, session_id, resource_json,
     resource_key, outcome, rows_json, details_hash, leaf
   from audit_events where seq = (select max(seq) from change_log where table_name = ? and row_id = ?)`,
)

async function lastWord(reader: Tx | Database['reads'], ref: RowRef): Promise<LastWord | null> {
  const [event] = await lastEvent(reader, ref.table, ref.id)
  if (!event) return null
  const bound = parseRows(event.rows_json).find((each) => each.table === ref.table && each.id === ref.id)
  return {
    event: `event ${String(event.seq)}, the last that tells of ${nameOf(ref)},`,
    eventId: event.id,
    isWhole: leafHash(event) === event.leaf,
    hash: bound?.hash ?? null,
  }
}

/** Content that we would never have stored, such as bytes, has the hash of nothing. */
function hashOf(table: string, row: Readonly<Record<string, unknown>>): string {
  try {
    return rowHash(table, row)
  } catch {
    return ''
  }
}

const nameOf = (ref: RowRef): string => `${ref.table}/${ref.id}`
