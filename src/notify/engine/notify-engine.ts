import type { FromChat } from '../../contract/from-chat.ts'
import {
  clonedPlane,
  type ClaimedMessage,
  type DeliveryResult,
  type DeliveryVerdict,
  type IntegrationRoom,
  type LaneKind,
  type NotifyPlane,
} from '../../contract/notify-plane.ts'
import type { DeliveryWait } from '../../contract/integration-status.ts'
import type { MessageTask } from '../../contract/message.ts'
import type { Vendor } from '../../contract/vendors/common.ts'
import type { Clock, Timer } from '../../foundation/clock.ts'
import { randomFraction } from '../../foundation/ids.ts'
import type { Log } from '../../foundation/log.ts'
import type { Connector } from '../connector.ts'
import { attempt, type Attempt } from './attempt.ts'
import { Lanes } from './lanes.ts'
import { OpenConnectors, type OpenConnector } from './open-connectors.ts'
import { FRESH_PACE, outageOf, paceAfter, roomIn, type Pace } from './pace.ts'

/** Longer than any attempt: who has a message has given up before another daemon takes it. */
const LEASE_MS = 60_000
const SWEEP_MS = 60_000
const LONGEST_TROUBLE_MS = 30_000
const MOST_WAITS = 20

export interface NotifyMeasure {
  delivered(vendor: Vendor, outcome: DeliveryVerdict['kind'], ms: number): void
}

export interface NotifyEngineParts {
  readonly plane: NotifyPlane
  readonly open: OpenConnector
  readonly fromChat: FromChat
  readonly clock: Clock
  readonly log: Log
  readonly measure?: NotifyMeasure
  /** In [0, 1): spreads attempts */
  readonly random?: () => number
}

/**
 * Tells people what they are to be told: takes deliveries from the outbox, keeps messages of every integration at the newest
 * state of what they show, and tries again what failed. Messages are reconciled, never replayed; several engines may work on
 * one store. What it knows is in the store: it may be stopped between any two steps.
 */
export class NotifyEngine {
  readonly #parts: NotifyEngineParts
  readonly #plane: NotifyPlane
  readonly #connectors: OpenConnectors
  readonly #random: () => number
  readonly #stop = new AbortController()
  readonly #inFlight = new Map<string, { readonly integration: string; readonly done: Promise<void> }>()
  readonly #paces = new Map<string, Pace>()
  readonly #lanes = new Map<string, { readonly connector: Connector | undefined; readonly lanes: Lanes }>()
  #results: DeliveryResult[] = []
  #running: Promise<void> | null = null
  #woken = false
  #documentsChanged = true
  #wakeUp: (() => void) | null = null
  #troubles = 0
  #nextSweep = 0

  constructor(parts: NotifyEngineParts) {
    this.#parts = parts
    this.#plane = clonedPlane(parts.plane)
    this.#random = parts.random ?? randomFraction
    this.#connectors = new OpenConnectors({ ...parts, random: this.#random })
  }

  start(): void {
    this.#running ??= this.#run()
  }

  /** Waits for what is on its way, at most an attempt's time, and stores what became of it. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the daemon stops'))
    this.#wake()
    await this.#running
    await this.#connectors.closeAll()
  }

  /** Something was committed. `documents`: an integration may have changed. */
  wake(documents = false): void {
    if (documents) this.#documentsChanged = true
    this.#wake()
  }

  /** For callbacks of its vendor. */
  connector(integration: string): Connector | undefined {
    return this.#connectors.find(integration)
  }

  /** Why messages of this integration wait, as far as this daemon knows: what ends last comes first. */
  waits(integration: string): DeliveryWait[] {
    const now = this.#parts.clock.now()
    const outage = outageOf(this.#paceOf(integration))
    const lanes = this.#lanesOf(integration).waits(now)
    return [
      ...(outage ? [{ what: 'outage' as const, of: 'all' as const, destination: null, ...outage }] : []),
      ...lanes
        .map((lane) => ({ what: lane.why === null ? ('limit' as const) : ('asked' as const), ...lane }))
        .toSorted((a, b) => b.until - a.until),
    ].slice(0, MOST_WAITS)
  }

  async #run(): Promise<void> {
    const { log } = this.#parts
    while (!this.#stop.signal.aborted) {
      this.#woken = false
      let waitMs: number
      try {
        waitMs = await this.#turn()
        this.#troubles = 0
      } catch (error) {
        this.#troubles += 1
        waitMs = Math.min(LONGEST_TROUBLE_MS, 500 * 2 ** Math.min(10, this.#troubles))
        log.error({ err: String(error) }, 'messages wait: the store could not be asked')
        // Whoever wakes us now would only make us fail again at once.
        await this.#pause(waitMs, true)
        continue
      }
      await this.#pause(waitMs, false)
    }
    await this.#finish()
  }

  /** Everything that can be done now; milliseconds until something else is due. */
  async #turn(): Promise<number> {
    const { clock } = this.#parts
    await this.#storeResults()
    await this.#readDocuments()
    if (clock.monotonic() >= this.#nextSweep) {
      await this.#plane.sweep()
      this.#nextSweep = clock.monotonic() + SWEEP_MS
    }
    while (!this.#stop.signal.aborted && (await this.#plane.claimDeliveries()) > 0);
    if (this.#stop.signal.aborted) return 0
    const next = await this.#claim()
    return Math.max(0, Math.min(this.#nextSweep - clock.monotonic(), next - clock.now()))
  }

  /** Takes and sends all that may be sent now; the instant when more may be. */
  async #claim(): Promise<number> {
    const { clock } = this.#parts
    for (;;) {
      const now = clock.now()
      const room = this.#room(now)
      const next = this.#nextPace(now)
      if (room.length === 0) return next
      const { items, due, nextDueAt } = await this.#plane.claimMessages({ room, leaseMs: LEASE_MS })
      for (const item of items) this.#send(item)
      if (items.length > 0 && !this.#stop.signal.aborted) continue
      const nextLane = due ? this.#nextLane(now) : Infinity
      return Math.min(next, nextLane, nextDueAt === null ? Infinity : Math.max(now + 5, nextDueAt))
    }
  }

  #room(now: number): IntegrationRoom[] {
    return this.#connectors.names().flatMap((integration) => {
      const most = roomIn(this.#paceOf(integration), this.#inFlightOf(integration), now)
      return most > 0 ? [{ integration, most, lanes: this.#lanesOf(integration).room(now) }] : []
    })
  }

  #nextPace(now: number): number {
    return Math.min(...[...this.#paces.values()].map(({ notBefore }) => notBefore).filter((at) => at > now))
  }

  #nextLane(now: number): number {
    return Math.min(...this.#connectors.names().map((integration) => this.#lanesOf(integration).opensAt(now)))
  }

  async #storeResults(): Promise<void> {
    if (this.#results.length === 0) return
    const results = this.#results
    await this.#plane.storeDelivery(results)
    this.#results = this.#results.slice(results.length)
    for (const { id } of results) this.#inFlight.delete(id)
  }

  async #readDocuments(): Promise<void> {
    if (!this.#documentsChanged && this.#parts.clock.monotonic() < this.#nextSweep) return
    this.#documentsChanged = false
    try {
      this.#connectors.show(await this.#plane.integrations())
    } catch (error) {
      this.#documentsChanged = true
      throw error
    }
  }

  #send(claimed: ClaimedMessage): void {
    const { task, lost } = claimed
    const lanes = this.#lanesOf(task.integration)
    const kinds: readonly LaneKind[] = lost ? ['look', 'new'] : [task.external === null ? 'new' : 'change']
    for (const kind of kinds) lanes.take(kind, destinationOf(task), this.#parts.clock.now())
    const done = this.#deliver(claimed).then((result) => {
      const { lease, version } = claimed
      this.#results = [...this.#results, { id: task.id, lease, version, knew: task.external, ...result }]
      this.#wake()
    })
    this.#inFlight.set(task.id, { integration: task.integration, done })
  }

  async #deliver(claimed: ClaimedMessage): Promise<Attempt['result']> {
    const { clock, log, measure } = this.#parts
    const { task } = claimed
    const connector = this.#connectors.find(task.integration)
    if (!connector) {
      const verdict = {
        kind: 'later',
        why: 'its integration was changed',
        afterMs: 0,
        asked: true,
        hold: false,
      } as const
      return { verdict, found: null, unknownSince: claimed.lost?.since ?? null }
    }
    const began = clock.monotonic()
    const lanes = this.#lanesOf(task.integration)
    const to = destinationOf(task)
    let last: LaneKind = 'new'
    const parts = {
      ...{ connector, clock, random: this.#random() },
      calls: (kind: LaneKind) => lanes.sent((last = kind), to, clock.now()),
      waits: (asked: { afterMs: number; why: string }) => lanes.close(last, to, clock.now() + asked.afterMs, asked.why),
    }
    const { result, answered } = await attempt(parts, claimed)
    const { verdict } = result
    if (verdict.kind === 'delivered') lanes.answered(last, to, clock.now())
    if (verdict.kind !== 'delivered')
      log.warn({ integration: task.integration, message: task.id, why: verdict.why }, 'a message was not delivered')
    const silence = answered || verdict.kind === 'delivered' ? null : verdict.why
    this.#paces.set(task.integration, paceAfter(this.#paceOf(task.integration), silence, clock.now(), this.#random()))
    measure?.delivered(connector.vendor, verdict.kind, clock.monotonic() - began)
    return result
  }

  /** Of the connector as it is now: another one begins anew. */
  #lanesOf(integration: string): Lanes {
    const connector = this.#connectors.find(integration)
    const known = this.#lanes.get(integration)
    if (known && known.connector === connector) return known.lanes
    const lanes = new Lanes(connector?.limits ?? [])
    this.#lanes.set(integration, { connector, lanes })
    return lanes
  }

  #paceOf(integration: string): Pace {
    return this.#paces.get(integration) ?? FRESH_PACE
  }

  #inFlightOf(integration: string): number {
    return [...this.#inFlight.values()].filter((each) => each.integration === integration).length
  }

  #wake(): void {
    this.#woken = true
    this.#wakeUp?.()
  }

  async #pause(ms: number, deaf: boolean): Promise<void> {
    if (this.#stop.signal.aborted || (this.#woken && !deaf)) return
    // It became due while we looked.
    if (ms <= 0) return void (await new Promise((resolve) => setImmediate(resolve)))
    let timer: Timer | null = null
    await new Promise<void>((resolve) => {
      timer = this.#parts.clock.after(ms, resolve)
      this.#wakeUp = () => {
        if (!deaf || this.#stop.signal.aborted) resolve()
      }
    })
    this.#wakeUp = null
    ;(timer as Timer | null)?.cancel()
  }

  async #finish(): Promise<void> {
    await Promise.all([...this.#inFlight.values()].map(({ done }) => done))
    await this.#storeResults().catch((error: unknown) => {
      this.#parts.log.warn(
        { err: String(error) },
        'what became of the last messages could not be stored: they are sent again',
      )
    })
  }
}

const destinationOf = ({ destination: { channel, person } }: MessageTask): string =>
  channel === null ? `user:${person?.id ?? ''}` : `channel:${channel}`
