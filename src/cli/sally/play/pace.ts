import { type Clock, sleep } from '../../../foundation/clock.ts'

const FASTEST = 64
const SLOWEST = 1 / 16

/** How time passes in a replay: its speed, pauses, and the keys that change them. */
export class Pace {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  #speed: number
  #paused = false
  #left = false
  #changed = new AbortController()

  constructor(speed: number, clock: Clock, signal: AbortSignal) {
    this.#speed = speed
    this.#clock = clock
    this.#signal = signal
  }

  /** Somebody pressed q. */
  get left(): boolean {
    return this.#left
  }

  /** space: pause and go on; + and -: twice and half as fast; q: leave. */
  press(key: string): void {
    if (key === ' ') this.#paused = !this.#paused
    else if (key === '+' || key === '=') this.#speed = Math.min(FASTEST, this.#speed * 2)
    else if (key === '-') this.#speed = Math.max(SLOWEST, this.#speed / 2)
    else if (key === 'q' || key === '\x03') this.#left = true
    else return
    this.#changed.abort()
    this.#changed = new AbortController()
  }

  /** Waits `ms` of recorded time. Ends early when somebody leaves. Errors: the signal's reason. */
  async wait(ms: number): Promise<void> {
    let left = ms
    while ((left > 0 || this.#paused) && !this.#left) {
      this.#signal.throwIfAborted()
      const speed = this.#paused ? 0 : this.#speed
      const started = this.#clock.monotonic()
      const changed = this.#changed.signal
      try {
        await sleep(this.#clock, speed === 0 ? 3_600_000 : left / speed, AbortSignal.any([this.#signal, changed]))
        left -= speed === 0 ? 0 : left
      } catch (error) {
        if (!changed.aborted) throw error
        left -= (this.#clock.monotonic() - started) * speed
      }
    }
  }
}
