import type { DeedLog, NewEvent } from '../audit/deed.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'

const AGGREGATE_MS = 10_000
const MOST_ADDRESSES = 1000
const MOST_NAMES = 20

interface Tally {
  readonly codes: Map<string, number>
  readonly users: Set<string>
}

/**
 * Failures before anybody is signed in: one `auth.fail` event per address and ten seconds, so that a flood of wrong
 * passwords is not a flood of the chain. What does not fit is counted as `others`.
 */
export class AuthFailures {
  readonly #parts: { readonly deeds: DeedLog; readonly clock: Clock; readonly log: Log }
  #tallies = new Map<string, Tally>()
  #timer: Timer | null = null
  #storing: Promise<void> = Promise.resolve()

  constructor(parts: { readonly deeds: DeedLog; readonly clock: Clock; readonly log: Log }) {
    this.#parts = parts
  }

  report(failure: { readonly address: string; readonly code: string; readonly user?: string }): void {
    const isKnown = this.#tallies.has(failure.address) || this.#tallies.size < MOST_ADDRESSES
    const address = isKnown ? failure.address : 'others'
    const tally = this.#tallies.get(address) ?? { codes: new Map<string, number>(), users: new Set<string>() }
    this.#tallies.set(address, tally)
    tally.codes.set(failure.code, (tally.codes.get(failure.code) ?? 0) + 1)
    if (failure.user !== undefined && tally.users.size < MOST_NAMES) tally.users.add(failure.user)
    this.#timer ??= this.#parts.clock.after(AGGREGATE_MS, () => void this.flush())
  }

  /** Stores what was counted so far; also for the daemon's end. Kept for the next time when the store cannot take it. */
  async flush(): Promise<void> {
    this.#timer?.cancel()
    this.#timer = null
    const tallies = this.#tallies
    this.#tallies = new Map()
    const [first, ...others] = [...tallies].map(([address, tally]) => eventOf(address, tally))
    if (!first) return await this.#storing
    this.#storing = this.#parts.deeds
      .commitDeed(async () => ({ result: undefined, events: [first, ...others] as const }))
      .catch((error: unknown) => {
        this.#parts.log.error({ err: (error as Error).message, addresses: tallies.size }, 'failed sign-ins not stored')
      })
    await this.#storing
  }
}

function eventOf(address: string, { codes, users }: Tally): NewEvent {
  return {
    type: 'auth.fail',
    actor: { kind: 'anonymous', id: null, name: 'anonymous' },
    outcome: 'refused',
    details: { address, codes: Object.fromEntries(codes), users: [...users], seconds: AGGREGATE_MS / 1000 },
  }
}
