import { createHash, randomBytes } from 'node:crypto'

/** From protocol 3.2 on a client takes a longer secret than four bytes. */
const LONG_SINCE_MINOR = 2
const SHORT_KEY = 8
const LONG_KEY = 32

/** What is said of a key outside of the process that gave it out: whoever hears it cannot cancel by it. */
export const digestOfKey = (key: Uint8Array): string => createHash('sha256').update(key).digest('hex')

/**
 * Keys of our own by which clients cancel: the server's never leave this process. All of a key is random, its `process id`
 * included; a session is found by the digest of all of it.
 */
export class CancelKeys {
  readonly #sessions = new Map<string, () => Promise<void>>()

  /** `cancel` resolves when the server has been told. */
  issue(minor: number, cancel: () => Promise<void>): Buffer {
    const key = randomBytes(minor >= LONG_SINCE_MINOR ? LONG_KEY : SHORT_KEY)
    this.#sessions.set(digestOfKey(key), cancel)
    return key
  }

  forget(key: Uint8Array): void {
    this.#sessions.delete(digestOfKey(key))
  }

  /** Null: no session of this process has the key. */
  cancel(digest: string): Promise<void> | null {
    return this.#sessions.get(digest)?.() ?? null
  }
}
