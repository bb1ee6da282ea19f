import type { InboundPacket } from './ssh-leg.ts'
import { ProtocolError } from './wire/protocol-error.ts'

/** Above this the peer is not read any more ... */
const PAUSE_BYTES = 128 * 1024
const PAUSE_MESSAGES = 64
/** ... and what it had sent before may come to this at most. */
const MOST_BYTES = 4 * 1024 * 1024
const MOST_MESSAGES = 4096

export interface LaneHost {
  deliver(packet: InboundPacket): void
  /** true: read no more from this lane's peer; false: go on */
  pressure(high: boolean): void
  /** A held message turned out wrong, or what was waited for failed in a way nobody handled. */
  fail(error: Error): void
}

/** One direction of one channel: messages stay in order even when one of them has to wait for something. */
export class Lane {
  readonly #host: LaneHost
  #held: Buffer[] = []
  #bytes = 0
  #isWaiting = false
  #isHigh = false

  constructor(host: LaneHost) {
    this.#host = host
  }

  get isWaiting(): boolean {
    return this.#isWaiting
  }

  push(packet: InboundPacket): void {
    if (this.#isWaiting) this.#hold(packet.payload)
    else this.#host.deliver(packet)
  }

  /** Holds everything behind until `until` is settled and `after` has run. */
  waitFor(until: Promise<unknown>, after: (error: Error | null) => void): void {
    this.#isWaiting = true
    const settled = (error: Error | null): void => {
      try {
        this.#isWaiting = false
        after(error)
        this.#drain()
      } catch (failure) {
        this.#host.fail(asError(failure))
      }
    }
    until.then(
      () => settled(null),
      (error: unknown) => settled(asError(error)),
    )
  }

  #hold(payload: Buffer): void {
    this.#bytes += payload.length
    if (this.#bytes > MOST_BYTES || this.#held.length >= MOST_MESSAGES) throw new ProtocolError('too much sent ahead')
    this.#held.push(Buffer.from(payload))
    if (!this.#isHigh && (this.#bytes > PAUSE_BYTES || this.#held.length > PAUSE_MESSAGES)) {
      this.#isHigh = true
      this.#host.pressure(true)
    }
  }

  #drain(): void {
    let next = 0
    while (!this.#isWaiting && next < this.#held.length) {
      const payload = this.#held[next++]!
      this.#bytes -= payload.length
      this.#host.deliver({ payload, frame: null })
    }
    this.#held.splice(0, next)
    if (this.#isHigh && !this.#isWaiting) {
      this.#isHigh = false
      this.#host.pressure(false)
    }
  }
}

export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
