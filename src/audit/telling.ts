import type { EventType } from '../contract/audit.ts'
import type { Database, HeadWatch } from '../foundation/database/open-database.ts'
import { POWER_TABLES } from '../foundation/database/tables.ts'
import type { Log } from '../foundation/log.ts'
import type { Committed, RowRef } from './deed.ts'

/** What of a database this needs. */
export type ToldStore = Pick<Database, 'kind' | 'reads' | 'watchHead'>
type Listener = (committed: Committed) => void | Promise<void>

/**
 * Tells listeners of commits in the order of the chain: of our own at once, and, where several daemons write, of those of others
 * as the change log names them.
 */
export class Telling {
  readonly #database: ToldStore
  readonly #log: Log
  readonly #listeners: ReadonlySet<Listener>
  /** Up to where listeners were told; null: only our own commits are told of */
  #position: number | null = null
  #watch: HeadWatch | null = null
  /** Order in which listeners are called. They are not waited for in it: they may make deeds of their own. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Listeners that are not through yet, by what they were told of: after one position, up to another */
  readonly #running = new Set<{ readonly after: number; readonly until: number; readonly done: Promise<unknown> }>()

  constructor(database: ToldStore, log: Log, listeners: ReadonlySet<Listener>) {
    this.#database = database
    this.#log = log
    this.#listeners = listeners
  }

  follow(position: number): void {
    if (this.#database.kind === 'sqlite') return
    this.#position = position
    this.#watch = this.#database.watchHead((seq) => void this.#heard(seq))
  }

  silentFor(): number {
    return this.#watch?.silentFor() ?? 0
  }

  async stop(): Promise<void> {
    await this.#watch?.stop()
    this.#watch = null
    await this.#turn
  }

  /** Resolves when every listener is through. `before`: seq of the event in front of it. */
  own(before: number, committed: Committed): Promise<void> {
    return this.#next(async () => {
      if (this.#position === null) return this.#call(committed)
      // The watch may have seen it before we did; those whom it told are waited for all the same, and nobody else.
      if (this.#position >= committed.position)
        return this.#runningFor(({ after, until }) => after < committed.position && committed.position <= until)
      if (this.#position === before) {
        this.#position = committed.position
        return this.#call(committed, before)
      }
      return this.#readAndCall(committed.position)
    })
  }

  async catchUp(): Promise<void> {
    if (this.#position === null) return
    const head = await this.#database.reads.selectFrom('chain_head').select('seq').executeTakeFirst()
    if (!head) return
    await this.#heard(head.seq)
    await Promise.all(this.#runningFor(({ after }) => after < head.seq))
  }

  #heard(seq: number): Promise<void> {
    if (this.#position !== null && this.#position >= seq) return this.#turn.then(() => {})
    return this.#next(async () => ((this.#position ?? seq) >= seq ? [] : this.#readAndCall(seq)))
  }

  /** What `start` returns runs on beside what is told next. */
  #next(start: () => Promise<readonly Promise<void>[]>): Promise<void> {
    const running = this.#turn.then(async () => {
      try {
        return { calls: await start() }
      } catch (error) {
        // Told with the next look: the position has not moved.
        this.#log.error({ err: error }, 'the change log could not be read')
        return { calls: [] }
      }
    })
    this.#turn = running
    return running.then(async ({ calls }) => void (await Promise.all(calls)))
  }

  async #readAndCall(until: number): Promise<readonly Promise<void>[]> {
    const after = this.#position ?? until
    const committed = await readCommitted(this.#database, after, until)
    this.#position = until
    return this.#call(committed, after)
  }

  #runningFor(isMeant: (told: { readonly after: number; readonly until: number }) => boolean): Promise<void>[] {
    return [...this.#running].filter(isMeant).map(async ({ done }) => void (await done))
  }

  /** `after`: position in front of what is told; null where only our own commits are told of. */
  #call(committed: Committed, after: number | null = null): readonly Promise<void>[] {
    const calls = this.#callAll(committed)
    if (after !== null) {
      const told = { after, until: committed.position, done: Promise.all(calls) }
      this.#running.add(told)
      void told.done.finally(() => this.#running.delete(told))
    }
    return calls
  }

  #callAll(committed: Committed): Promise<void>[] {
    return [...this.#listeners].map(async (listener) => {
      try {
        await listener(committed)
      } catch (error) {
        // The deed is stored: it cannot fail any more.
        this.#log.error({ err: error, position: committed.position }, 'a listener failed after the commit')
      }
    })
  }
}

/** Everything that was committed after one position, up to another, as one. */
async function readCommitted({ reads }: ToldStore, after: number, until: number): Promise<Committed> {
  const changed = await reads
    .selectFrom('change_log')
    .select(['table_name', 'row_id'])
    .where('seq', '>', after)
    .where('seq', '<=', until)
    .orderBy('seq')
    .orderBy('position')
    .execute()
  const rows = new Map<string, RowRef>()
  for (const { table_name, row_id } of changed) {
    const table = POWER_TABLES.find((each) => each === table_name)
    if (table) rows.set(`${table}/${row_id}`, { table, id: row_id })
  }
  const events = await reads
    .selectFrom('audit_events')
    .select(['seq', 'id', 'type'])
    .where('seq', '>', after)
    .where('seq', '<=', until)
    .orderBy('seq')
    .execute()
  return {
    position: until,
    rows: [...rows.values()],
    events: events.map(({ seq, id, type }) => ({ seq, id, type: type as EventType })),
  }
}
