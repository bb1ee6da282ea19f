import type { RoleSpec } from '../contract/role.ts'
import type { Automation } from './automate/automation.ts'
import { rulingOf, type Ruling } from './automate/ruling.ts'
import type { AcknowledgementsTable } from '../foundation/database/tables.ts'
import { tally, type Tally, type TallyInput } from './decide/tally.ts'
import type { Delegation } from './delegation/delegation.ts'
import { loadDirectory, type Directory, type Reader } from './directory.ts'
import { hindranceOf } from './route/hindrance.ts'
import { digestOfFacts, routeRequest, type RequestFacts } from './route/route-request.ts'
import { storedGrant, type StoredGrant } from '../grants/stored-grant.ts'
import { resourcesById } from '../resources/find-resources.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import { storedRequest, storedVote, type StoredRequest, type Vote } from './stored-request.ts'

/** A request with everything that decides about it, as of one read. */
export interface RequestCase {
  readonly request: StoredRequest
  readonly requesterName: string
  readonly directory: Directory
  readonly delegations: readonly Delegation[]
  readonly facts: RequestFacts
  readonly factsDigest: string
  readonly hindrance: string | null
  /** What rules and policies said last, and what follows from it */
  readonly automation: Automation | null
  readonly ruling: Ruling
  /** All votes by ordinal, replaced ones included */
  readonly votes: readonly Vote[]
  readonly tally: Tally
  readonly grant: StoredGrant | null
  /** Of an extension: the grant whose end it would move */
  readonly extended: StoredGrant | null
  /** Names of requester and voters, gone ones included */
  readonly names: ReadonlyMap<string, string>
  /** Requested resources that still exist, by id */
  readonly resources: ReadonlyMap<string, ResourceFacts>
  /** Role revisions that its live resource grant pins, by role id */
  readonly pinned: ReadonlyMap<string, RoleSpec>
  /** Of break-glass access: who else has looked at it */
  readonly acknowledgements: readonly AcknowledgementsTable[]
}

/** Null: there is no such request. Give `directory` when several cases are loaded from one read. */
export async function loadCase(
  tx: Reader,
  id: string,
  now: number,
  directory?: Directory,
): Promise<RequestCase | null> {
  const row = await tx.selectFrom('access_requests').selectAll().where('id', '=', id).executeTakeFirst()
  if (!row) return null
  const request = storedRequest(row)
  const votes = await tx.selectFrom('reviews').selectAll().where('request_id', '=', id).orderBy('ordinal').execute()
  const grant = await tx.selectFrom('grants').selectAll().where('request_id', '=', id).executeTakeFirst()
  const extended = request.extends_grant === null ? null : await grantWithId(tx, request.extends_grant)
  const known = directory ?? (await loadDirectory(tx, now))
  const people = votes.flatMap((vote) => [vote.reviewer_id, ...(vote.on_behalf_of === null ? [] : [vote.on_behalf_of])])
  const acknowledgements = await acknowledgementsOf(tx, request)
  const names = await namesOf(tx, [request.user_id, ...people, ...acknowledgements.map((each) => each.user_id)])
  const resources = await resourcesById(tx, request.resources)
  const stored = grant ? storedGrant(grant) : null
  const pinned = await pinnedSpecs(tx, stored)
  const built = buildCase(request, votes.map(storedVote), stored, known, names, resources, extended)
  return { ...built, pinned, acknowledgements }
}

export function buildCase(
  request: StoredRequest,
  votes: readonly Vote[],
  grant: StoredGrant | null,
  directory: Directory,
  names: ReadonlyMap<string, string>,
  resources: ReadonlyMap<string, ResourceFacts>,
  extended: StoredGrant | null = null,
  automation: Automation | null = request.automation,
): RequestCase {
  const requesterName = names.get(request.user_id) ?? ''
  const facts = routeRequest(directory.members.get(request.user_id), request, directory, resources)
  const ruling = rulingOf(automation, facts)
  const base = {
    request,
    requesterName,
    delegations: directory.delegations,
    facts,
    factsDigest: digestOfFacts(facts),
    hindrance: hindranceOf(request.user_id, facts, directory) ?? ruling.blocked,
    automation,
    ruling,
  }
  const standing = votes.filter((vote) => vote.superseded_at === null)
  const input: TallyInput = { ...base, votes: standing, voters: directory.members }
  return {
    ...base,
    directory,
    votes,
    grant,
    extended,
    names,
    resources,
    pinned: NONE_PINNED,
    acknowledgements: [],
    tally: tally(input),
  }
}

const NONE_PINNED: ReadonlyMap<string, RoleSpec> = new Map()

/** Only a resource grant is judged by them here: whether what it pins is still given decides whether it is suspended. */
async function pinnedSpecs(tx: Reader, grant: StoredGrant | null): Promise<ReadonlyMap<string, RoleSpec>> {
  if (!grant || grant.state === 'ended' || grant.resources.length === 0) return NONE_PINNED
  const ids = grant.roles.map(({ id, revision }) => `${id}/${revision}`)
  const rows = await tx.selectFrom('role_revisions').select(['role_id', 'spec_json']).where('id', 'in', ids).execute()
  return new Map(rows.map((row) => [row.role_id, JSON.parse(row.spec_json) as RoleSpec]))
}

async function acknowledgementsOf(tx: Reader, { id, kind }: StoredRequest): Promise<AcknowledgementsTable[]> {
  if (kind !== 'break_glass') return []
  return tx.selectFrom('acknowledgements').selectAll().where('request_id', '=', id).orderBy('created_at').execute()
}

async function grantWithId(tx: Reader, id: string): Promise<StoredGrant | null> {
  const row = await tx.selectFrom('grants').selectAll().where('id', '=', id).executeTakeFirst()
  return row ? storedGrant(row) : null
}

async function namesOf(tx: Reader, ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const rows = await tx
    .selectFrom('users')
    .select(['id', 'name'])
    .where('id', 'in', [...new Set(ids)])
    .execute()
  return new Map(rows.map((row) => [row.id, row.name]))
}
