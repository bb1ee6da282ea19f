import type { RoleSpec } from '../contract/role.ts'
import type { Automation } from './automate/automation.ts'
import { rulingOf, type Ruling } from './automate/ruling.ts'
import type { AcknowledgementsTable, EscalationsTable } from '../foundation/database/tables.ts'
import { tally, type Tally, type TallyInput } from './decide/tally.ts'
import type { Delegation } from './delegation/delegation.ts'
import type { Changed } from './end/expire-request.ts'
import { stepsOf } from './escalate/plan-escalation.ts'
import { notesOn, type Note } from './annotate/notes.ts'
import { loadDirectory, type Directory, type Reader } from './directory.ts'
import { hindranceOf } from './route/hindrance.ts'
import { digestOfFacts, routeRequest, type RequestFacts } from './route/route-request.ts'
import { fixedList, fixedStatement } from '../foundation/database/fixed-statement.ts'
import type { AccessRequestsTable, GrantsTable, ReviewsTable } from '../foundation/database/tables.ts'
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
  /** Who is told when nobody answers; read only for those who are shown it */
  readonly steps: readonly EscalationsTable[]
  /** What service accounts say about it; read as `steps` are. Nothing is decided by them. */
  readonly notes: readonly Note[]
}

/** As `loadCase`, with what is only shown. */
export async function loadWhole(tx: Reader, id: string, now: number): Promise<RequestCase | null> {
  const loaded = await loadCase(tx, id, now)
  return loaded && withSteps(tx, loaded)
}

export async function withSteps(tx: Reader, loaded: RequestCase): Promise<RequestCase> {
  const steps = await stepsOf(tx, [loaded.request.id])
  const notes = await notesOn(tx, [loaded.request.id])
  return steps.length + notes.length === 0 ? loaded : { ...loaded, steps, notes }
}

/** What a case is made of, besides the directory. */
interface CaseRows {
  readonly row: AccessRequestsTable
  readonly votes: readonly ReviewsTable[]
  readonly grant: GrantsTable | undefined
}

interface Made extends CaseRows {
  readonly loaded: RequestCase
}

/** Cases of requests for roles alone, the last ones read with each directory: while all rows stay, so does what follows. */
const made = new WeakMap<Directory, Map<string, Made>>()
const MOST_MADE = 100

/** Null: there is no such request. Give `directory` when several cases are loaded from one read. */
export async function loadCase(
  tx: Reader,
  id: string,
  now: number,
  directory?: Directory,
): Promise<RequestCase | null> {
  const [row] = await requestWithId(tx, id)
  if (!row) return null
  const votes = await votesOn(tx, id)
  const [grant] = mayBeGranted(row) ? await grantOf(tx, id) : []
  const known = directory ?? (await loadDirectory(tx, now))
  const before = made.get(known)?.get(id)
  if (before && sameRow(before.row, row) && sameRows(before.votes, votes) && sameRow(before.grant, grant))
    return before.loaded
  const loaded = await makeCase(tx, row, votes, grant, known)
  if (!dependsOnOtherRows(loaded)) keep({ row, votes, grant, loaded })
  return loaded
}

function keep(kept: Made): void {
  const { directory, request } = kept.loaded
  const cases = made.get(directory) ?? new Map<string, Made>()
  if (cases.size >= MOST_MADE) cases.clear()
  made.set(directory, cases.set(request.id, kept))
}

/**
 * The case of a request that a deed has just stored. Null: what else it depends on has to be read. Whoever reads the same rows
 * finds it made.
 */
export function caseOfNew(row: AccessRequestsTable, made: RequestCase): RequestCase | null {
  if (made.votes.length > 0 || dependsOnOtherRows(made)) return null
  const loaded = { ...made, request: storedRequest(row) }
  keep({ row, votes: [], grant: undefined, loaded })
  return loaded
}

/** What a deed did to a request, its new vote and the grant that it made. */
export interface Done {
  readonly changed: Changed
  readonly vote: ReviewsTable
  readonly grant: GrantsTable | null
}

/** As `caseOfNew`, of a request that got one vote more: `before` as it was read, `counted` with the vote. */
export function caseAfter(before: RequestCase, counted: RequestCase, done: Done): RequestCase | null {
  const was = made.get(before.directory)?.get(before.request.id)
  if (was?.loaded !== before) return null
  const rows = {
    row: { ...was.row, ...done.changed },
    votes: [...was.votes, done.vote],
    grant: done.grant ?? undefined,
  }
  const { votes, tally, names } = counted
  const request = { ...before.request, ...done.changed }
  const loaded = { ...before, request, votes, tally, names, grant: done.grant && storedGrant(done.grant) }
  keep({ ...rows, loaded })
  return loaded
}

/** On rows besides its own, its votes, its grant and what the directory knows. */
const dependsOnOtherRows = ({ request, names, directory }: RequestCase): boolean =>
  request.extends_grant !== null ||
  request.kind === 'break_glass' ||
  request.resources.length > 0 ||
  [...names.keys()].some((id) => !directory.members.has(id))

/** Whatever event tells of it. */
function sameRow(one: object | undefined, other: object | undefined): boolean {
  if (!one || !other) return one === other
  for (const [column, value] of Object.entries(one))
    if (value !== Reflect.get(other, column) && column !== 'event_id') return false
  return true
}

const sameRows = (some: readonly object[], others: readonly object[]): boolean =>
  some.length === others.length && some.every((row, index) => sameRow(row, others[index]))

async function makeCase(
  tx: Reader,
  row: AccessRequestsTable,
  voteRows: readonly ReviewsTable[],
  grant: GrantsTable | undefined,
  known: Directory,
): Promise<RequestCase> {
  const request = storedRequest(row)
  const votes = voteRows.map(storedVote)
  const extended = request.extends_grant === null ? null : await grantWithId(tx, request.extends_grant)
  const acknowledgements = await acknowledgementsOf(tx, request)
  const people = [request.user_id, ...votersOf(votes), ...acknowledgements.map((each) => each.user_id)]
  const names = await namesOf(tx, people, known)
  const resources = request.resources.length === 0 ? NO_RESOURCES : await resourcesById(tx, request.resources)
  const stored = grant ? storedGrant(grant) : null
  const pinned = await pinnedSpecs(tx, stored)
  const built = buildCase(request, votes, stored, known, names, resources, extended)
  return { ...built, pinned, acknowledgements }
}

/** Several, in the order of `ids`, from a few reads; those that are not there are left out. For showing: `pinned` stays empty. */
export async function loadCases(tx: Reader, ids: readonly string[], directory: Directory): Promise<RequestCase[]> {
  if (ids.length === 0) return []
  const rows = await requestsWithIds(tx, ids)
  const requests = new Map(rows.map((row) => [row.id, storedRequest(row)]))
  const voteRows = await votesOnAll(tx, ids)
  const votes = Map.groupBy(voteRows.map(storedVote), (vote) => vote.request_id)
  const granted = rows.filter(mayBeGranted).map((row) => row.id)
  const grants = new Map((await grantsOf(tx, granted)).map((row) => [row.request_id, storedGrant(row)]))
  const extendedIds = rows.flatMap((row) => row.extends_grant ?? [])
  const extended = new Map((await grantsWithIds(tx, extendedIds)).map((row) => [row.id, storedGrant(row)]))
  const all = [...requests.values()]
  const acknowledged = new Map<string, RequestCase['acknowledgements']>()
  for (const request of all) acknowledged.set(request.id, await acknowledgementsOf(tx, request))
  const steps = Map.groupBy(await stepsOf(tx, ids), (step) => step.request_id)
  const notes = Map.groupBy(await notesOn(tx, ids), (note) => note.request_id)
  const people = [
    ...all.map((request) => request.user_id),
    ...votersOf([...votes.values()].flat()),
    ...[...acknowledged.values()].flat().map((each) => each.user_id),
  ]
  const names = await namesOf(tx, people, directory)
  const wanted = all.flatMap((request) => request.resources)
  const resources = wanted.length === 0 ? NO_RESOURCES : await resourcesById(tx, wanted)
  return ids.flatMap((id) => {
    const request = requests.get(id)
    if (!request) return []
    const grant = grants.get(id) ?? null
    const prolonged = extended.get(request.extends_grant ?? '') ?? null
    const built = buildCase(request, votes.get(id) ?? [], grant, directory, names, resources, prolonged)
    const shown = { steps: steps.get(id) ?? [], notes: notes.get(id) ?? [] }
    return [{ ...built, acknowledgements: acknowledged.get(id) ?? [], ...shown }]
  })
}

const NO_RESOURCES: ReadonlyMap<string, ResourceFacts> = new Map()

const requestsWithIds = fixedList<AccessRequestsTable>((ids) => `select * from access_requests where id in ${ids}`)
const votesOnAll = fixedList<ReviewsTable>((ids) => `select * from reviews where request_id in ${ids} order by ordinal`)
const grantsOf = fixedList<GrantsTable>((ids) => `select * from grants where request_id in ${ids}`)
const grantsWithIds = fixedList<GrantsTable>((ids) => `select * from grants where id in ${ids}`)
const requestWithId = fixedStatement<AccessRequestsTable>('select * from access_requests where id = ?')
const votesOn = fixedStatement<ReviewsTable>('select * from reviews where request_id = ? order by ordinal')
const grantOf = fixedStatement<GrantsTable>('select * from grants where request_id = ?')

/** Only an approval makes a grant, in the same transaction. */
const mayBeGranted = ({ state }: Pick<AccessRequestsTable, 'state'>): boolean => state === 'approved'

const votersOf = (votes: readonly Vote[]): string[] =>
  votes.flatMap((vote) => [vote.reviewer_id, ...(vote.on_behalf_of === null ? [] : [vote.on_behalf_of])])

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
    steps: [],
    notes: [],
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

/** Names of gone people are in the store alone. */
async function namesOf(tx: Reader, ids: readonly string[], directory: Directory): Promise<ReadonlyMap<string, string>> {
  const names = new Map<string, string>()
  const gone = new Set<string>()
  for (const id of ids) {
    const member = directory.members.get(id)
    if (member) names.set(id, member.name)
    else gone.add(id)
  }
  if (gone.size === 0) return names
  const rows = await tx
    .selectFrom('users')
    .select(['id', 'name'])
    .where('id', 'in', [...gone])
    .execute()
  for (const { id, name } of rows) names.set(id, name)
  return names
}
