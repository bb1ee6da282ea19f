import type { Clock } from '../../foundation/clock.ts'
import { MINUTE_MS } from './chat-parts.ts'

/** What one account may do within a minute: people are slower, and a script is stopped. */
const MOST_A_MINUTE = 30
const MOST_ACCOUNTS = 10_000

/** Counts in this process alone: what has an effect is limited by its own rules as well. */
export class AccountPace {
  readonly #clock: Clock
  #minute = 0
  #counts = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** False: this account has done enough for now. */
  allows(key: string): boolean {
    const minute = Math.floor(this.#clock.now() / MINUTE_MS)
    if (minute !== this.#minute || this.#counts.size > MOST_ACCOUNTS) {
      this.#minute = minute
      this.#counts = new Map()
    }
    const count = (this.#counts.get(key) ?? 0) + 1
    this.#counts.set(key, count)
    return count <= MOST_A_MINUTE
  }
}
