import type { AccessRequest, Grant, NamedResource, Review, ThresholdProgress } from '../../contract/request.ts'
import { sayings } from '../automate/ruling.ts'
import { mayAcknowledge, mayOperate, mayReviewNow, type Caller } from '../caller.ts'
import type { CountedVote } from '../decide/tally.ts'
import { LIMITS } from '../limits.ts'
import type { RequestCase } from '../request-case.ts'
import { membersStillToVote, membersWhoMayReview, nobodyCanApprove, votersOf } from '../route/who-can-review.ts'
import { clockEnd, hasStarted, lengthOf } from '../../grants/grant-clock.ts'
import type { PinnedResource, StoredGrant } from '../../grants/stored-grant.ts'
import { isAutomatic, type StoredRequest, type Vote } from '../stored-request.ts'
import { presentReviewers } from './present-reviewers.ts'

/** A request as its viewer is shown it at `now`. What the clock has ended is shown as ended, swept or not. */
export function presentRequest(loaded: RequestCase, caller: Caller, now: number): AccessRequest {
  const { request, requesterName, tally } = loaded
  const state = stateAt(request, now)
  const open = state === 'pending'
  const reviewers = open ? membersWhoMayReview(loaded.directory, loaded, now) : []
  const shownGrant = loaded.grant ?? loaded.extended
  const stuck = open && nobodyCanApprove(reviewers, loaded, now)
  return {
    id: request.id,
    kind: request.kind,
    user: requesterName,
    roles: request.roles.map((role) => role.name),
    resources: named(request.resources),
    narrowing: request.narrowing,
    reason: request.reason,
    duration: request.duration_ms,
    start: request.start,
    extends: request.extends_grant,
    grantedDuration: loaded.grant ? lengthOf(loaded.grant) : tally.grantedMs,
    grantedStart: tally.startAt,
    state,
    createdAt: request.created_at,
    pendingUntil: request.pending_until,
    decidedAt: request.decided_at ?? (open ? null : request.pending_until),
    resolution: open
      ? loaded.hindrance && `cannot be approved: ${loaded.hindrance}`
      : (request.resolution ?? 'nobody decided in time'),
    requestDigest: request.request_digest,
    factsDigest: loaded.factsDigest,
    suggestedReviewers: [...request.suggested],
    annotations: Object.fromEntries(Object.entries(request.annotations).map(([key, values]) => [key, [...values]])),
    reviews: presentVotes(loaded),
    // Nobody was asked: nothing is to be reached.
    progress: request.kind === 'break_glass' ? [] : progressOf(loaded),
    ...presentReviewers(membersStillToVote(reviewers, tally), loaded, loaded.directory.members, now, votersOf(tally)),
    warnings: [
      ...(stuck ? (['nobody_can_approve'] as const) : []),
      ...(request.asked.earlierDenial ? (['earlier_denial'] as const) : []),
    ],
    automatic: sayings(loaded.automation),
    notes: loaded.notes.map(({ id, author, key, body, at }) => ({ id, by: author, key, text: body, at })),
    escalation: presentSteps(loaded),
    acknowledged: loaded.acknowledgements.map(({ user_id, created_at: at, comment }) => {
      return { name: loaded.names.get(user_id) ?? '', at, comment }
    }),
    acknowledgementsNeeded: request.kind === 'break_glass' ? LIMITS.acknowledgements : 0,
    grant: shownGrant && presentGrant(shownGrant, requesterName, now),
    can: whatCan(loaded, caller, now),
    version: request.version,
  }
}

const named = (resources: readonly PinnedResource[]): NamedResource[] =>
  resources.map(({ kind, name }) => ({ kind, name }))

export function stateAt(request: Pick<StoredRequest, 'state' | 'pending_until'>, now: number): AccessRequest['state'] {
  return request.state === 'pending' && now >= request.pending_until ? 'expired' : request.state
}

function presentVotes({ request, votes, tally, names }: RequestCase): Review[] {
  const counted = new Map(tally.votes.map((entry) => [entry.vote.id, entry]))
  return votes.map((vote) => presentVote(vote, counted.get(vote.id), request, names))
}

function presentVote(
  vote: Vote,
  entry: CountedVote | undefined,
  request: StoredRequest,
  names: RequestCase['names'],
): Review {
  const roles = request.roles.filter((role) => vote.roleIds.includes(role.id)).map((role) => role.name)
  const why = entry ? entry.why : 'replaced'
  const { id, decision, reason, duration_ms: duration, start_at: startAt, created_at: at } = vote
  const reviewer = names.get(vote.reviewer_id) ?? (isAutomatic(vote) ? vote.reviewer_id : '')
  const onBehalfOf = vote.on_behalf_of === null ? null : (names.get(vote.on_behalf_of) ?? '')
  return { id, reviewer, onBehalfOf, decision, reason, roles, duration, startAt, at, counts: why === null, why }
}

function progressOf({ tally }: RequestCase): ThresholdProgress[] {
  return tally.roles.flatMap(({ role, sets }) =>
    sets.flatMap(({ thresholds }) =>
      thresholds.map(({ name, approvals, approve, denials, deny, met }) => ({
        role: role.name,
        name,
        approvals,
        approve,
        denials,
        deny,
        met,
      })),
    ),
  )
}

function presentSteps({ steps, directory }: RequestCase): AccessRequest['escalation'] {
  return steps.map(({ after_ms: after, notify_json, told_at: at, told_json }) => {
    const told = (JSON.parse(told_json ?? '[]') as string[]).slice(0, LIMITS.reviewersShown)
    const names = told.map((id) => directory.members.get(id)?.name ?? 'gone')
    return { after, notify: JSON.parse(notify_json) as string[], at, told: names }
  })
}

/** Also for /v1/me: grants of a user. */
export function presentGrant(grant: StoredGrant, user: string, now: number): Grant {
  const end = clockEnd(grant)
  const over = grant.state !== 'ended' && now >= end.at
  const state = grant.state === 'scheduled' && hasStarted(grant, now) ? 'active' : grant.state
  return {
    id: grant.id,
    requestId: grant.request_id,
    user,
    roles: grant.roles.map((role) => role.name),
    resources: named(grant.resources),
    narrowing: grant.narrowing,
    state: over ? 'ended' : state,
    startsAt: grant.starts_at,
    endsAt: grant.ends_at,
    useBy: grant.use_by,
    endedAt: over ? end.at : grant.ended_at,
    endReason: over ? end.reason : (grant.end_reason as Grant['endReason']),
    endedBy: grant.ended_by,
    endComment: grant.end_comment,
  }
}

/** Buttons come from here; the deeds check for themselves. */
function whatCan(loaded: RequestCase, caller: Caller, now: number): AccessRequest['can'] {
  const { request, grant } = loaded
  const own = caller.userId !== null && caller.userId === request.user_id
  if (stateAt(request, now) === 'pending') {
    if (own) return ['cancel']
    return mayReviewNow(caller, loaded, now, now) ? ['review'] : []
  }
  const look = lookable(loaded, caller, now)
  if (!grant || grant.state === 'ended' || now >= clockEnd(grant).at) return look
  const can: AccessRequest['can'] = own ? (grant.kind === 'break_glass' ? ['return'] : ['return', 'extend']) : []
  return mayRevoke(caller, loaded, now) ? [...can, ...look, 'revoke'] : [...can, ...look]
}

function lookable(loaded: RequestCase, caller: Caller, now: number): AccessRequest['can'] {
  const { request, acknowledgements } = loaded
  const open = request.settled_at === null
  const mine = acknowledgements.some((each) => each.user_id === caller.userId)
  return open && !mine && mayAcknowledge(caller, loaded, now) ? ['acknowledge'] : []
}

/** Whoever may review it now, and operators. */
export function mayRevoke(caller: Caller, loaded: RequestCase, now: number): boolean {
  return mayOperate(caller, loaded.directory, 'delete') || mayReviewNow(caller, loaded, now)
}
