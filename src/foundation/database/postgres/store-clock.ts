import type { Clock, Instant, Timer } from '../../clock.ts'

/** Behind a time that the server told by more than this, the server's clock was set back, and we follow. */
const SET_BACK_MS = 1000

/**
 * The server's wall clock as this process estimates it, so that all daemons on one store mean the same instant, however their
 * own clocks differ. Never before an instant that the server has told, as long as its clock was not set back.
 */
export class StoreClock implements Clock {
  readonly #base: Clock
  #offset = 0
  #latest: Instant = 0

  constructor(base: Clock) {
    this.#base = base
  }

  /** The server told `time`; asking took `tookMs`. */
  observe(time: Instant, tookMs: number): void {
    const measured = time + Math.floor(tookMs / 2) - this.#base.now()
    // Within what the way there and back hides, the old estimate is as good as the new one.
    if (Math.abs(measured - this.#offset) > tookMs / 2 + 1) this.#offset = measured
    this.told(time)
  }

  /** The server told `time` a moment ago; how long ago is not known. */
  told(time: Instant): void {
    if (time > this.#latest || time < this.#latest - SET_BACK_MS) this.#latest = time
  }

  now(): Instant {
    return Math.max(this.#base.now() + this.#offset, this.#latest)
  }

  monotonic(): number {
    return this.#base.monotonic()
  }

  after(ms: number, callback: () => void): Timer {
    return this.#base.after(ms, callback)
  }
}
