import { rowHash } from '../../formats/audit-chain.ts'
import type { Snapshot, SnapshotRow } from '../../foundation/database/open-snapshot.ts'
import { POWER_TABLES, type PowerTable } from '../../foundation/database/tables.ts'
import { parseRows, type RowIndex } from './chain.ts'
import type { Problems } from './problems.ts'

/** Rows that are looked up with one query */
const TOGETHER = 200

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
    for await (const batch of batches(input.snapshot.rows(`select * from ${table}`))) {
      await checkRows(input, table, batch, left)
      for (const row of batch) left.delete(String(row['id']))
      count += batch.length
      await input.pause()
    }
    for await (const batch of batches(left)) await checkAbsent(input, table, batch)
  }
  return count
}

async function* batches<T>(items: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = []
  for await (const item of items) {
    batch.push(item)
    if (batch.length < TOGETHER) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}

async function checkRows(
  { snapshot, problems }: RowsInput,
  table: PowerTable,
  batch: readonly SnapshotRow[],
  index: ReadonlyMap<string, number>,
): Promise<void> {
  const events = await eventsAt(
    snapshot,
    batch.flatMap((row) => index.get(String(row['id'])) ?? []),
  )
  for (const row of batch) {
    const where = `${table}/${String(row['id'])}`
    const seq = index.get(String(row['id']))
    if (seq === undefined) {
      problems.add('row_without_event', where, `no event tells of ${where}`)
      continue
    }
    const event = boundBy(events.get(seq), table, String(row['id']))
    const last = `event ${String(seq)}, the last that tells of it,`
    if (event.hash === null) problems.add('row_left_over', where, `${where} is there, but ${last} removed it`)
    else if (event.hash !== hashOf(table, row))
      problems.add('row_altered', where, `${where} has other content than ${last} says`)
    else if (row['event_id'] !== event.id) problems.add('row_altered', where, `${where} does not name ${last}`)
  }
}

async function checkAbsent(
  { snapshot, problems }: RowsInput,
  table: PowerTable,
  batch: readonly (readonly [id: string, seq: number])[],
): Promise<void> {
  const events = await eventsAt(
    snapshot,
    batch.map(([, seq]) => seq),
  )
  for (const [id, seq] of batch) {
    if (boundBy(events.get(seq), table, id).hash === null) continue
    const where = `${table}/${id}`
    problems.add('row_missing', where, `${where} is missing; event ${String(seq)} was the last that tells of it`)
  }
}

type BindingEvent = { readonly id: unknown; readonly rows: ReturnType<typeof parseRows> }

async function eventsAt(snapshot: Snapshot, seqs: readonly number[]): Promise<ReadonlyMap<number, BindingEvent>> {
  const wanted = [...new Set(seqs)]
  const found = new Map<number, BindingEvent>()
  if (wanted.length === 0) return found
  const places = wanted.map(() => '?').join(', ')
  const rows = snapshot.rows(`select seq, id, rows_json from audit_events where seq in (${places})`, ...wanted)
  for await (const row of rows)
    found.set(Number(row['seq']), { id: row['id'], rows: parseRows(String(row['rows_json'])) })
  return found
}

function boundBy(event: BindingEvent | undefined, table: string, id: string): { id: unknown; hash: string | null } {
  const bound = event?.rows.find((row) => row.table === table && row.id === id)
  return { id: event?.id, hash: bound?.hash ?? null }
}

/** null for content that we would never have stored, such as bytes. */
function hashOf(table: string, row: SnapshotRow): string | null {
  try {
    return rowHash(table, row)
  } catch {
    return null
  }
}
