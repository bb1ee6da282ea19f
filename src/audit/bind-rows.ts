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

/**
 * Digests of the named rows as they are at the deed's end; all that was touched must be named, and must have been what its
 * last event says. `takes`: the deed takes power away and is done all the same. `accepts`: an operator has looked and takes
 * the rows as they are.
 * Errors: Bug when a row was touched that no event names, or a named row never was there; RowAltered.
 */
export async function bindRows(
  database: Database,
  tx: Tx,
  events: readonly NewEvent[],
  kind: 'gives' | 'takes' | 'accepts',
): Promise<Bound> {
  const touched = new Map((await database.touched(tx)).map((row) => [rowKey(row), row]))
  const unnamed = new Set(touched.keys())
  const rows = new Map<string, BoundRow>()
  const altered: { where: string; message: string }[] = []
  for (const ref of events.flatMap((event) => event.rows ?? [])) {
    const key = rowKey(ref)
    if (rows.has(key)) continue
    const { row, trouble } = await inspect(tx, ref, touched.get(key), kind)
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

const rowIn = Object.fromEntries(
  POWER_TABLES.map((table) => [table, fixedStatement<Record<string, unknown>>(`select * from ${table} where id = ?`)]),
) as Record<PowerTable, ReturnType<typeof fixedStatement<Record<string, unknown>>>>

async function inspect(
  tx: Tx,
  ref: RowRef,
  touch: TouchedRow | undefined,
  kind: 'gives' | 'takes' | 'accepts',
): Promise<{ row: Record<string, unknown> | null; trouble: string | null }> {
  const [row = null] = await rowIn[ref.table](tx, ref.id)
  if (kind === 'accepts') return { row, trouble: null }
  if (!row && !touch) throw new Bug(`the event names ${rowKey(ref)}, which is not there`)
  const before = touch ? touch.before : row
  return { row, trouble: before === undefined ? null : await troubleBefore(tx, ref, before) }
}

export function rowKey(ref: { readonly table: string; readonly id: string }): string {
  return `${ref.table}/${ref.id}`
}
