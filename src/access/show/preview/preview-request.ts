import { sql } from 'kysely'
import type { RequestPreview } from '../../../contract/request-preview.ts'
import { hasStarted } from '../../../grants/grant-clock.ts'
import { confinementOf, storedGrant, type PinnedRole } from '../../../grants/stored-grant.ts'
import type { WorkingRole } from '../../../identity/node-access.ts'
import { mayDo } from '../../../identity/role-rules.ts'
import { databaseFacts } from '../../../resources/database-facts.ts'
import { nodeFacts } from '../../../resources/node-facts.ts'
import { maySee, mayOperate, mayReviewNow, memberOf, type Caller } from '../../caller.ts'
import type { Reader } from '../../directory.ts'
import { loadCases, type RequestCase } from '../../request-case.ts'
import { stateAt } from '../present-request.ts'
import { databaseGains, reachChange } from './reach-change.ts'
import { stillNeeded } from './still-needed.ts'

const MOST_NODES = 10_000
const USES_SHOWN = 5
const USES_LOOKED_AT = 200
const OTHERS_SHOWN = 10

/** For whoever may see the request; each part as far as the viewer may know it. */
export async function previewRequest(
  reader: Reader,
  loaded: RequestCase,
  caller: Caller,
  now: number,
): Promise<RequestPreview> {
  const judges = mayOperate(caller, loaded.directory, 'read') || mayReviewNow(caller, loaded, now)
  return {
    change: await changeOf(reader, loaded, now),
    lastUses: await lastUses(reader, loaded, caller),
    otherPending: await otherPending(reader, loaded, caller, now),
    hints: judges ? await addressHints(reader, loaded, caller) : [],
    needed: stillNeeded(loaded, now),
  }
}

/** What the requester could reach before and after an approval. */
export async function changeOf(reader: Reader, loaded: RequestCase, now: number): Promise<RequestPreview['change']> {
  const rows = await reader
    .selectFrom('nodes')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .limit(MOST_NODES + 1)
    .execute()
  const nodes = rows.slice(0, MOST_NODES).map(nodeFacts)
  const held = await rolesHeld(reader, loaded, now)
  const added = rolesAdded(loaded)
  const databases = await reader
    .selectFrom('databases')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .limit(MOST_NODES)
    .execute()
  return {
    ...reachChange(held, added, nodes, rows.length <= MOST_NODES),
    ...databaseGains(held, added, databases.map(databaseFacts)),
  }
}

/** The requester's own roles and what other grants give already. */
async function rolesHeld(reader: Reader, { request, directory }: RequestCase, now: number): Promise<WorkingRole[]> {
  const own = (directory.members.get(request.user_id)?.roles ?? []).map(({ id, name, spec }): WorkingRole => {
    return { id, name, origin: { kind: 'own' }, specs: [spec], confinedTo: null }
  })
  const rows = await reader
    .selectFrom('grants')
    .selectAll()
    .where('user_id', '=', request.user_id)
    .where('state', '=', 'active')
    .where('suspended', 'is', null)
    .where('request_id', '!=', request.id)
    .execute()
  const grants = rows.map(storedGrant).filter((grant) => hasStarted(grant, now) && now < grant.ends_at)
  const granted = grants.flatMap((grant) =>
    grant.roles.flatMap(({ id }): WorkingRole[] => {
      const role = directory.roles.get(id)
      const origin = { kind: 'granted', grantId: grant.id } as const
      return role ? [{ id, name: role.name, origin, specs: [role.spec], confinedTo: confinementOf(grant) }] : []
    }),
  )
  return [...own, ...granted]
}

function rolesAdded({ request, directory, resources }: RequestCase): WorkingRole[] {
  const pinned = request.resources.length > 0 ? [...resources.values()] : null
  const wanted = request.resources.flatMap(({ id }) => pinned?.find((resource) => resource.id === id) ?? [])
  const confined = pinned !== null || request.narrowing !== null
  const confinedTo = confined ? { resources: pinned && wanted, narrowing: request.narrowing } : null
  return request.roles.flatMap(({ id }): WorkingRole[] => {
    const role = directory.roles.get(id)
    const origin = { kind: 'granted', grantId: request.id } as const
    return role ? [{ id, name: role.name, origin, specs: [role.spec], confinedTo }] : []
  })
}

/** As with the recordings: own sessions, those by a request that the viewer voted on, and whoever may list sessions. */
async function lastUses(
  reader: Reader,
  { request, directory }: RequestCase,
  caller: Caller,
): Promise<RequestPreview['lastUses']> {
  const rows = await reader
    .selectFrom('sessions')
    .select(['id', 'request_ids_json', 'protocol', 'node_name', 'login', 'db_name', 'started_at', 'ended_at'])
    .where('user_id', '=', request.user_id)
    .orderBy('started_at', 'desc')
    .limit(USES_LOOKED_AT)
    .execute()
  const uses = rows.map((row) => ({ ...row, requests: JSON.parse(row.request_ids_json) as string[] }))
  const asked = [...new Set(uses.flatMap(({ requests }) => requests))]
  if (asked.length === 0) return []
  const wanted = new Set(request.roles.map(({ id }) => id))
  const earlier = await reader
    .selectFrom('access_requests')
    .select(['id', 'roles_json'])
    .where('id', 'in', asked)
    .execute()
  const same = new Set(
    earlier
      .filter(({ roles_json }) => (JSON.parse(roles_json) as PinnedRole[]).some(({ id }) => wanted.has(id)))
      .map(({ id }) => id),
  )
  const known = await requestsVotedOn(reader, caller, asked)
  const member = memberOf(caller, directory)
  const mayKnowAll =
    caller.local ||
    caller.userId === request.user_id ||
    (member?.standing.kind === 'good' && mayDo(member, 'session', 'list'))
  return uses
    .flatMap((use) => {
      const by = use.requests.find((id) => same.has(id))
      if (by === undefined || !(mayKnowAll || use.requests.some((id) => known.has(id)))) return []
      const { id: session, login, db_name: dbName, started_at: startedAt, ended_at: endedAt } = use
      const resource = { kind: use.protocol === 'ssh' ? ('node' as const) : ('database' as const), name: use.node_name }
      return [{ session, request: by, resource, login, dbName, startedAt, endedAt }]
    })
    .slice(0, USES_SHOWN)
}

async function requestsVotedOn(reader: Reader, caller: Caller, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (caller.userId === null) return new Set()
  const rows = await reader
    .selectFrom('reviews')
    .select('request_id')
    .where('request_id', 'in', ids)
    .where('reviewer_kind', '=', 'user')
    .where('reviewer_id', '=', caller.userId)
    .execute()
  return new Set(rows.map((row) => row.request_id))
}

async function otherPending(
  reader: Reader,
  { request, directory }: RequestCase,
  caller: Caller,
  now: number,
): Promise<RequestPreview['otherPending']> {
  const rows = await reader
    .selectFrom('access_requests')
    .select('id')
    .where('user_id', '=', request.user_id)
    .where('state', '=', sql.lit('pending'))
    .where('id', '!=', request.id)
    .orderBy('created_at', 'desc')
    .limit(OTHERS_SHOWN * 2)
    .execute()
  const cases = await loadCases(
    reader,
    rows.map(({ id }) => id),
    directory,
  )
  return cases
    .filter((other) => stateAt(other.request, now) === 'pending' && maySee(caller, other, now))
    .slice(0, OTHERS_SHOWN)
    .map(({ request: { id, roles, reason, created_at: createdAt } }) => {
      return { id, roles: roles.map(({ name }) => name), reason, createdAt }
    })
}

/** One person behind two accounts often sits in one place. A hint and no proof: an office has one address, too. */
async function addressHints(reader: Reader, { request, tally, names }: RequestCase, caller: Caller): Promise<string[]> {
  if (request.login_id === null) return []
  const asker = await reader
    .selectFrom('login_sessions')
    .select('address')
    .where('id', '=', request.login_id)
    .executeTakeFirst()
  if (!asker) return []
  const approvers = tally.votes.flatMap(({ vote, counts }) =>
    counts && vote.decision === 'approve' && vote.reviewer_kind === 'user' ? [vote.reviewer_id] : [],
  )
  const people = [...new Set([...approvers, ...(caller.userId === null ? [] : [caller.userId])])]
  const others = people.filter((id) => id !== request.user_id)
  if (others.length === 0) return []
  const rows = await reader
    .selectFrom('login_sessions')
    .select('user_id')
    .distinct()
    .where('user_id', 'in', others)
    .where('address', '=', asker.address)
    .where('ended_at', 'is', null)
    .execute()
  return rows.map(({ user_id: id }) =>
    id === caller.userId
      ? 'asked from the same address as yours'
      : `asked from the same address as ${names.get(id) ?? 'somebody'}, who approved, is signed in from`,
  )
}
