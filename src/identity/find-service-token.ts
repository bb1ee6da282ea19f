import type { AuthFailures } from '../audit/auth-failures.ts'
import type { ServiceScope } from '../contract/service-token.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { refuseLocked } from './login-sessions.ts'
import { tokenHash } from './tokens.ts'

const SEEN_EVERY_MS = 60_000
const WINDOW_MS = 60_000
/** Wrong tokens of one address in a window, before it is answered without a look */
const MOST_WRONG = 30
const MOST_KEPT = 10_000

export interface FoundServiceToken {
  readonly tokenId: string
  readonly scopes: readonly ServiceScope[]
  readonly user: { readonly id: string; readonly name: string }
}

export interface FinderParts {
  readonly database: Database
  readonly clock: Clock
  readonly failures: Pick<AuthFailures, 'report'>
}

/** Finds service accounts by their token, counts wrong ones, and notes when each was last seen, at most once a minute. */
export class ServiceTokenFinder {
  readonly #parts: FinderParts
  readonly #seen = new Map<string, number>()
  /** By address: how many were wrong since when, monotonic */
  readonly #wrong = new Map<string, { count: number; since: number }>()
  /** Hashes that were right lately: their address may be shared with somebody who guesses */
  readonly #right = new Map<string, number>()

  constructor(parts: FinderParts) {
    this.#parts = parts
  }

  static looksLikeOne(token: string): boolean {
    return token.startsWith('sally_service_')
  }

  /** Throws Refused: not_signed_in, token_ended, user_disabled, locked, too_many_attempts. */
  async find(token: string, address: string): Promise<FoundServiceToken> {
    const { database, clock } = this.#parts
    const hash = tokenHash('service', token)
    this.#refuseTooMany(address, hash)
    const row = hash === null ? undefined : await this.#row(hash)
    const now = clock.now()
    if (!row || hash === null) {
      this.#count(address)
      this.#parts.failures.report({ address, code: 'service_token' })
      throw new Refused('not_signed_in', 'there is no such service token', 'make one: sallyctl tokens add NAME')
    }
    if (row.removed_at !== null || row.expires_at <= now || row.deleted_at !== null) {
      this.#parts.failures.report({ address, code: 'service_token_ended', user: row.name })
      throw new Refused('token_ended', 'this service token has ended', `make another: sallyctl tokens add ${row.name}`)
    }
    if (row.disabled === 1) throw new Refused('user_disabled', 'this service account is disabled')
    if (row.service_owner_id === null || row.owner_disabled !== 0 || row.owner_deleted_at !== null)
      throw new Refused(
        'user_disabled',
        'the owner of this service account is gone or disabled',
        `give it another: sallyctl tokens add ${row.name} --owner=USER`,
      )
    await refuseLocked(database.reads, row.user_id, null, now)
    await refuseLocked(database.reads, row.service_owner_id, null, now)
    this.#remember(this.#right, hash, clock.monotonic())
    await this.#note(row.id, now)
    const scopes = JSON.parse(row.scopes_json) as ServiceScope[]
    return { tokenId: row.id, scopes, user: { id: row.user_id, name: row.name } }
  }

  #row(hash: string) {
    return this.#parts.database.reads
      .selectFrom('service_tokens')
      .innerJoin('users', 'users.id', 'service_tokens.user_id')
      .leftJoin('users as owners', 'owners.id', 'users.service_owner_id')
      .select(['service_tokens.id', 'service_tokens.user_id', 'service_tokens.scopes_json'])
      .select(['service_tokens.expires_at', 'service_tokens.removed_at'])
      .select(['users.name', 'users.disabled', 'users.deleted_at', 'users.service_owner_id'])
      .select(['owners.disabled as owner_disabled', 'owners.deleted_at as owner_deleted_at'])
      .where('service_tokens.token_hash', '=', hash)
      .executeTakeFirst()
  }

  #refuseTooMany(address: string, hash: string | null): void {
    const wrong = this.#wrong.get(address)
    if (!wrong || wrong.count < MOST_WRONG || (hash !== null && this.#right.has(hash))) return
    const left = wrong.since + WINDOW_MS - this.#parts.clock.monotonic()
    if (left <= 0) return
    throw new Refused('too_many_attempts', 'too many wrong tokens', `try again in ${Math.ceil(left / 1000)} s`)
  }

  #count(address: string): void {
    const now = this.#parts.clock.monotonic()
    const before = this.#wrong.get(address)
    if (before && now - before.since < WINDOW_MS) before.count += 1
    else this.#remember(this.#wrong, address, { count: 1, since: now })
  }

  #remember<V>(map: Map<string, V>, key: string, value: V): void {
    map.delete(key)
    map.set(key, value)
    const [oldest] = map.keys()
    if (map.size > MOST_KEPT && oldest !== undefined) map.delete(oldest)
  }

  async #note(tokenId: string, now: number): Promise<void> {
    const last = this.#seen.get(tokenId)
    if (last !== undefined && now - last < SEEN_EVERY_MS && now >= last) return
    this.#remember(this.#seen, tokenId, now)
    // A convenience: a store that cannot take it keeps nobody out.
    await this.#parts.database
      .transact(async (tx) => {
        await tx
          .insertInto('service_token_seen')
          .values({ token_id: tokenId, last_seen_at: now })
          .onConflict((conflict) => conflict.column('token_id').doUpdateSet({ last_seen_at: now }))
          .execute()
      })
      .catch(() => {})
  }
}
