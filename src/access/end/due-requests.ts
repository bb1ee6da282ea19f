import type { Committed, RowRef } from '../../audit/deed.ts'
import type { RoleSpec } from '../../contract/role.ts'
import { fixedStatement } from '../../foundation/database/fixed-statement.ts'
import { storedGrant, type StoredGrant } from '../../grants/stored-grant.ts'
import { resourcesById } from '../../resources/find-resources.ts'
import { loadDirectory, type Directory, type Reader } from '../directory.ts'
import { storedRequest } from '../stored-request.ts'
import { consequenceFor } from './consequences.ts'

// Which requests the clock, a lock or a change elsewhere has something to do to. Read in one go and judged without their votes:
// a change of one user looks at that user's, and a change of a role at what is open, never at all that ever was asked.

/** Whose requests a commit may have consequences for. */
export type Affected = 'nothing' | 'all' | { readonly users: readonly string[]; readonly requests: readonly string[] }

const LOCKS: ReadonlySet<RowRef['table']> = new Set(['locks'])
/** Of these any open request may depend on any row. */
const FAR_REACHING: ReadonlySet<RowRef['table']> = new Set(['roles', 'nodes', 'databases'])

export async function affectedBy({ rows }: Pick<Committed, 'rows'>, reader: Reader): Promise<Affected> {
  if (rows.some((row) => FAR_REACHING.has(row.table))) return 'all'
  const users = rows.flatMap((row) => (row.table === 'users' ? [row.id] : []))
  const lockIds = rows.flatMap((row) => (LOCKS.has(row.table) ? [row.id] : []))
  if (users.length + lockIds.length === 0) return 'nothing'
  const locks =
    lockIds.length === 0
      ? []
      : await reader.selectFrom('locks').select(['target_kind', 'target_id']).where('id', 'in', lockIds).execute()
  if (locks.length < lockIds.length || locks.some((lock) => lock.target_kind === 'role')) return 'all'
  const targets = (kind: string): string[] =>
    locks.flatMap((lock) => (lock.target_kind === kind ? [lock.target_id] : []))
  return { users: [...users, ...targets('user')], requests: targets('request') }
}

/** Ids of requests that are pending or have a live grant, and for which something is due at `now`; pending ones first. */
export async function dueRequests(
  reader: Reader,
  now: number,
  affected: Exclude<Affected, 'nothing'>,
): Promise<string[]> {
  const open = await openRequests(reader, affected)
  if (open.length === 0) return []
  const directory = await loadDirectory(reader, now)
  const due: string[] = []
  for (let at = 0; at < open.length; at += CHUNK) {
    due.push(...(await dueAmong(reader, open.slice(at, at + CHUNK), directory, now)))
    await new Promise((resolve) => setImmediate(resolve))
  }
  return due
}

const CHUNK = 200

// States are written out: an index over some of the rows is used only for what the text itself says.
const allPending = fixedStatement<{ id: string }>(`select id from access_requests where state = 'pending'`)
const allLive = fixedStatement<{ id: string }>(`select request_id as id from grants where state <> 'ended'`)
const pendingOfUser = fixedStatement<{ id: string }>(
  `select id from access_requests where user_id = ? and state = 'pending'`,
)
const liveOfUser = fixedStatement<{ id: string }>(
  `select request_id as id from grants where user_id = ? and state <> 'ended'`,
)

async function openRequests(reader: Reader, affected: Exclude<Affected, 'nothing'>): Promise<string[]> {
  const found = new Set(affected === 'all' ? [] : affected.requests)
  const note = (rows: readonly { readonly id: string }[]): void => rows.forEach(({ id }) => found.add(id))
  if (affected === 'all') {
    note(await allPending(reader))
    note(await allLive(reader))
    return [...found]
  }
  for (const user of affected.users) {
    note(await pendingOfUser(reader, user))
    note(await liveOfUser(reader, user))
  }
  return [...found]
}

async function dueAmong(reader: Reader, ids: readonly string[], directory: Directory, now: number): Promise<string[]> {
  const rows = await reader.selectFrom('access_requests').selectAll().where('id', 'in', ids).execute()
  // In the order of the ids: what is asked for is cancelled for its own reason, before the grant that it would extend ends.
  const byId = new Map(rows.map((row) => [row.id, storedRequest(row)]))
  const requests = ids.flatMap((id) => byId.get(id) ?? [])
  const grantRows = await reader
    .selectFrom('grants')
    .selectAll()
    .where('request_id', 'in', ids)
    .where('state', '<>', 'ended')
    .execute()
  const grants = new Map(grantRows.map((row) => [row.request_id, storedGrant(row)]))
  const wanted = requests.flatMap((request) => request.resources)
  const resources = wanted.length === 0 ? new Map() : await resourcesById(reader, wanted)
  const revisions = await pinnedRevisions(reader, [...grants.values()])
  return requests.flatMap((request) => {
    const grant = grants.get(request.id) ?? null
    const pinned = new Map(
      (grant?.roles ?? []).flatMap(({ id, revision }) => {
        const spec = revisions.get(`${id}/${revision}`)
        return spec ? [[id, spec] as const] : []
      }),
    )
    return consequenceFor({ request, grant, directory, resources, pinned }, now).kind === 'none' ? [] : [request.id]
  })
}

/** Only a resource grant is judged by what it pins. */
async function pinnedRevisions(reader: Reader, grants: readonly StoredGrant[]): Promise<ReadonlyMap<string, RoleSpec>> {
  const ids = grants.flatMap(({ roles, resources }) =>
    resources.length === 0 ? [] : roles.map(({ id, revision }) => `${id}/${revision}`),
  )
  if (ids.length === 0) return new Map()
  const rows = await reader
    .selectFrom('role_revisions')
    .select(['id', 'spec_json'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map((row) => [row.id, JSON.parse(row.spec_json) as RoleSpec]))
}

// Not by the state: SQLite would look at all that waits instead of taking the index of when it ends.
const overdue = fixedStatement<{ id: string }>(
  `select id from access_requests where decided_at is null and pending_until <= ?`,
)
const grantsOver = fixedStatement<{ id: string }>(
  `select request_id as id from grants where state <> 'ended' and ends_at <= ?`,
)
const grantsToMove = fixedStatement<{ id: string }>(
  `select request_id as id from grants
   where state <> 'ended' and state = 'scheduled' and (use_by <= ? or (use_by is null and starts_at <= ?))`,
)

/** Only what the clock starts and ends: cheap enough for every second. */
export async function overdueRequests(reader: Reader, now: number): Promise<string[]> {
  const rows = [
    ...(await overdue(reader, now)),
    ...(await grantsOver(reader, now)),
    ...(await grantsToMove(reader, now, now)),
  ]
  return [...new Set(rows.map(({ id }) => id))]
}
