import type { Kysely } from 'kysely'
import type { Committed, DeedLog } from '../audit/deed.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import type { PowerTable, Tables } from '../foundation/database/tables.ts'
import type { Log } from '../foundation/log.ts'
import { brokenDelegations, endBrokenDelegation } from './delegation/remove-delegation.ts'
import { dueEscalations, escalateDeed } from './escalate/escalate.ts'
import type { Consequence } from './end/consequences.ts'
import { affectedBy, dueRequests, overdueRequests, type Affected } from './end/due-requests.ts'
import { consequenceDeed } from './end/sweep.ts'
import { dueNotices, nextNotice, noticeDeed } from './end/tell-end.ts'
import { orNothing } from './nothing-to-do.ts'

const TICK_MS = 1000
/** Every so many ticks everything is judged, not only what the clock ends: locks run out, and commits of others are seen. */
const FULL_EVERY = 10
const CONSEQUENTIAL: ReadonlySet<PowerTable> = new Set(['users', 'roles', 'locks', 'nodes', 'databases'])

export interface SweeperParts {
  readonly reads: Kysely<Tables>
  readonly deeds: DeedLog
  readonly clock: Clock
  readonly log: Log
}

/**
 * Stores what the clock, a lock, a removed user or a deleted role has ended. Nothing depends on it for safety: every use
 * checks for itself. It makes the end definite, so that what was over never comes back.
 */
export class Sweeper {
  readonly #parts: SweeperParts
  #timer: Timer | null = null
  #ticks = 0
  #running: Promise<void> = Promise.resolve()
  #stopped = false
  #forget: (() => void) | null = null

  constructor(parts: SweeperParts) {
    this.#parts = parts
  }

  /** First a full sweep, which is awaited: what ended while we were away has ended before anybody is let in. */
  async start(): Promise<void> {
    this.#forget = this.#parts.deeds.onCommitted((committed) => this.#onCommitted(committed))
    await this.sweep()
    this.#arm()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#forget?.()
    this.#timer?.cancel()
    await this.#running
  }

  /** Everything that is due now, one deed each. Sweeps run one after the other. */
  sweep(only: 'everything' | 'overdue' = 'everything'): Promise<void> {
    return this.#next(() => (only === 'overdue' ? this.#sweepOverdue() : this.#sweepAffected('all')))
  }

  #next(sweep: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(sweep).catch((error: unknown) => {
      this.#parts.log.error({ err: error }, 'a sweep of requests failed; the next one tries again')
    })
    return this.#running
  }

  async #sweepOverdue(): Promise<void> {
    await this.#carryOut(await overdueRequests(this.#parts.reads, this.#parts.clock.now()))
  }

  async #sweepAffected(affected: Affected): Promise<void> {
    const { reads, clock } = this.#parts
    if (affected === 'nothing') return
    await this.#carryOut(await dueRequests(reads, clock.now(), affected))
    await this.#sweepDelegations()
  }

  async #carryOut(due: readonly string[]): Promise<void> {
    const { deeds } = this.#parts
    for (const id of due) {
      if (this.#stopped) return
      try {
        await orNothing<Consequence>(deeds.commitDeed((tx, now) => consequenceDeed(tx, now, id)))
      } catch (error) {
        // One request that somebody altered in the file must not keep the others from ending.
        if (!(error instanceof Refused && error.code === 'row_altered')) throw error
      }
    }
    await this.#tellEnds()
    await this.#escalate()
  }

  async #tellEnds(): Promise<void> {
    const { reads, clock, deeds } = this.#parts
    for (const { grant } of await dueNotices(reads, clock.now())) {
      if (this.#stopped) return
      await orNothing<'told'>(deeds.commitDeed((tx, now) => noticeDeed(tx, now, grant.request_id)))
    }
  }

  async #escalate(): Promise<void> {
    const { reads, clock, deeds } = this.#parts
    for (const id of await dueEscalations(reads, clock.now())) {
      if (this.#stopped) return
      await orNothing<'told'>(deeds.commitDeed((tx, now) => escalateDeed(tx, now, id)))
    }
  }

  async #sweepDelegations(): Promise<void> {
    const { reads, clock, deeds } = this.#parts
    for (const id of await brokenDelegations(reads, clock.now())) {
      if (this.#stopped) return
      await orNothing<'removed'>(deeds.commitDeed((tx, now) => endBrokenDelegation(tx, now, id)))
    }
  }

  /** Not awaited by the commit that caused it: it makes deeds of its own. */
  #onCommitted(committed: Pick<Committed, 'rows'>): void {
    if (!committed.rows.some((row) => CONSEQUENTIAL.has(row.table))) return
    void this.#next(async () => this.#sweepAffected(await affectedBy(committed, this.#parts.reads)))
  }

  #arm(within = TICK_MS): void {
    if (this.#stopped) return
    this.#timer = this.#parts.clock.after(within, () => {
      this.#ticks += 1
      void this.sweep(this.#ticks % FULL_EVERY === 0 ? 'everything' : 'overdue').then(() => this.#armForNext())
    })
  }

  /** A notice is sent when the terminals are told: who asks for more time at once has been told before it is given. */
  async #armForNext(): Promise<void> {
    let within = TICK_MS
    await this.#next(async () => {
      if (this.#stopped) return
      const { reads, clock } = this.#parts
      const now = clock.now()
      const next = await nextNotice(reads, now, TICK_MS)
      if (next !== null) within = next - now + 1
    })
    this.#arm(within)
  }
}
