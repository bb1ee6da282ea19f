import { sql } from 'kysely'
import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { requestDigest, requestIdentity } from '../../formats/request-digest.ts'
import { fixedStatement, insertRow } from '../../foundation/database/fixed-statement.ts'
import type { AccessRequestsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import { bounded } from '../bounded.ts'
import { automationFacts } from '../automate/automation-facts.ts'
import { onCallBasis, type OnCallBasis } from '../automate/on-call.ts'
import type { Automation } from '../automate/automation.ts'
import { automaticRows } from '../automate/cast-automatic-votes.ts'
import { judge, type Answers } from '../automate/judge.ts'
import { maySee, requestNotFound, requireMember, type Caller } from '../caller.ts'
import { loadDirectory, type Directory, type Member, type Reader } from '../directory.ts'
import { expireRequest } from '../end/expire-request.ts'
import { escalationSteps, firstToTell, storeEscalation, type PlannedStep } from '../escalate/plan-escalation.ts'
import { LIMITS } from '../limits.ts'
import { requestCreated } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { buildCase, caseOfNew, loadCase, type RequestCase } from '../request-case.ts'
import { digestOfFacts } from '../route/route-request.ts'
import { membersWhoMayReview, nobodyCanApprove } from '../route/who-can-review.ts'
import { delegatesOf, presentReviewers } from '../show/present-reviewers.ts'
import {
  askedAs,
  pinnedResources,
  storedNarrowing,
  type PinnedResource,
  type PinnedRole,
  type StoredGrant,
} from '../../grants/stored-grant.ts'
import { findResources, resourcesById } from '../../resources/find-resources.ts'
import { indexRequest } from '../search-index.ts'
import { storedRequest, storedVote, type StoredRequest } from '../stored-request.ts'
import { decideAtAsk, outcomeAtAsk } from './decide-at-ask.ts'
import { findGrant } from './find-grant.ts'
import { planExtension, type ExtensionAsked } from './plan-extension.ts'
import { planAsk, refuseTooManyAsks, type Asked, type AskHistory, type AskPlan } from './plan-ask.ts'

export interface AskOutcome {
  readonly requestId: string
  readonly existing: boolean
  /** What the dry run would have said of it; null: it was there already */
  readonly forecast: (() => AskForecast) | null
  /** The request as the deed left it; null: it has to be read */
  readonly after: RequestCase | null
}

/** What a request would be: who could approve it and what stands against it. */
export interface AskForecast {
  readonly plan: AskPlan
  readonly steps: readonly PlannedStep[]
  /** With the votes that rules and policies would cast */
  readonly routed: RequestCase
  readonly outcome: ReturnType<typeof outcomeAtAsk>
  readonly reviewers: readonly Member[]
  readonly shown: ReturnType<typeof presentReviewers>
  readonly nobodyCanApprove: boolean
}

/** The dry run: the same rules on the same facts, and nothing is stored. */
export async function forecastAsk(
  reader: Reader,
  now: number,
  caller: Caller,
  asked: Asked,
  answers: Answers | null,
): Promise<AskForecast> {
  const directory = await loadDirectory(reader, now)
  const requester = requireMember(caller, directory, 'ask for access')
  const history = await historyOf(reader, requester.id, now)
  const plan = planAsk(requester, asked, directory, history, await findResources(reader, asked.resources), now)
  const row = requestRow(plan, requester, directory, caller, now)
  const onCall = await onCallBasis(reader, directory, plan.facts, requester.id)
  const judged = judgeAsk(row, { plan, requester, directory, answers, onCall }, now)
  const votes = automaticRows(judged, judged.ruling, now).map(storedVote)
  const { request, names, resources, extended, automation } = judged
  const routed = buildCase(request, votes, null, directory, names, resources, extended, automation)
  const steps = escalationSteps(requester, plan.roles, askedAs(plan))
  return forecastOf(plan, steps, routed, now)
}

function forecastOf(plan: AskPlan, steps: readonly PlannedStep[], routed: RequestCase, now: number): AskForecast {
  const { directory } = routed
  const reviewers = membersWhoMayReview(directory, routed, now)
  const shown = presentReviewers(reviewers, routed, directory.members, now)
  const nobody = nobodyCanApprove(reviewers, routed, now)
  return { plan, steps, routed, outcome: outcomeAtAsk(routed.tally), reviewers, shown, nobodyCanApprove: nobody }
}

/** The request with what rules and policies say of it, before anybody has voted. Throws PoliciesUnasked. */
function judgeAsk(row: RequestRow, { plan, requester, directory, answers, onCall }: Judging, now: number): RequestCase {
  const request = storedRequest(row)
  const facts = automationFacts(request, requester.name, requester, now)
  const automation = judge(directory, plan.facts, facts, answers, onCall)
  const names = new Map([[requester.id, requester.name]])
  const current = new Map(plan.resources.map((resource) => [resource.id, resource]))
  return buildCase(request, [], null, directory, names, current, plan.extended ?? null, automation)
}

/** Stores a request, or throws NothingToDo with the identical one that is pending. */
export async function askDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  asked: Asked,
  answers: Answers | null,
): Promise<Deed<AskOutcome>> {
  const directory = await loadDirectory(tx, now)
  const requester = requireMember(caller, directory, 'ask for access')
  const history = await historyOf(tx, requester.id, now)
  const plan = planAsk(requester, asked, directory, history, await findResources(tx, asked.resources), now)
  const asking = { requester, directory, history, caller, answers }
  return storePlan(tx, { plan, expanded: asked.roles.includes('*') }, asking, now)
}

/** More time for a grant of the caller's. Errors: not_found, not_allowed, exists, and those of planExtension. */
export async function extensionDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  id: string,
  asked: ExtensionAsked,
  answers: Answers | null,
): Promise<Deed<AskOutcome>> {
  const directory = await loadDirectory(tx, now)
  const requester = requireMember(caller, directory, 'ask for more time')
  const grant = await findGrant(tx, id)
  const loaded = grant && (await loadCase(tx, grant.request_id, now, directory))
  if (!grant || !loaded || !maySee(caller, loaded, now)) throw requestNotFound()
  if (grant.user_id !== requester.id)
    throw new Refused('not_allowed', 'only the one who has the grant asks for more time')
  const history = await historyOf(tx, requester.id, now)
  const left = await resourcesById(tx, grant.resources)
  const plan = planExtension(requester, grant, asked, directory, history, left, now)
  return storePlan(tx, { plan, expanded: false }, { requester, directory, history, caller, answers }, now)
}

interface Judging extends Pick<Asking, 'requester' | 'directory' | 'answers'> {
  readonly plan: AskPlan
  readonly onCall: OnCallBasis | null
}

interface Asking {
  readonly requester: Member
  readonly directory: Directory
  readonly history: AskHistory
  readonly caller: Caller
  readonly answers: Answers | null
}

async function storePlan(
  tx: Tx,
  { plan, expanded }: { readonly plan: AskPlan; readonly expanded: boolean },
  asking: Asking,
  now: number,
): Promise<Deed<AskOutcome>> {
  const { requester, directory, history, caller } = asking
  const row = requestRow(plan, requester, directory, caller, now)
  const identical = await identicalPending(tx, row.identity_hash, now)
  refuseTooManyAsks(history)
  const overdue = identical ?? (plan.extended && (await overdueExtension(tx, plan.extended, now)))
  const onCall = await onCallBasis(tx, directory, plan.facts, requester.id)
  const judged = judgeAsk(row, { plan, onCall, ...asking }, now)
  const expired = overdue ? await expireRequest(tx, overdue, requester.name) : null
  const stored = { ...row, facts_json: factsJson(plan, judged.automation) }
  await insertRow(tx, 'access_requests', stored)
  await indexRequest(tx, row, requester.name)
  const steps = escalationSteps(requester, plan.roles, askedAs(plan))
  await storeEscalation(tx, row, steps)
  const begun = await decideAtAsk(tx, judged, now)
  const reviewers = membersWhoMayReview(directory, begun.routed, now)
  const warnings = warningsOf(plan, begun.message === null && nobodyCanApprove(reviewers, begun.routed, now))
  const created = createdEvent(begun.routed, caller, expanded, reviewers, warnings)
  const told = { request: begun.routed.request, requesterName: requester.name }
  const first = firstToTell(reviewers, plan.suggested, steps.length > 0, begun.routed, now)
  const asks = requestCreated(told, namesToTell(first, begun.routed, directory, now), warnings)
  return {
    result: {
      requestId: row.id,
      existing: false,
      forecast: () => forecastOf(plan, steps, begun.routed, now),
      after: begun.message === null && steps.length === 0 ? caseOfNew(stored, begun.routed) : null,
    },
    events: [...(expired ? [expired.event] : []), created, ...begun.events] as [NewEvent, ...NewEvent[]],
    // Nobody is asked about what rules and policies have decided already.
    outbox: [...(expired ? [expired.message] : []), begun.message ?? asks],
  }
}

/** With those who stand in for them. */
function namesToTell(first: readonly Member[], routed: RequestCase, { members }: Directory, now: number): string[] {
  const standIns = delegatesOf(first, routed, members, now).map(({ delegate }) => delegate)
  return [...new Set([...first, ...standIns].map(({ name }) => name))]
}

const factsJson = ({ facts, earlierDenial }: AskPlan, automation: Automation | null): string =>
  canonicalJson({ facts, earlierDenial, ...(automation ? { automation } : {}) })

export function warningsOf(
  plan: Pick<AskPlan, 'earlierDenial'>,
  nobody: boolean,
): ('nobody_can_approve' | 'earlier_denial')[] {
  return [
    ...(nobody ? (['nobody_can_approve'] as const) : []),
    ...(plan.earlierDenial ? (['earlier_denial'] as const) : []),
  ]
}

const definedOnly = (narrowing: NonNullable<AskPlan['narrowing']>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(narrowing).flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])))

type RequestRow = ReturnType<typeof requestRow>

/** A pending request as it is stored. */
export function requestRow(plan: AskPlan, requester: Member, directory: Directory, caller: Caller, now: number) {
  const roles = plan.roles.map(({ id, name, revision, contentHash }): PinnedRole => ({
    id,
    name,
    revision,
    contentHash,
  }))
  const resources = plan.resources.map(({ kind, id, name }): PinnedResource => ({ kind, id, name }))
  const { start, reason, durationMs } = plan
  const common = {
    extends: plan.extended?.id ?? null,
    requesterId: requester.id,
    resources: resources.map(({ kind, id }) => ({ kind, id })),
    narrowing: plan.narrowing && definedOnly(plan.narrowing),
    reason,
    durationMs,
    start,
  }
  const kind = plan.extended ? ('extension' as const) : askedAs(plan)
  const id = newId('request', now)
  const content = {
    ...common,
    installation: directory.installation,
    id,
    kind,
    annotations: plan.annotations,
    resources: resources.map((resource) => ({ kind: resource.kind, id: resource.id })),
  }
  const pinned = roles.map(({ id: roleId, revision, contentHash }) => ({ id: roleId, revision, contentHash }))
  return {
    id,
    event_id: '',
    kind,
    user_id: requester.id,
    roles_json: canonicalJson(roles),
    reason: plan.reason,
    duration_ms: plan.durationMs,
    created_at: now,
    pending_until: plan.pendingUntil,
    state: 'pending' as const,
    decided_at: null,
    resolution: null,
    login_id: caller.loginId,
    facts_json: factsJson(plan, null),
    facts_digest: digestOfFacts(plan.facts),
    request_digest: requestDigest({ ...content, roles: pinned, pendingUntil: plan.pendingUntil }),
    annotations_json: canonicalJson(plan.annotations),
    suggested_json: canonicalJson(plan.suggested),
    identity_hash: requestIdentity({ ...common, roleIds: roles.map((role) => role.id) }),
    version: 1,
    resources_json: resources.length === 0 ? null : canonicalJson(resources),
    narrowing_json: plan.narrowing && canonicalJson(plan.narrowing),
    start_json: start.at === 'approval' ? null : canonicalJson(start),
    extends_grant: common.extends,
    settled_at: null,
    automation_json: null,
  }
}

// The state is written out: the index holds pending ones alone.
const pendingWithIdentity = fixedStatement<AccessRequestsTable>(
  `select * from access_requests where identity_hash = ? and state = 'pending'`,
)

/** Returns one whose time is over (the caller ends it); throws NothingToDo with one that still waits. */
async function identicalPending(tx: Tx, identity: string, now: number): Promise<StoredRequest | null> {
  const [row] = await pendingWithIdentity(tx, identity)
  if (!row) return null
  if (now < row.pending_until)
    throw new NothingToDo<AskOutcome>({ requestId: row.id, existing: true, forecast: null, after: null })
  return storedRequest(row)
}

/** One at a time: two would be judged by an end that the other moves. Returns one whose time is over (the caller ends it). */
async function overdueExtension(tx: Tx, grant: StoredGrant, now: number): Promise<StoredRequest | null> {
  const other = await tx
    .selectFrom('access_requests')
    .selectAll()
    .where('extends_grant', '=', grant.id)
    .where('state', '=', sql.lit('pending'))
    .executeTakeFirst()
  if (!other) return null
  if (now >= other.pending_until) return storedRequest(other)
  throw new Refused(
    'exists',
    'an extension of this grant waits for its decision already',
    `wait for it, or withdraw it: sally request cancel ${other.id}`,
  )
}

const asksSince = fixedStatement<{ asks: number }>(
  'select count(*) as asks from access_requests where user_id = ? and created_at > ?',
)
// By whom and when, and by the state only then (joined to nothing, it is in no index): an ask looks at few of all requests.
// A rule or policy alone is not pestered: what it missed may be mended at once. Beside it, a person's denial holds.
const deniedSince = fixedStatement<
  Pick<AccessRequestsTable, 'roles_json' | 'resources_json' | 'narrowing_json' | 'decided_at'>
>(
  `select roles_json, resources_json, narrowing_json, decided_at from access_requests a
   where user_id = ? and created_at > ? and state || '' = 'denied' and decided_at > ? and coalesce((
     select max(case r.reviewer_kind when 'user' then 1 else 0 end) from reviews r
     where r.request_id = a.id and r.decision = 'deny' and r.superseded_at is null), 1) = 1`,
)

async function historyOf(reader: Reader, userId: string, now: number): Promise<AskHistory> {
  const [{ asks } = { asks: 0 }] = await asksSince(reader, userId, now - LIMITS.askWindowMs)
  const remembered = now - LIMITS.denialRememberedMs
  const denied = await deniedSince(reader, userId, remembered - LIMITS.pendingMs, remembered)
  const denials = denied.map((row) => ({
    roleIds: (JSON.parse(row.roles_json) as PinnedRole[]).map((role) => role.id),
    resourceIds: pinnedResources(row.resources_json).map((resource) => resource.id),
    narrowing: storedNarrowing(row.narrowing_json),
    decidedAt: row.decided_at ?? 0,
  }))
  return { asksInLastHour: asks, denials }
}

function createdEvent(
  { request, automation }: RequestCase,
  caller: Caller,
  expanded: boolean,
  reviewers: readonly Member[],
  warnings: readonly string[],
): NewEvent {
  return {
    type: 'access_request.create',
    actor: caller.actor,
    outcome: 'success',
    login: caller.loginId,
    request: request.id,
    details: {
      roles: request.roles,
      resources: bounded(request.resources),
      narrowing: request.narrowing,
      expanded,
      extends: request.extends_grant,
      reason: request.reason,
      durationMs: request.duration_ms,
      start: request.start,
      pendingUntil: request.pending_until,
      requestDigest: request.request_digest,
      factsDigest: request.facts_digest,
      reviewers: reviewers.length,
      warnings,
      via: caller.via ?? 'api',
      automation: bounded(automation),
    },
    rows: [{ table: 'access_requests', id: request.id }],
  }
}
