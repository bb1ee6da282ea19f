import type { Clock, Timer } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { DeedLog } from './deed.ts'

const WINDOW_MS = 10_000
/** Addresses counted apart in one window; all further ones are counted together. */
const MOST_ADDRESSES = 1000
const MOST_CODES = 20
const OTHER = 'other'

export interface AuthFailure {
  /** Peer address, without port */
  readonly address: string
  /** What was wrong, from a closed list of our own words */
  readonly code: string
  /** The name that was tried, when it is one of ours */
  readonly user?: string
}

interface Window {
  count: number
  readonly codes: Map<string, number>
  readonly users: Set<string>
}

/**
 * Failures before sign-in: one `auth.fail` event per address and 10 s, so that a flood from outside cannot fill the chain. What
 * could not be stored is counted on.
 */
export class AuthFailures {
  readonly #deeds: DeedLog
  readonly #clock: Clock
  readonly #log: Log
  #windows = new Map<string, Window>()
  #timer: Timer | null = null

  constructor(deeds: DeedLog, clock: Clock, log: Log) {
    this.#deeds = deeds
    this.#clock = clock
    this.#log = log
  }

  report(failure: AuthFailure): void {
    const known = this.#windows.has(failure.address) || this.#windows.size < MOST_ADDRESSES
    this.#count(known ? failure.address : OTHER, failure.code, failure.user, 1)
    this.#timer ??= this.#clock.after(WINDOW_MS, () => void this.flush())
  }

  /** Stores what was counted so far: at the end of a window, and at stop. Never throws. */
  async flush(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    const windows = this.#windows
    this.#windows = new Map()
    for (const [address, window] of windows) {
      try {
        await this.#store(address, window)
      } catch (error) {
        this.#log.error({ err: error, address, count: window.count }, 'failed sign-ins could not be stored')
        this.#keep(address, window)
      }
    }
  }

  async #store(address: string, window: Window): Promise<void> {
    const details = {
      address,
      count: window.count,
      codes: Object.fromEntries(window.codes),
      users: [...window.users].toSorted(),
      windowMs: WINDOW_MS,
    }
    const actor = { kind: 'anonymous', id: null, name: 'anonymous' } as const
    await this.#deeds.commitDeed(async () => ({
      result: null,
      events: [{ type: 'auth.fail', actor, outcome: 'refused', details }],
    }))
  }

  #keep(address: string, window: Window): void {
    for (const [code, count] of window.codes) this.#count(address, code, undefined, count)
    for (const user of window.users) this.#windows.get(address)?.users.add(user)
    this.#timer ??= this.#clock.after(WINDOW_MS, () => void this.flush())
  }

  #count(address: string, code: string, user: string | undefined, by: number): void {
    const window = this.#windows.get(address) ?? {
      count: 0,
      codes: new Map<string, number>(),
      users: new Set<string>(),
    }
    const counted = window.codes.has(code) || window.codes.size < MOST_CODES ? code : OTHER
    window.count += by
    window.codes.set(counted, (window.codes.get(counted) ?? 0) + by)
    if (user !== undefined && window.users.size < MOST_CODES) window.users.add(user)
    this.#windows.set(address, window)
  }
}
