import { sql } from 'kysely'
import type { AskWay } from '../../contract/access-check.ts'
import type { NamedResource } from '../../contract/request.ts'
import type { Reader } from '../directory.ts'
import { storedRequest, type StoredRequest } from '../stored-request.ts'

/** What somebody was refused, and what would help. */
export interface Wanted {
  readonly place: NamedResource
  /** Login or db user; null: none named */
  readonly account: string | null
  readonly ways: readonly AskWay[]
}

/** The newest undecided request of this user that would give it as soon as it is approved. */
export async function findPending(
  reader: Reader,
  userId: string,
  wanted: Wanted,
  now: number,
): Promise<StoredRequest | null> {
  const rows = await reader
    .selectFrom('access_requests')
    .selectAll()
    .where('user_id', '=', userId)
    // Written out: the index holds pending ones alone.
    .where('state', '=', sql.lit('pending'))
    .where('pending_until', '>', now)
    .orderBy('created_at', 'desc')
    .limit(MOST_LOOKED_AT)
    .execute()
  return rows.map(storedRequest).find((request) => gives(request, wanted)) ?? null
}

const MOST_LOOKED_AT = 100

/** An extension opens nothing, and one that starts at an instant opens nothing at its approval. */
function gives(request: StoredRequest, { place, account, ways }: Wanted): boolean {
  if (request.extends_grant !== null || request.start.at === 'instant') return false
  const narrowed = narrowedTo(request.narrowing, place.kind)
  if (narrowed === 'elsewhere' || (narrowed !== null && account !== null && narrowed.account !== account)) return false
  const { resources } = request
  if (resources.length > 0 && !resources.some(({ kind, name }) => kind === place.kind && name === place.name))
    return false
  const names = request.roles.map((role) => role.name)
  return ways.some((way) => way.roles.every((role) => names.includes(role)))
}

/** Null: not narrowed. What is narrowed to a login alone gives no database, nor the other way round. */
function narrowedTo(narrowing: StoredRequest['narrowing'], kind: NamedResource['kind']) {
  if (narrowing === null) return null
  const account = kind === 'node' ? narrowing.login : narrowing.dbUser
  if (account !== undefined) return { account }
  return narrowing.login === undefined && narrowing.dbUser === undefined ? null : 'elsewhere'
}
