import { type BoundRow, detailsHash, GENESIS, leafHash, nextHead } from '../../formats/audit-chain.ts'
import type { AuditEventsTable } from '../../foundation/database/tables.ts'
import type { Snapshot } from '../../foundation/database/open-snapshot.ts'
import type { Problems } from './problems.ts'

/** seq of the last event that names a row, by table and id */
export type RowIndex = ReadonlyMap<string, ReadonlyMap<string, number>>

export interface ChainFacts {
  readonly events: number
  readonly lastSeq: number
  readonly lastTime: number
  readonly rows: RowIndex
  /** Events whose details retention has pruned */
  readonly pruned: number
}

export interface ChainInput {
  readonly snapshot: Snapshot
  readonly problems: Problems
  /** Told the head after each event, as it follows from the leaves. */
  readonly reached: (seq: number, head: string) => void
  /** Awaited every thousand events, so that the process can do other things. */
  readonly pause: () => Promise<void>
}

type EventRow = AuditEventsTable

const PAUSE_EVERY = 1000
/** How far a moved event is looked for around the place it is found at. */
const MOVED_BY = 1000

/** Reads every event in order and names the first that is not the one that was stored. */
export async function verifyChain(input: ChainInput): Promise<ChainFacts> {
  const walk = new ChainWalk(input)
  for await (const row of input.snapshot.rows('select * from audit_events order by seq')) {
    // Both drivers type a row as a bag of values; step() checks what it hashes.
    await walk.step(row as unknown as EventRow)
    if (walk.events % PAUSE_EVERY === 0) await input.pause()
  }
  await walk.finish()
  return walk.facts()
}

class ChainWalk {
  readonly #input: ChainInput
  readonly #rows = new Map<string, Map<string, number>>()
  /** Head before the next event; null: unknown, after a gap */
  #head: string | null = GENESIS
  #lastSeq = 0
  #lastTime = 0
  #pruned = 0
  #sawDetails = false
  #gap = false
  events = 0

  constructor(input: ChainInput) {
    this.#input = input
  }

  async step(event: EventRow): Promise<void> {
    if (event.seq !== this.#lastSeq + 1) this.#missing(event.seq)
    this.#checkDetails(event)
    this.#head = await this.#checkLink(event)
    this.#lastSeq = event.seq
    this.#lastTime = event.time
    this.events += 1
    this.#indexRows(event)
    this.#input.reached(event.seq, this.#head)
  }

  async finish(): Promise<void> {
    const head = await this.#input.snapshot.get('select seq, hash from chain_head where id = 1')
    const { problems } = this.#input
    if (!head) {
      if (this.events > 0) problems.add('head_altered', 'chain_head', 'the row that names the last event is missing')
      return
    }
    const seq = Number(head['seq'])
    if (seq > this.#lastSeq) {
      const from = `event ${String(this.#lastSeq + 1)}`
      problems.add('tail_cut', from, `${from} to ${String(seq)}, the last ones, are missing`)
    } else if (seq !== this.#lastSeq || head['hash'] !== this.#head) {
      problems.add(
        'head_altered',
        'chain_head',
        `the row that names the last event does not name event ${String(this.#lastSeq)}`,
      )
    }
  }

  facts(): ChainFacts {
    return {
      events: this.events,
      lastSeq: this.#lastSeq,
      lastTime: this.#lastTime,
      rows: this.#rows,
      pruned: this.#pruned,
    }
  }

  #missing(found: number): void {
    const first = this.#lastSeq + 1
    const what = found === first + 1 ? 'is' : `to ${String(found - 1)} are`
    this.#input.problems.add('event_missing', `event ${String(first)}`, `event ${String(first)} ${what} missing`)
    this.#head = null
    this.#gap = true
  }

  #checkDetails(event: EventRow): void {
    if (event.details_json === null) {
      this.#pruned += 1
      // Retention removes details from the oldest event on.
      if (this.#sawDetails) this.#add('details_removed', event, 'has lost its details, while older events have theirs')
      return
    }
    this.#sawDetails = true
    if (detailsHash(String(event.salt), String(event.details_json)) !== event.details_hash) {
      this.#add('event_edited', event, 'has other details than it was stored with')
    }
  }

  /** Returns the head after the event. */
  async #checkLink(event: EventRow): Promise<string> {
    if (leafHash(event) !== event.leaf) {
      await this.#explainLeaf(event)
      return event.hash
    }
    const head = this.#head === null ? event.hash : nextHead(this.#head, event.leaf)
    this.#gap = false
    if (head === event.hash) return head
    const next = await this.#eventAt(event.seq + 1)
    const after = next?.hash ?? (await this.#input.snapshot.get('select hash from chain_head'))?.['hash']
    const leaf = next?.leaf
    if ((leaf === undefined ? head : nextHead(head, leaf)) === after) {
      this.#add('event_edited', event, 'has another chain hash than it was stored with')
      return head
    }
    const before = String(event.seq - 1)
    const where = `event ${event.seq === 1 ? '1' : before}`
    const message = `event ${String(event.seq)} was stored behind another event ${before} than the one that is there`
    this.#input.problems.add('chain_forked', where, message)
    return event.hash
  }

  async #explainLeaf(event: EventRow): Promise<void> {
    const was = originalSeq(event)
    const next = await this.#eventAt(event.seq + 1)
    const swapped = next !== undefined && originalSeq(next) === event.seq
    if (was === null) this.#add('event_edited', event, 'is not what was stored')
    else if (was === event.seq - 1 && !this.#gap) {
      const where = `event ${String(was)}`
      this.#input.problems.add('event_inserted', where, `${where} was put in: what follows it is one place further`)
    } else if (was === event.seq + 1 && !swapped) {
      this.#add('event_missing', event, 'was taken out: what followed it is one place nearer')
    } else this.#add('event_moved', event, `was stored as event ${String(was)}`)
  }

  async #eventAt(seq: number): Promise<EventRow | undefined> {
    return (await this.#input.snapshot.get('select * from audit_events where seq = ?', seq)) as EventRow | undefined
  }

  #indexRows(event: EventRow): void {
    if (event.rows_json === '[]') return
    for (const { table, id } of parseRows(event.rows_json)) {
      const ids = this.#rows.get(table)
      if (ids) ids.set(id, event.seq)
      else this.#rows.set(table, new Map([[id, event.seq]]))
    }
  }

  #add(kind: Parameters<Problems['add']>[0], event: EventRow, what: string): void {
    const where = `event ${String(event.seq)}`
    this.#input.problems.add(kind, where, `${where} ${what}`)
  }
}

/** Under which seq an event's leaf was made; null: its content is another. */
function originalSeq(event: EventRow): number | null {
  for (let by = 1; by <= MOVED_BY; by++) {
    for (const seq of [event.seq - by, event.seq + by]) {
      if (leafHash({ ...event, seq }) === event.leaf) return seq
    }
  }
  return null
}

function isBoundRow(value: unknown): value is BoundRow {
  const { table, id } = (value ?? {}) as { table?: unknown; id?: unknown }
  return typeof table === 'string' && typeof id === 'string'
}

/** The rows an event binds. Text that somebody made unreadable binds none; its leaf tells of it. */
export function parseRows(json: string): readonly BoundRow[] {
  try {
    const rows: unknown = JSON.parse(json)
    return Array.isArray(rows) ? rows.filter(isBoundRow) : []
  } catch {
    return []
  }
}
