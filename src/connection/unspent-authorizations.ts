import type { Clock } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import type { AuthorizationFacts } from './authorization.ts'

const AUTHORIZATION_LIFE_MS = 30_000

interface Unspent {
  readonly facts: AuthorizationFacts
  /** Monotonic */
  readonly until: number
}

/** Authorizations that were given and have opened nothing yet. Whatever a target is to be shown is made for one of these, once. */
export class UnspentAuthorizations {
  readonly #clock: Clock
  readonly #unspent = new Map<string, Unspent>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  keep(facts: AuthorizationFacts): void {
    this.#unspent.set(facts.id, { facts, until: this.#clock.monotonic() + AUTHORIZATION_LIFE_MS })
    this.#clock.after(AUTHORIZATION_LIFE_MS, () => this.#unspent.delete(facts.id))
  }

  /** Errors: Refused('not_allowed') when it was taken before, is older than 30 s, or never was. */
  take(authorizationId: string): AuthorizationFacts {
    const unspent = this.#unspent.get(authorizationId)
    this.#unspent.delete(authorizationId)
    if (!unspent || this.#clock.monotonic() > unspent.until)
      throw new Refused('not_allowed', 'this authorization was used before, has expired or never was')
    return unspent.facts
  }
}
