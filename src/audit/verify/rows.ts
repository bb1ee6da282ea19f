import { rowHash } from '../../formats/audit-chain.ts'
import type { Snapshot, SnapshotRow } from '../../foundation/database/open-snapshot.ts'
import { POWER_TABLES, type PowerTable } from '../../foundation/database/tables.ts'
import { parseRows, type RowIndex } from './chain.ts'
import type { Problems } from './problems.ts'

const PAUSE_EVERY = 1000

export interface RowsInput {
  readonly snapshot: Snapshot
  readonly problems: Problems
  readonly index: RowIndex
  readonly pause: () => Promise<void>
}

/** Compares every row that gives or withholds power with the event that last changed it. Returns how many there are. */
export async function verifyRows(input: RowsInput): Promise<number> {
  let count = 0
  for (const table of POWER_TABLES) {
    const left = new Map(input.index.get(table) ?? [])
    for (const row of input.snapshot.rows(`select * from ${table}`)) {
      const id = String(row['id'])
      checkRow(input, table, row, left.get(id))
      left.delete(id)
      count += 1
      if (count % PAUSE_EVERY === 0) await input.pause()
    }
    for (const [id, seq] of left) checkAbsent(input, table, id, seq)
  }
  return count
}

function checkRow(
  { snapshot, problems }: RowsInput,
  table: PowerTable,
  row: SnapshotRow,
  seq: number | undefined,
): void {
  const where = `${table}/${String(row['id'])}`
  if (seq === undefined) {
    problems.add('row_without_event', where, `no event tells of ${where}`)
    return
  }
  const event = boundBy(snapshot, table, String(row['id']), seq)
  const last = `event ${String(seq)}, the last that tells of it,`
  if (event.hash === null) problems.add('row_left_over', where, `${where} is there, but ${last} removed it`)
  else if (event.hash !== hashOf(table, row))
    problems.add('row_altered', where, `${where} has other content than ${last} says`)
  else if (row['event_id'] !== event.id) problems.add('row_altered', where, `${where} does not name ${last}`)
}

function checkAbsent({ snapshot, problems }: RowsInput, table: PowerTable, id: string, seq: number): void {
  if (boundBy(snapshot, table, id, seq).hash === null) return
  const where = `${table}/${id}`
  problems.add('row_missing', where, `${where} is missing; event ${String(seq)} was the last that tells of it`)
}

function boundBy(snapshot: Snapshot, table: string, id: string, seq: number): { id: unknown; hash: string | null } {
  const event = snapshot.get('select id, rows_json from audit_events where seq = ?', seq)
  const bound = parseRows(String(event?.['rows_json'])).find((row) => row.table === table && row.id === id)
  return { id: event?.['id'], hash: bound?.hash ?? null }
}

/** null for content that we would never have stored, such as bytes. */
function hashOf(table: string, row: SnapshotRow): string | null {
  try {
    return rowHash(table, row)
  } catch {
    return null
  }
}
