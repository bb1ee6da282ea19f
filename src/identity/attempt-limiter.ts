import { isIPv6 } from 'node:net'
import { Refused } from '../foundation/errors.ts'
import type { Clock } from '../foundation/clock.ts'

export const MOST_ATTEMPTS = 5
export const ATTEMPT_WINDOW_MS = 15 * 60_000
const MOST_KEYS = 50_000

/** One attempt that has begun. Unless it is taken back or succeeds, it counts as failed. */
export interface Attempt {
  /** The secret was right: the account starts anew; the address keeps what others of its attempts counted. */
  succeed(): void | Promise<void>
  /** Neither right nor wrong: it does not count. */
  takeBack(): void | Promise<void>
}

export interface Limiter {
  /** Throws Refused('too_many_attempts'). `account` is a normalised name or an id; null where no account can be meant. */
  begin(account: string | null, address: string): Attempt | Promise<Attempt>
  /** After an operator's reset. */
  forgive(account: string): void | Promise<void>
}

/**
 * Five failed tries per 15 minutes, per account and per address, counted when a try begins, so that a hundred at once are
 * five. Unknown accounts count like known ones. In the memory of one process.
 */
export class AttemptLimiter implements Limiter {
  readonly #clock: Clock
  readonly #most: number
  readonly #tries = new Map<string, number[]>()

  constructor(clock: Clock, most = MOST_ATTEMPTS) {
    this.#clock = clock
    this.#most = most
  }

  begin(account: string | null, address: string): { succeed(): void; takeBack(): void } {
    const now = this.#clock.monotonic()
    const keys = keysOf(account, address)
    const waits = keys.map((key) => this.#waitOf(key, now))
    const wait = Math.max(...waits)
    if (wait > 0) throw tooMany(wait)
    for (const key of keys) this.#count(key, now)
    const forget = (): void => {
      for (const key of keys) this.#uncount(key, now)
    }
    return {
      takeBack: forget,
      succeed: () => {
        forget()
        if (account !== null) this.#tries.delete(accountKey(account))
      },
    }
  }

  forgive(account: string): void {
    this.#tries.delete(accountKey(account))
  }

  #waitOf(key: string, now: number): number {
    const recent = (this.#tries.get(key) ?? []).filter((at) => at > now - ATTEMPT_WINDOW_MS)
    if (recent.length < this.#most) return 0
    return (recent[recent.length - this.#most] ?? now) + ATTEMPT_WINDOW_MS - now
  }

  #count(key: string, now: number): void {
    const recent = (this.#tries.get(key) ?? []).filter((at) => at > now - ATTEMPT_WINDOW_MS)
    this.#tries.delete(key)
    this.#tries.set(key, [...recent, now])
    if (this.#tries.size <= MOST_KEYS) return
    const [oldest] = this.#tries.keys()
    if (oldest !== undefined) this.#tries.delete(oldest)
  }

  #uncount(key: string, at: number): void {
    const tries = this.#tries.get(key)
    const index = tries?.lastIndexOf(at) ?? -1
    if (!tries || index === -1) return
    tries.splice(index, 1)
    if (tries.length === 0) this.#tries.delete(key)
  }
}

export const accountKey = (account: string): string => `account ${account}`

/** What a try is counted under. */
export const keysOf = (account: string | null, address: string): readonly string[] => [
  ...(account === null ? [] : [accountKey(account)]),
  `address ${addressGroup(address)}`,
]

/** `wait`: ms */
export const tooMany = (wait: number): Refused =>
  new Refused('too_many_attempts', 'too many failed tries', `try again in ${Math.ceil(wait / 60_000)} min`)

/** One host has a whole /64 of IPv6. */
export function addressGroup(address: string): string {
  if (!isIPv6(address)) return address
  const [head = '', tail = ''] = address.toLowerCase().split('::')
  const front = head === '' ? [] : head.split(':')
  const back = tail === '' ? [] : tail.split(':')
  const gap = address.includes('::') ? Array.from({ length: 8 - front.length - back.length }, () => '0') : []
  const groups = [...front, ...gap, ...back].map((group) => Number.parseInt(group, 16).toString(16))
  return `${groups.slice(0, 4).join(':')}/64`
}
