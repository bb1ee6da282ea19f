import { sql } from 'kysely'
import type { Reader } from './directory.ts'
import type { Tx } from '../audit/deed.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { fixedList, fixedStatement } from '../foundation/database/fixed-statement.ts'
import type { AccessRequestsTable, ReviewsTable } from '../foundation/database/tables.ts'
import { pinnedResources, type PinnedRole } from '../grants/stored-grant.ts'

// By what requests are found: the roles and resources that they name, those who voted, and their words. Nothing is decided from
// these rows, so no event binds them: what a list shows is read from the requests themselves.

type Asked = Pick<AccessRequestsTable, 'id' | 'created_at' | 'user_id' | 'roles_json' | 'resources_json' | 'reason'>

const addTerm = fixedStatement(
  'insert into request_terms (kind, name, created_at, request_id) values (?, ?, ?, ?) on conflict do nothing',
)
const addText = fixedStatement(
  'insert into request_texts (request_id, created_at, words) values (?, ?, ?) on conflict do nothing',
)

/** In the transaction that stores the request. */
export async function indexRequest(tx: Tx, asked: Asked, requesterName: string): Promise<void> {
  const roles = (JSON.parse(asked.roles_json) as PinnedRole[]).map((role) => role.name)
  const resources = pinnedResources(asked.resources_json).map(({ kind, name }) => `${kind}/${name}`)
  for (const name of roles) await addTerm(tx, 'role', name, asked.created_at, asked.id)
  for (const name of resources) await addTerm(tx, 'resource', name, asked.created_at, asked.id)
  await addText(tx, asked.id, asked.created_at, searchable([requesterName, ...roles, ...resources, asked.reason]))
}

/** `voters`: ids of users, names of rules and policies. */
export async function indexVoters(
  tx: Tx,
  { id, created_at }: Pick<AccessRequestsTable, 'id' | 'created_at'>,
  voters: readonly (string | null)[],
): Promise<void> {
  for (const voter of voters) if (voter !== null) await addTerm(tx, 'reviewer', voter, created_at, id)
}

/** Case is left out of searching. */
export function searchable(words: readonly string[]): string {
  return words.join('\n').toLowerCase()
}

const FILLED_AT_ONCE = 500

/** Behind which the next ones come */
type Place = Pick<AccessRequestsTable, 'id' | 'created_at'>

/** For a store whose requests were made before there was an index. Newest first, so the oldest one says whether all is done. */
export async function fillSearchIndex(database: Database): Promise<void> {
  if (await isFilled(database.reads)) return
  let place: Place | null = null
  do place = await database.transact((tx) => fillSome(tx, place))
  while (place)
}

async function isFilled(reader: Reader): Promise<boolean> {
  const oldest = await reader
    .selectFrom('access_requests')
    .select('id')
    .orderBy('created_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
  if (!oldest) return true
  const text = await reader
    .selectFrom('request_texts')
    .select('request_id')
    .where('request_id', '=', oldest.id)
    .executeTakeFirst()
  return text !== undefined
}

const votersOn = fixedList<Pick<ReviewsTable, 'request_id' | 'reviewer_id' | 'on_behalf_of'>>(
  (ids) => `select request_id, reviewer_id, on_behalf_of from reviews where request_id in ${ids}`,
)

/** Those behind the place that are in no index yet. Returns the last of them; null: there are no more. */
async function fillSome(tx: Tx, place: Place | null): Promise<Place | null> {
  const behind = place ? sql<boolean>`(r.created_at, r.id) < (${place.created_at}, ${place.id})` : sql<boolean>`1 = 1`
  const rows = await tx
    .selectFrom('access_requests as r')
    .leftJoin('request_texts as s', 's.request_id', 'r.id')
    .innerJoin('users as u', 'u.id', 'r.user_id')
    .select([
      'r.id',
      'r.created_at',
      'r.user_id',
      'r.roles_json',
      'r.resources_json',
      'r.reason',
      'u.name as requester',
    ])
    .where('s.request_id', 'is', null)
    .where(behind)
    .orderBy('r.created_at', 'desc')
    .orderBy('r.id', 'desc')
    .limit(FILLED_AT_ONCE)
    .execute()
  const ids = rows.map(({ id }) => id)
  const votes = Map.groupBy(await votersOn(tx, ids), (vote) => vote.request_id)
  for (const { requester, ...row } of rows) {
    await indexRequest(tx, row, requester)
    const voters = (votes.get(row.id) ?? []).flatMap((vote) => [vote.reviewer_id, vote.on_behalf_of])
    await indexVoters(tx, row, voters)
  }
  return rows.at(-1) ?? null
}
