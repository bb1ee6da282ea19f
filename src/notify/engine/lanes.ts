import type { LaneKind, LaneRoom } from '../../contract/notify-plane.ts'
import type { LaneLimit } from '../connector.ts'

/** More destinations than these are not named to the store: nothing of that kind goes out until one of them opens. */
const MOST_NAMED = 500
/** Where the vendor sets no limit */
const PLENTY = 1000

interface Lane {
  readonly of: LaneKind
  /** null: of the integration */
  readonly destination: string | null
  readonly limit: LaneLimit
  /** When the last call would have been made, at an even pace; in the past after a rest */
  even: number
  closedUntil: number
  /** The vendor has said that it was too much: no burst before a rest */
  strict: boolean
  why: string | null
}

/** Why messages wait: what is closed, until when, and by what word of the vendor's; null: the vendor's limit is kept. */
export interface LaneWait {
  readonly of: LaneKind
  /** `channel:ID` or `user:ID`; null: wherever they go */
  readonly destination: string | null
  readonly until: number
  readonly why: string | null
}

/** What one vendor allows, as far as we have used it. Instants come from outside; what it knows may be lost: the vendor says 429 then. */
export class Lanes {
  readonly #limits: readonly LaneLimit[]
  readonly #lanes = new Map<string, Lane>()

  constructor(limits: readonly LaneLimit[]) {
    this.#limits = limits
  }

  /** What may be claimed now. */
  room(now: number): LaneRoom[] {
    this.#forget(now)
    return KINDS.map((of) => {
      const lanes = [...this.#lanes.values()].filter((lane) => lane.of === of)
      const whole = this.#limits.flatMap((limit, index) => {
        if (limit.of !== of || limit.per !== 'integration') return []
        return [this.#lanes.get(keyOf(index, null)) ?? { limit, even: 0, closedUntil: 0, strict: false }]
      })
      const shut = lanes.filter(({ destination, ...lane }) => destination !== null && callsLeft(lane, now) === 0)
      const closed = [...new Set(shut.flatMap(({ destination }) => destination ?? []))]
      const most = Math.min(PLENTY, ...whole.map((lane) => callsLeft(lane, now)))
      return { of, most: closed.length > MOST_NAMED ? 0 : most, oneEach: this.#hasDestinations(of), closed }
    })
  }

  /** A message was claimed: one call of this kind will be made. */
  take(of: LaneKind, destination: string, now: number): void {
    for (const lane of this.#lanesFor(of, destination)) lane.even = Math.max(lane.even, now) + lane.limit.everyMs
  }

  /** The call is made now, later than it was claimed: the next one is that much later as well. */
  sent(of: LaneKind, destination: string, now: number): void {
    for (const lane of this.#lanesFor(of, destination)) lane.even = Math.max(lane.even, now + lane.limit.everyMs)
  }

  /** It was answered: between then and `sent` the vendor has counted it. Counted from here, no delay on the way makes two calls come too close. */
  answered(of: LaneKind, destination: string, now: number): void {
    for (const lane of this.#lanesFor(of, destination))
      if (lane.strict) lane.even = Math.max(lane.even, now + lane.limit.everyMs)
  }

  /** The vendor said to wait. False: there is no lane for it, and everything has to. */
  close(of: LaneKind, destination: string, until: number, why: string): boolean {
    const lanes = this.#lanesFor(of, destination)
    const narrowest = lanes.find((lane) => lane.destination !== null) ?? lanes[0]
    if (!narrowest) return false
    narrowest.closedUntil = Math.max(narrowest.closedUntil, until)
    narrowest.strict = true
    narrowest.why = why
    return true
  }

  waits(now: number): LaneWait[] {
    return [...this.#lanes.values()]
      .filter((lane) => callsLeft(lane, now) === 0)
      .map((lane) => ({
        of: lane.of,
        destination: lane.destination,
        until: opensAt(lane),
        why: now < lane.closedUntil ? lane.why : null,
      }))
  }

  /** When the next lane opens that is closed now; Infinity: none is. */
  opensAt(now: number): number {
    return Math.min(...this.waits(now).map(({ until }) => until))
  }

  #hasDestinations(of: LaneKind): boolean {
    return this.#limits.some((limit) => limit.of === of && limit.per === 'destination')
  }

  #lanesFor(of: LaneKind, destination: string): Lane[] {
    return this.#limits.flatMap((limit, index) => {
      if (limit.of !== of) return []
      const about = limit.per === 'destination' ? destination : null
      const key = keyOf(index, about)
      const lane = this.#lanes.get(key) ?? {
        of,
        destination: about,
        limit,
        even: 0,
        closedUntil: 0,
        strict: false,
        why: null,
      }
      this.#lanes.set(key, lane)
      return [lane]
    })
  }

  /** One that has rested is like one that was never used. */
  #forget(now: number): void {
    for (const [key, { even, closedUntil, strict, limit }] of this.#lanes) {
      const rest = strict ? limit.burst * limit.everyMs : 0
      if (Math.max(even, closedUntil) + rest <= now) this.#lanes.delete(key)
    }
  }
}

const keyOf = (index: number, destination: string | null): string => `${index} ${destination ?? ''}`

const KINDS = ['look', 'new', 'change'] as const satisfies readonly LaneKind[]

type Used = Pick<Lane, 'limit' | 'even' | 'closedUntil' | 'strict'>

const burstOf = ({ limit, strict }: Used): number => (strict ? 1 : limit.burst)

function callsLeft(lane: Used, now: number): number {
  const { limit, even, closedUntil } = lane
  if (now < closedUntil) return 0
  const ahead = Math.max(0, even - now)
  return Math.max(0, Math.floor((burstOf(lane) * limit.everyMs - ahead) / limit.everyMs))
}

const opensAt = (lane: Used): number => Math.max(lane.closedUntil, lane.even - (burstOf(lane) - 1) * lane.limit.everyMs)
