import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Refused } from '../foundation/errors.ts'

const argon2Async = promisify(argon2)

export interface PasswordCost {
  /** KiB */
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
}

/** RFC 9106 section 4, second recommended option, with one lane because sign-ins run side by side. */
export const DEFAULT_COST: PasswordCost = { memory: 65_536, passes: 3, parallelism: 1 }

const TAG = 32
const SALT = 16
const WAITING = 32

// PHC string: $argon2id$v=19$m=65536,t=3,p=1$salt$hash, base64 without padding.
const PHC = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})$/

/** Makes and checks password hashes, at most `concurrency` at a time: each takes 64 MiB. */
export class Passwords {
  readonly #cost: PasswordCost
  readonly #concurrency: number
  readonly #queue: (() => void)[] = []
  #running = 0
  /** Of no password: unknown users cost as much as known ones. */
  readonly #nobody: string

  constructor(cost: PasswordCost = DEFAULT_COST, concurrency = 2) {
    this.#cost = cost
    this.#concurrency = concurrency
    this.#nobody = phc(cost, randomBytes(SALT), randomBytes(TAG))
  }

  async hash(password: string): Promise<string> {
    const salt = randomBytes(SALT)
    return phc(this.#cost, salt, await this.#derive(password, salt, this.#cost))
  }

  /** The same work when `hash` is null (no such user, or no password yet), which is always false. */
  async verify(password: string, hash: string | null): Promise<boolean> {
    const match = PHC.exec(hash ?? this.#nobody)
    if (!match) throw new Error('a password hash is damaged')
    const [, memory, passes, parallelism, salt = '', expected = ''] = match
    const cost = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) }
    const found = await this.#derive(password, Buffer.from(salt, 'base64'), cost)
    return timingSafeEqual(found, Buffer.from(expected, 'base64')) && hash !== null
  }

  async #derive(password: string, nonce: Buffer, cost: PasswordCost): Promise<Buffer> {
    await this.#enter()
    try {
      return await argon2Async('argon2id', { message: password.normalize('NFC'), nonce, tagLength: TAG, ...cost })
    } finally {
      this.#running--
      this.#queue.shift()?.()
    }
  }

  async #enter(): Promise<void> {
    if (this.#running >= this.#concurrency) {
      if (this.#queue.length >= WAITING)
        throw new Refused('too_many_attempts', 'too many people sign in at this moment', 'try again in a few seconds')
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    }
    this.#running++
  }
}

function phc({ memory, passes, parallelism }: PasswordCost, salt: Buffer, hash: Buffer): string {
  const text = (bytes: Buffer): string => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${text(salt)}$${text(hash)}`
}
