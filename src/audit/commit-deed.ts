import type { Clock, Timer } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { fixedStatement } from '../foundation/database/fixed-statement.ts'
import { storeTrouble } from '../foundation/database/store-errors.ts'
import { Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { Committed, Deed, DeedLog, SpilledOrder, Tx } from './deed.ts'
import { Telling } from './telling.ts'
import { alteredEvent, type ChainHead, queueOutbox, readHead, storeEvents } from './store-events.ts'
import { RowAltered } from './bind-rows.ts'
import type { KeptOrder, SpillFile } from './spill-file.ts'
import { Turns, type Waiting } from './turns.ts'

/** A clock further behind the last event than this is not believed. */
export const CLOCK_TOLERANCE_MS = 60_000
const RETRY_MS = 1000
/** Deeds that are stored with one sync at most. They hold up the event loop together. */
const TOGETHER = 64

type Work<T> = (tx: Tx, now: number) => Promise<Deed<T>>
/** Makes the work of an order that was spilled, perhaps by an earlier process. Run at least once: it must bear repetition. */
export type Replay = (input: Readonly<Record<string, unknown>>) => Work<unknown>

export interface StoredDeedLogParts {
  readonly database: Database
  readonly clock: Clock
  readonly log: Log
  readonly spill: SpillFile
  /** Called after each deed with its duration, for metrics. */
  readonly measured?: (ms: number, outcome: 'stored' | 'refused') => void
}

type Kind = 'gives' | 'takes' | 'accepts'

interface WaitingDeed extends Waiting {
  readonly work: Work<unknown>
  readonly kind: Kind
  resolve(result: unknown): void
  reject(error: unknown): void
}

type Attempt =
  | {
      readonly ok: true
      readonly result: unknown
      readonly committed: Committed
      readonly before: ChainHead
      readonly head: ChainHead
    }
  | { readonly ok: false; readonly error: unknown }

const savepoint = fixedStatement('savepoint deed')
const release = fixedStatement('release savepoint deed')
const rollBack = fixedStatement('rollback to savepoint deed')

/** The transaction of several deeds cannot go on: each is tried in one of its own. */
class OneByOne extends Error {}

export type StoreHealth = { readonly ok: true } | { readonly ok: false; readonly why: string }

/** The DeedLog on a store of either kind. */
export class StoredDeedLog implements DeedLog {
  readonly #parts: StoredDeedLogParts
  readonly #listeners = new Set<(committed: Committed) => void | Promise<void>>()
  readonly #spillListeners = new Set<(order: SpilledOrder) => void>()
  readonly #replays = new Map<string, Replay>()
  readonly #telling: Telling
  /** One transaction at a time, so listeners hear of deeds in the order of their commits. */
  readonly #turns: Turns<WaitingDeed>
  #head: ChainHead | null = null
  /** Altered rows of which an event tells */
  readonly #told = new Set<string>()
  #readOnly: string | null = null
  #trouble: string | null = null
  #retry: Timer | null = null
  #retrying: Promise<void> | null = null
  #closed = false

  constructor(parts: StoredDeedLogParts) {
    this.#parts = parts
    this.#telling = new Telling(parts.database, parts.log, this.#listeners)
    this.#turns = new Turns(TOGETHER, (deeds) => this.#commitTurn(deeds))
  }

  commitDeed<T>(work: Work<T>, { first = false }: { readonly first?: boolean } = {}): Promise<T> {
    return this.#commit(work, 'gives', first)
  }

  async commitTakingAway<T>(order: SpilledOrder, work: Work<T>): Promise<T | 'spilled'> {
    try {
      return await this.#commit(work, 'takes')
    } catch (error) {
      if (!isPostponed(error)) throw error
      this.#parts.log.error({ order: order.name, why: error.message }, 'taken away in memory, stored later')
      for (const listener of this.#spillListeners) listener(order)
      this.#parts.spill.keep(order)
      this.#retryLater()
      return 'spilled'
    }
  }

  onCommitted(listener: (committed: Committed) => void | Promise<void>): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  onSpilled(listener: (order: SpilledOrder) => void): () => void {
    this.#spillListeners.add(listener)
    return () => this.#spillListeners.delete(listener)
  }

  /**
   * From now on listeners hear of the deeds of other daemons on this store, too: of all after `position`, and of each one once.
   * Stopped by close().
   */
  follow(position: number): void {
    this.#telling.follow(position)
  }

  /** Resolves when listeners were told of everything that is stored now. Errors: Refused('store_unavailable'). */
  catchUp(): Promise<void> {
    return this.#telling.catchUp()
  }

  /** Milliseconds since the store last answered; 0 on a store of our own. */
  silentFor(): number {
    return this.#telling.silentFor()
  }

  /** Orders that wait to be stored, oldest first: after a restart their effect must be had in memory again. */
  waiting(): readonly SpilledOrder[] {
    return this.#parts.spill.kept().map((kept) => kept.order)
  }

  /** Must be told of every order name before `retrySpilled`, at start. */
  registerReplay(name: string, replay: Replay): void {
    this.#replays.set(name, replay)
  }

  /** Why nothing that gives power is taken; null = it is. */
  get readOnly(): string | null {
    return this.#readOnly
  }

  becomeReadOnly(why: string): void {
    this.#readOnly ??= why
    this.#parts.log.error({ why }, 'the store is read-only until: sallyctl audit accept-rollback')
  }

  /** Stores the deed by which an operator accepts a rollback, and takes deeds again. */
  async commitAcceptance<T>(work: Work<T>): Promise<T> {
    const before = this.#head
    this.#head = null
    try {
      const result = await this.#commit(work, 'accepts', true)
      this.#readOnly = null
      return result
    } catch (error) {
      this.#head = before
      throw error
    } finally {
      void this.retrySpilled()
    }
  }

  health(): StoreHealth {
    const why = this.#trouble ?? this.#readOnly
    return why === null ? { ok: true } : { ok: false, why }
  }

  /** How many orders wait in the spill file. */
  get spilled(): number {
    return this.#parts.spill.kept().length
  }

  /** Stores the spilled orders in their order; what cannot be stored yet is tried again each second. */
  retrySpilled(): Promise<void> {
    this.#retrying ??= this.#retryAll().finally(() => {
      this.#retrying = null
    })
    return this.#retrying
  }

  /** Waits for the deed that is being stored. Later ones are refused. */
  async close(): Promise<void> {
    this.#closed = true
    this.#retry?.cancel()
    await this.#retrying
    await this.#turns.idle()
    await this.#telling.stop()
  }

  #commit<T>(work: Work<T>, kind: Kind, first = false): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#turns.add({ work, kind, first, reject, resolve: (result) => resolve(result as T) })
    })
  }

  async #commitTurn(deeds: readonly WaitingDeed[]): Promise<void> {
    if (this.#closed) {
      for (const deed of deeds) deed.reject(new Refused('shutting_down', 'the daemon is stopping'))
      return
    }
    const together = deeds.length > 1 && (await this.#storeTogether(deeds))
    if (!together) for (const deed of deeds) await this.#storeAlone(deed)
  }

  async #storeAlone(deed: WaitingDeed): Promise<void> {
    const started = this.#parts.clock.monotonic()
    try {
      const stored = await this.#transact((tx) => this.#deed(tx, deed.work, deed.kind, null))
      this.#settle([deed], [{ ok: true, ...stored }], started)
    } catch (error) {
      this.#settle([deed], [{ ok: false, error: this.#explain(error) }], started)
    }
  }

  /** One transaction, one sync, and a savepoint for each: one that fails takes back its own alone. False: it cannot be done so. */
  async #storeTogether(deeds: readonly WaitingDeed[]): Promise<boolean> {
    const started = this.#parts.clock.monotonic()
    try {
      const stored = await this.#transact(async (tx) => {
        const attempts: Attempt[] = []
        let head: ChainHead | null = null
        for (const deed of deeds) {
          const attempt = await this.#attempt(tx, deed, head)
          attempts.push(attempt)
          if (attempt.ok) head = attempt.head
        }
        return { attempts, head }
      })
      this.#settle(deeds, stored.attempts, started)
    } catch (error) {
      // Also when the commit was refused for what one of them wrote (a foreign key is checked at the end).
      if (error instanceof OneByOne || (storeTrouble(error) === null && !(error instanceof Refused))) return false
      // Nobody has been told anything yet: not even those whose own work had failed, for what they saw is not so.
      const failed = { ok: false, error: this.#explain(error) } as const
      this.#settle(
        deeds,
        deeds.map(() => failed),
        started,
      )
    }
    return true
  }

  #transact<T extends { readonly head: ChainHead | null }>(work: (tx: Tx) => Promise<T>): Promise<T> {
    let landing: ChainHead | null = null
    return this.#parts.database.transact(
      async (tx) => {
        const stored = await work(tx)
        landing = stored.head
        return stored
      },
      (tx) => isStored(tx, landing),
    )
  }

  async #attempt(tx: Tx, { work, kind }: WaitingDeed, head: ChainHead | null): Promise<Attempt> {
    await savepoint(tx)
    try {
      const stored = await this.#deed(tx, work, kind, head)
      await release(tx)
      return { ok: true, ...stored }
    } catch (error) {
      // A full disk rolls all of it back, and whatever else the store cannot do is not the fault of this deed.
      if (storeTrouble(error) !== null) throw new OneByOne()
      try {
        await rollBack(tx)
        await this.#parts.database.forgetTouched(tx)
        await release(tx)
      } catch {
        throw new OneByOne()
      }
      return { ok: false, error }
    }
  }

  /** After the commit, or after it is clear that there is none: listeners first, then whoever asked. */
  #settle(deeds: readonly WaitingDeed[], attempts: readonly Attempt[], started: number): void {
    const { clock, measured } = this.#parts
    const ms = clock.monotonic() - started
    const stored = attempts.filter((attempt) => attempt.ok)
    const [first] = stored
    const last = stored.at(-1)
    if (last) {
      this.#head = last.head
      this.#trouble = null
    }
    const told = first
      ? this.#telling.own(first.before.seq, joined(stored.map(({ committed }) => committed)))
      : Promise.resolve()
    for (const [index, deed] of deeds.entries()) {
      const attempt = attempts[index]
      measured?.(ms, attempt?.ok ? 'stored' : 'refused')
      if (attempt?.ok === false && attempt.error instanceof RowAltered) this.#tellAltered(attempt.error)
      void told.then(() => (attempt?.ok ? deed.resolve(attempt.result) : deed.reject(attempt?.error)))
    }
  }

  /** `head`: what an earlier deed of this transaction left; null for its first one. */
  async #deed<T>(tx: Tx, work: Work<T>, kind: Kind, head: ChainHead | null) {
    const before = head ?? (await readHead(tx))
    if (!head) await this.#requireGoingForward(tx, before)
    if (this.#readOnly !== null && kind !== 'accepts') throw new Refused('read_only', this.#readOnly, READ_ONLY_HINT)
    const now = await this.#parts.database.storeNow(tx, this.#parts.clock)
    const deed = await work(tx, now)
    const tellsOnly = deed.events.every((event) => (event.rows ?? []).length === 0)
    if (kind === 'gives' && !tellsOnly && now < before.time - CLOCK_TOLERANCE_MS) {
      throw new Refused(
        'clock_set_back',
        `the clock is ${String(Math.round((before.time - now) / 1000))} s behind the last event`,
        'set the clock right; until then nothing is approved or started',
      )
    }
    // Never before the event in front, so that time and seq give the same order.
    const stored = await storeEvents(this.#parts.database, tx, before, Math.max(now, before.time), {
      events: deed.events,
      kind: kind === 'gives' && deed.evenIfAltered === true ? 'takes' : kind,
    })
    await queueOutbox(tx, deed.outbox ?? [], now)
    return { result: deed.result, before, ...stored }
  }

  /** The file was exchanged or edited while we run: what we stored last is no longer its head. */
  async #requireGoingForward(tx: Tx, found: ChainHead): Promise<void> {
    const known = this.#head
    if (!known || (found.seq === known.seq && found.hash === known.hash)) return
    // Others have written since: then what we stored last must be among what came before.
    if (found.seq > known.seq && (await isStored(tx, known))) return
    this.becomeReadOnly(`the store went back: event ${String(known.seq)} was its head, now it is ${String(found.seq)}`)
  }

  /** Once for each row: an event of its own, behind the deed that was refused. */
  #tellAltered({ where, message }: RowAltered): void {
    const { log } = this.#parts
    log.error({ where }, message)
    if (this.#told.has(where)) return
    this.#told.add(where)
    const events = [alteredEvent([{ where, message }])] as const
    this.#commit(() => Promise.resolve({ result: null, events }), 'gives').catch((error: unknown) => {
      this.#told.delete(where)
      log.error({ err: String(error), where }, 'that a row was altered could not be stored')
    })
  }

  #explain(error: unknown): unknown {
    const trouble = storeTrouble(error)
    if (trouble === null) return error
    this.#trouble = trouble
    this.#parts.log.error({ err: error }, 'the store cannot write')
    // After an I/O error the handle may be left in any state.
    this.#parts.database.reopen()
    return new Refused(
      'store_unavailable',
      `the store cannot write: ${trouble}`,
      'nothing was changed; try again later',
    )
  }

  async #retryAll(): Promise<void> {
    for (const kept of this.#parts.spill.kept()) {
      if (this.#closed || !(await this.#replay(kept))) break
      this.#parts.spill.done(kept)
    }
    if (this.spilled > 0) this.#retryLater()
  }

  /** False: not yet. An order that is refused for what it is (already ended, gone) is done. */
  async #replay({ order }: KeptOrder): Promise<boolean> {
    const replay = this.#replays.get(order.name)
    if (!replay) {
      this.#parts.log.error({ order: order.name }, 'nobody knows how to replay this order: it stays in the spill file')
      return false
    }
    try {
      await this.#commit(replay(order.input), 'takes')
      this.#parts.log.info({ order: order.name }, 'a spilled order is stored')
      return true
    } catch (error) {
      if (isPostponed(error)) return false
      if (!(error instanceof Refused))
        this.#parts.log.error({ err: error, order: order.name }, 'a spilled order failed')
      return error instanceof Refused
    }
  }

  #retryLater(): void {
    this.#retry?.cancel()
    if (this.#closed) return
    this.#retry = this.#parts.clock.after(RETRY_MS, () => void this.retrySpilled())
  }
}

async function isStored(tx: Tx, head: ChainHead | null): Promise<boolean> {
  if (head === null || head.seq === 0) return head !== null
  const event = await tx.selectFrom('audit_events').select('hash').where('seq', '=', head.seq).executeTakeFirst()
  return event?.hash === head.hash
}

/** What several deeds of one transaction changed, as one change. */
function joined(all: readonly Committed[]): Committed {
  const [only] = all
  if (only && all.length === 1) return only
  const rows = new Map(all.flatMap((each) => each.rows.map((row) => [`${row.table}/${row.id}`, row])))
  return {
    position: all.at(-1)?.position ?? 0,
    rows: [...rows.values()],
    events: all.flatMap((each) => each.events),
  }
}

const READ_ONLY_HINT = 'look into it, then run: sallyctl audit accept-rollback'

function isPostponed(error: unknown): error is Refused {
  return (
    error instanceof Refused &&
    (error.code === 'store_unavailable' || error.code === 'read_only' || error.code === 'shutting_down')
  )
}
