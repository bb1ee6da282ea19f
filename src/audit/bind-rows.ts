import { Bug, Refused } from '../foundation/errors.ts'
import { fixedStatement } from '../foundation/database/fixed-statement.ts'
import type { Database, TouchedRow } from '../foundation/database/open-database.ts'
import { POWER_TABLES, type PowerTable } from '../foundation/database/tables.ts'
import { ALTERED, type BoundRow, rowHash } from '../formats/audit-chain.ts'
import { troubleBefore } from './check-row.ts'
import type { NewEvent, RowRef, Tx } from './deed.ts'

/** A row that somebody changed beside us: a deed that gives anything is not built on it. */
export class RowAltered extends Refused {
  readonly where: string

  constructor(where: string, trouble: string) {
    super(
      'row_altered',
      `the store was edited beside the daemon: ${trouble}`,
      'look into it with: sallyctl audit verify',
    )
    this.where = where
  }
}

export interface Bound {
  /** By rowKey */
  readonly rows: ReadonlyMap<string, BoundRow>
  /** Sentences about rows that were not what their last event says; they stay unbound. */
  readonly altered: readonly { readonly where: string; readonly message: string }[]
}

/** An event with the id that it will have. */
export interface IdentifiedEvent {
  readonly id: string
  readonly event: NewEvent
}

/**
 * Digests of the named rows as they are at the deed's end, in which their event is named; all that was touched must be named,
 * and must have been what its last event says. `takes`: the deed takes power away and is done all the same. `accepts`: an operator has looked and takes
 * the rows as they are.
 * Errors: Bug when a row was touched that no event names, or a named row never was there; RowAltered.
 */
export async function bindRows(
  database: Database,
  tx: Tx,
  events: readonly IdentifiedEvent[],
  kind: 'gives' | 'takes' | 'accepts',
): Promise<Bound> {
  const touched = new Map((await database.touched(tx)).map((row) => [rowKey(row), row]))
  const unnamed = new Set(touched.keys())
  const rows = new Map<string, BoundRow>()
  const altered: { where: string; message: string }[] = []
  for (const { ref, id } of events.flatMap(({ id, event }) => (event.rows ?? []).map((ref) => ({ ref, id })))) {
    const key = rowKey(ref)
    const row = await nameEvent(tx, ref, id)
    if (rows.has(key)) continue
    const trouble = await inspect(tx, ref, row, touched.get(key), kind)
    unnamed.delete(key)
    if (trouble !== null && kind === 'gives') throw new RowAltered(key, trouble)
    if (trouble !== null) altered.push({ where: key, message: trouble })
    const hash = row ? (trouble === null ? rowHash(ref.table, row) : ALTERED) : null
    rows.set(key, { table: ref.table, id: ref.id, hash })
  }
  if (unnamed.size > 0) throw new Bug(`written without an event that names them: ${[...unnamed].join(', ')}`)
  if (touched.size > 0) await database.forgetTouched(tx)
  return { rows, altered }
}

type Row = Record<string, unknown>

// In one statement what would be two: each costs as much as all else that is done for a row.
const nameIn = Object.fromEntries(
  POWER_TABLES.map((table) => [
    table,
    fixedStatement<Row>(`update ${table} set event_id = ? where id = ? returning *`),
  ]),
) as Record<PowerTable, ReturnType<typeof fixedStatement<Row>>>

/** The row with its event; null: there is none any more. */
async function nameEvent(tx: Tx, ref: RowRef, eventId: string): Promise<Row | null> {
  const [row = null] = await nameIn[ref.table](tx, eventId, ref.id)
  return row
}

async function inspect(
  tx: Tx,
  ref: RowRef,
  row: Row | null,
  touch: TouchedRow | undefined,
  kind: 'gives' | 'takes' | 'accepts',
): Promise<string | null> {
  if (kind === 'accepts') return null
  if (!row && !touch) throw new Bug(`the event names ${rowKey(ref)}, which is not there`)
  const before = touch ? touch.before : row
  return before === undefined ? null : await troubleBefore(tx, ref, before)
}

export function rowKey(ref: { readonly table: string; readonly id: string }): string {
  return `${ref.table}/${ref.id}`
}
