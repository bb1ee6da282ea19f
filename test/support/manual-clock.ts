import type { Clock, Instant, Timer } from '../../src/foundation/clock.ts'

/** A clock that moves only when told. Timers run in order of their due time, each at its own instant. */
export class ManualClock implements Clock {
  #now: number
  #monotonic = 0
  #timers: { due: number; order: number; callback: () => void }[] = []
  #order = 0

  constructor(now: Instant = Date.UTC(2026, 0, 1)) {
    this.#now = now
  }

  now(): Instant {
    return this.#now
  }

  monotonic(): number {
    return this.#monotonic
  }

  after(ms: number, callback: () => void): Timer {
    const timer = { due: this.#monotonic + Math.max(0, ms), order: this.#order++, callback }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  /** Moves both clocks on and runs what becomes due. */
  advance(ms: number): void {
    const end = this.#monotonic + ms
    for (;;) {
      const next = this.#timers
        .filter((timer) => timer.due <= end)
        .sort((a, b) => a.due - b.due || a.order - b.order)[0]
      if (!next) break
      this.#timers = this.#timers.filter((timer) => timer !== next)
      const step = Math.max(0, next.due - this.#monotonic)
      this.#monotonic += step
      this.#now += step
      next.callback()
    }
    this.#now += end - this.#monotonic
    this.#monotonic = end
  }

  /** Sets the wall clock alone, as an operator or NTP would. */
  jumpTo(now: Instant): void {
    this.#now = now
  }
}
