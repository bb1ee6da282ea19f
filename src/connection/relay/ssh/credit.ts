import { ProtocolError } from './wire/protocol-error.ts'

const MOST = 2 ** 32 - 1

/**
 * Flow control of one direction of one channel (RFC 4254 section 5.2), in bytes. The receiver's grants are passed on to
 * the sender, except for a reserve: what the proxy itself sends (a notice) comes out of that, so the receiver's window is
 * never exceeded and the sender's view of it stays right.
 */
export class Credit {
  readonly #reserveGoal: number
  #passed = 0
  #reserve = 0

  constructor(reserveGoal: number) {
    this.#reserveGoal = reserveGoal
  }

  /** What the sender may still send. */
  get passed(): number {
    return this.#passed
  }

  /** What the proxy may send of its own. */
  get reserve(): number {
    return this.#reserve
  }

  /** The receiver granted `amount`. Returns how much of it to pass on; may be 0. */
  grant(amount: number): number {
    if (amount + this.#passed + this.#reserve > MOST) throw new ProtocolError('window larger than 2^32 - 1')
    const withheld = Math.min(this.#reserveGoal - this.#reserve, amount >>> 1)
    this.#reserve += withheld
    this.#passed += amount - withheld
    return amount - withheld
  }

  /** The sender sent `amount`. */
  take(amount: number): void {
    if (amount > this.#passed) throw new ProtocolError('more data than the window allows')
    this.#passed -= amount
  }

  /**
   * Gives the reserve back where the sender has nothing left: a receiver that grants only when its window is quite used
   * up would else wait for ever. Returns what to pass on.
   */
  releaseWhenEmpty(): number {
    if (this.#passed > 0 || this.#reserve === 0) return 0
    const released = this.#reserve
    this.#reserve = 0
    this.#passed = released
    return released
  }

  /**
   * Takes `amount` for the proxy's own bytes; false and nothing taken where there is not enough.
   * `last`: the sender will not be heard any more, so its share may be used too.
   */
  takeOwn(amount: number, last: boolean): boolean {
    if (last) {
      this.#reserve += this.#passed
      this.#passed = 0
    }
    if (amount > this.#reserve) return false
    this.#reserve -= amount
    return true
  }
}
