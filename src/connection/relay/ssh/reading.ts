import type { SshLeg } from './ssh-leg.ts'

/** Whether a peer is read: as long as nobody has a reason not to. */
export class Reading {
  readonly #leg: SshLeg
  readonly #reasons = new Set<unknown>()

  constructor(leg: SshLeg) {
    this.#leg = leg
  }

  stop(reason: unknown): void {
    if (this.#reasons.size === 0) this.#leg.pause()
    this.#reasons.add(reason)
  }

  allow(reason: unknown): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#leg.resume()
  }
}
