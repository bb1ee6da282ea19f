import type { Duplex } from 'node:stream'

/** What one connection has read and not passed on. */
export interface HeldBack {
  /** Makes safe what must be before the bytes go on */
  store(): void
  /** What was stored goes on. */
  forward(): void
}

/**
 * Connections that were read in the same turn of the event loop are served in steps: each is read and parsed as its bytes
 * come; behind the last, all records are stored, and then all bytes go on. The same code runs many times in a row, which
 * costs less than all of it for one connection after the other: there is too much of it for the processor's caches.
 */
export class Turns {
  #held: HeldBack[] = []

  /** Each once, until it has been forwarded. */
  hold(one: HeldBack): void {
    if (this.#held.push(one) === 1) setImmediate(this.#run)
  }

  readonly #run = (): void => {
    const held = this.#held
    this.#held = []
    for (const one of held) one.store()
    for (const one of held) one.forward()
  }
}

/** In one write. False: there is no room for more. */
export function writeAll(to: Duplex, bytes: readonly Buffer[]): boolean {
  const [first] = bytes
  if (bytes.length === 1) return to.write(first)
  to.cork()
  let isRoom = true
  for (const chunk of bytes) isRoom = to.write(chunk)
  to.uncork()
  return isRoom
}

/** Of the thread: all connections of a worker, whatever their protocol */
export const turns = new Turns()
