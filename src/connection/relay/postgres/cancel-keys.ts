import { randomBytes } from 'node:crypto'

/** From protocol 3.2 on a client takes a longer secret than four bytes. */
const LONG_SINCE_MINOR = 2
const SHORT_KEY = 8
const LONG_KEY = 32

/**
 * Keys of our own by which clients cancel: the server's never leave this process. All of a key is random, its `process id`
 * included; a session is found by all of it.
 */
export class CancelKeys {
  readonly #sessions = new Map<string, () => Promise<void>>()

  /** `cancel` resolves when the server has been told. */
  issue(minor: number, cancel: () => Promise<void>): Buffer {
    const key = randomBytes(minor >= LONG_SINCE_MINOR ? LONG_KEY : SHORT_KEY)
    this.#sessions.set(key.toString('hex'), cancel)
    return key
  }

  forget(key: Uint8Array): void {
    this.#sessions.delete(Buffer.from(key).toString('hex'))
  }

  /** Null: no session of this process has the key. */
  cancel(key: Uint8Array): Promise<void> | null {
    return this.#sessions.get(Buffer.from(key).toString('hex'))?.() ?? null
  }
}
