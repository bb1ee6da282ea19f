import { createHash } from 'node:crypto'
import type { Tx } from '../audit/deed.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { Clock } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import { accountKey, ATTEMPT_WINDOW_MS, AttemptLimiter, keysOf, MOST_ATTEMPTS, tooMany } from './attempt-limiter.ts'
import type { Attempt, Limiter } from './attempt-limiter.ts'

export interface SharedLimiterParts {
  readonly database: Pick<Database, 'transact' | 'reads' | 'storeNow'>
  readonly clock: Clock
  readonly log: Log
  /** Makes the stored keys of one installation useless in another. */
  readonly installation: string
}

/**
 * The same five tries, counted in the store as well: over a restart, and by all daemons on one store. What this process
 * counted itself holds whatever happens to the wall clock or the rows.
 */
export class SharedLimiter implements Limiter {
  readonly #parts: SharedLimiterParts
  readonly #here: AttemptLimiter

  constructor(parts: SharedLimiterParts) {
    this.#parts = parts
    this.#here = new AttemptLimiter(parts.clock)
  }

  /** Throws Refused: too_many_attempts; store_unavailable, as a try that cannot be counted is not made. */
  async begin(account: string | null, address: string): Promise<Attempt> {
    const here = this.#here.begin(account, address)
    try {
      const rows = await this.#count(keysOf(account, address).map((key) => this.#hash(key)))
      return {
        takeBack: async () => {
          here.takeBack()
          await this.#forget(rows, null)
        },
        succeed: async () => {
          here.succeed()
          await this.#forget(rows, account)
        },
      }
    } catch (error) {
      here.takeBack()
      if (error instanceof Refused) throw error
      this.#parts.log.error({ err: String(error) }, 'a try to sign in could not be counted')
      throw new Refused('store_unavailable', 'this try cannot be counted now, so it is not made', 'try again later')
    }
  }

  async forgive(account: string): Promise<void> {
    this.#here.forgive(account)
    await this.#forget([], account)
  }

  /** The ids of the rows that stand for this try. */
  async #count(hashes: readonly string[]): Promise<readonly string[]> {
    const { database, clock } = this.#parts
    // Whoever is refused writes nothing.
    await refuseAbove(database.reads, hashes, clock.now())
    return database.transact(async (tx) => {
      const now = await database.storeNow(tx, clock)
      await tx
        .deleteFrom('attempts')
        .where('at', '<=', now - ATTEMPT_WINDOW_MS)
        .execute()
      await refuseAbove(tx, hashes, now)
      const rows = hashes.map((hash) => ({ id: newId('attempt', now), key_hash: hash, at: now }))
      await tx.insertInto('attempts').values(rows).execute()
      return rows.map(({ id }) => id)
    })
  }

  /** Never throws: a try that stays counted locks nobody out but the one who made it, and for a quarter of an hour. */
  async #forget(ids: readonly string[], account: string | null): Promise<void> {
    const { database, log } = this.#parts
    const hashes = account === null ? [] : [this.#hash(accountKey(account))]
    if (ids.length + hashes.length === 0) return
    try {
      await database.transact(async (tx) => {
        if (ids.length > 0) await tx.deleteFrom('attempts').where('id', 'in', ids).execute()
        if (hashes.length > 0) await tx.deleteFrom('attempts').where('key_hash', 'in', hashes).execute()
      })
    } catch (error) {
      log.warn({ err: String(error) }, 'a try that was right stays counted as a failed one')
    }
  }

  /** People type passwords where names belong: what was typed is not stored. */
  #hash(key: string): string {
    return createHash('sha256').update(`${this.#parts.installation}\0${key}`).digest('base64url')
  }
}

async function refuseAbove(reader: Pick<Tx, 'selectFrom'>, hashes: readonly string[], now: number): Promise<void> {
  const rows = await reader
    .selectFrom('attempts')
    .select(['key_hash', 'at'])
    .where('key_hash', 'in', hashes)
    .where('at', '>', now - ATTEMPT_WINDOW_MS)
    .orderBy('at')
    .execute()
  const waits = hashes.map((hash) => {
    const tries = rows.filter((row) => row.key_hash === hash)
    const counted = tries.at(-MOST_ATTEMPTS)
    // A clock that was set back makes nobody wait longer than a window.
    return counted === undefined ? 0 : Math.min(counted.at + ATTEMPT_WINDOW_MS - now, ATTEMPT_WINDOW_MS)
  })
  const wait = Math.max(...waits)
  if (wait > 0) throw tooMany(wait)
}
