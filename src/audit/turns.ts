import { AsyncLocalStorage } from 'node:async_hooks'

/** Something that waits for its turn. `first`: nothing may be done in the same turn before it. */
export interface Waiting {
  readonly first: boolean
}

/** One turn at a time. What comes while a turn is under way is done together in the next one, in the order in which it came. */
export class Turns<T extends Waiting> {
  readonly #perform: (items: readonly T[]) => Promise<void>
  readonly #most: number
  // A turn must not run in the async context of whoever happened to come first: that may be another transaction's.
  readonly #outside = AsyncLocalStorage.snapshot()
  #waiting: T[] = []
  #running: Promise<void> | null = null

  /** `perform` never rejects: each item is told for itself. `most` items make up one turn. */
  constructor(most: number, perform: (items: readonly T[]) => Promise<void>) {
    this.#most = most
    this.#perform = perform
  }

  add(item: T): void {
    this.#waiting.push(item)
    this.#running ??= this.#outside(() => this.#run())
  }

  /** Resolves once nothing waits. */
  async idle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // Whoever was told something by the last turn, or has come with the same packet, gets as far as asking for the next.
      await new Promise((resolve) => setImmediate(resolve))
      await this.#perform(this.#next())
    }
    this.#running = null
  }

  #next(): T[] {
    const stop = this.#waiting.findIndex((item, index) => index > 0 && item.first)
    return this.#waiting.splice(0, Math.min(this.#most, stop === -1 ? this.#most : stop))
  }
}
