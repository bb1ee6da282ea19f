import type { AskWay } from '../../contract/access-check.ts'
import type { Reader } from '../directory.ts'
import { storedRequest, type StoredRequest } from '../stored-request.ts'

/** The newest undecided request of this user that would give what one of the ways gives, as soon as it is approved. */
export async function findPending(
  reader: Reader,
  userId: string,
  ways: readonly AskWay[],
  now: number,
): Promise<StoredRequest | null> {
  const rows = await reader
    .selectFrom('access_requests')
    .selectAll()
    .where('user_id', '=', userId)
    .where('state', '=', 'pending')
    .where('pending_until', '>', now)
    .orderBy('created_at', 'desc')
    .limit(MOST_LOOKED_AT)
    .execute()
  return rows.map(storedRequest).find((request) => ways.some((way) => gives(request, way))) ?? null
}

const MOST_LOOKED_AT = 100

/** An extension opens nothing, and one that starts at an instant opens nothing at its approval. */
function gives(request: StoredRequest, way: AskWay): boolean {
  if (request.extends_grant !== null || request.start.at === 'instant') return false
  const login = request.narrowing?.login
  if (login !== undefined && !way.logins.includes(login)) return false
  const names = request.roles.map((role) => role.name)
  const resources = request.resources.map(({ kind, name }) => `${kind}/${name}`)
  return (
    way.roles.every((role) => names.includes(role)) &&
    (resources.length === 0 || way.resources.length > 0) &&
    way.resources.every(({ kind, name }) => resources.includes(`${kind}/${name}`))
  )
}
