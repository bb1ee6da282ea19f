import type { AccessRequest } from '../../contract/request.ts'
import { Refused } from '../../foundation/errors.ts'
import { maySee, type Caller } from '../caller.ts'
import { loadDirectory, type Reader } from '../directory.ts'
import { loadCase, type RequestCase } from '../request-case.ts'
import { presentRequest, stateAt } from './present-request.ts'

export interface ListQuery {
  readonly scope: 'mine' | 'reviewable' | 'all'
  readonly state?: AccessRequest['state'] | undefined
  readonly user?: string | undefined
  readonly role?: string | undefined
  readonly cursor?: string | undefined
  readonly limit?: number | undefined
}

const DEFAULT_LIMIT = 50
const CHUNK = 100
/** Rows looked at for one page: somebody who may see little of much gets a short page and a cursor, not a slow answer. */
const LONGEST_LOOK = 2000

interface Place {
  readonly createdAt: number
  readonly id: string
}

/** Newest first. A page may be short or empty and still have a `next`. */
export async function listRequests(
  reader: Reader,
  now: number,
  caller: Caller,
  query: ListQuery,
): Promise<{ items: AccessRequest[]; next: string | null }> {
  const directory = await loadDirectory(reader, now)
  const limit = query.limit ?? DEFAULT_LIMIT
  const items: AccessRequest[] = []
  let place = query.cursor === undefined ? null : parseCursor(query.cursor)
  for (let looked = 0; looked < LONGEST_LOOK; looked += CHUNK) {
    const rows = await rowsAfter(reader, place, caller, query)
    for (const row of rows) {
      place = { createdAt: row.created_at, id: row.id }
      const loaded = await loadCase(reader, row.id, now, directory)
      const shown = loaded && presentIfWanted(loaded, caller, query, now)
      if (shown) items.push(shown)
      if (items.length === limit) return { items, next: cursorOf(place) }
    }
    if (rows.length < CHUNK) return { items, next: null }
  }
  return { items, next: place && cursorOf(place) }
}

function rowsAfter(
  reader: Reader,
  place: Place | null,
  caller: Caller,
  query: ListQuery,
): Promise<{ id: string; created_at: number }[]> {
  let rows = reader.selectFrom('access_requests').select(['id', 'created_at'])
  if (query.scope === 'mine') rows = rows.where('user_id', '=', caller.userId ?? '')
  if (query.scope === 'reviewable') rows = rows.where('state', '=', 'pending')
  if (query.user !== undefined) {
    const named = query.user
    // Gone people keep their names here: their requests can still be looked up.
    rows = rows.where('user_id', 'in', (select) => select.selectFrom('users').select('id').where('name', '=', named))
  }
  // What the clock has expired is still stored as pending, so both words look among both.
  if (query.state === 'pending' || query.state === 'expired') rows = rows.where('state', 'in', ['pending', 'expired'])
  else if (query.state !== undefined) rows = rows.where('state', '=', query.state)
  if (place) {
    rows = rows.where((where) =>
      where.or([
        where('created_at', '<', place.createdAt),
        where.and([where('created_at', '=', place.createdAt), where('id', '<', place.id)]),
      ]),
    )
  }
  return rows.orderBy('created_at', 'desc').orderBy('id', 'desc').limit(CHUNK).execute()
}

function presentIfWanted(loaded: RequestCase, caller: Caller, query: ListQuery, now: number): AccessRequest | null {
  if (query.state !== undefined && stateAt(loaded.request, now) !== query.state) return null
  if (query.role !== undefined && !loaded.request.roles.some((role) => role.name === query.role)) return null
  if (!maySee(caller, loaded, now)) return null
  const shown = presentRequest(loaded, caller, now)
  return query.scope === 'reviewable' && !waitsForMe(loaded, shown, caller) ? null : shown
}

/** Hides own, resolved and already reviewed ones. A vote that no longer counts is asked for again. */
function waitsForMe({ tally }: RequestCase, shown: AccessRequest, caller: Caller): boolean {
  if (!shown.can.includes('review')) return false
  const mine = tally.votes.find(({ vote }) => vote.reviewer_id === caller.userId)
  return !mine || mine.why === 'rules_changed' || mine.why === 'reviewer_reset'
}

const cursorOf = (place: Place): string =>
  Buffer.from(JSON.stringify([place.createdAt, place.id])).toString('base64url')

function parseCursor(text: string): Place {
  try {
    const [createdAt, id] = JSON.parse(Buffer.from(text, 'base64url').toString()) as unknown[]
    if (typeof createdAt === 'number' && Number.isSafeInteger(createdAt) && typeof id === 'string')
      return { createdAt, id }
  } catch {
    // Falls through to the refusal: what is no JSON is no cursor of ours.
  }
  throw new Refused('malformed', 'that is no cursor of this list', 'start without one')
}
