import type { Clock } from '../foundation/clock.ts'
import { addressGroup } from '../identity/attempt-limiter.ts'

const WINDOW_MS = 60_000
const MOST_KEYS = 10_000

interface Count {
  readonly since: number
  forged: number
}

/**
 * How many callbacks that were not authentic came from one address for one integration within a minute. Authentic ones are
 * never counted and never stopped: whoever forges behind the same vendor shuts nobody out. In the memory of one process.
 */
export class ForgedPace {
  readonly #clock: Clock
  readonly #most: number
  readonly #counts = new Map<string, Count>()

  constructor(clock: Clock, most: number) {
    this.#clock = clock
    this.#most = most
  }

  /** Counts one. Null, or in how many ms the address may be told again that one was not authentic. */
  count(address: string, integration: string): number | null {
    const key = `${addressGroup(address)} ${integration}`
    const now = this.#clock.monotonic()
    const before = this.#counts.get(key)
    const count = before && now < before.since + WINDOW_MS ? before : { since: now, forged: 0 }
    count.forged += 1
    this.#remember(key, count)
    return count.forged > this.#most ? count.since + WINDOW_MS - now : null
  }

  #remember(key: string, count: Count): void {
    this.#counts.delete(key)
    this.#counts.set(key, count)
    if (this.#counts.size <= MOST_KEYS) return
    const [oldest] = this.#counts.keys()
    if (oldest !== undefined) this.#counts.delete(oldest)
  }
}
