import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import type { ReviewsTable } from '../../foundation/database/tables.ts'
import { refuseBadLength, refuseBadReason } from '../ask/plan-ask.ts'
import { requestNotFound, type Caller } from '../caller.ts'
import { judgeAgain } from '../automate/judge-again.ts'
import type { Answers } from '../automate/judge.ts'
import type { Member } from '../directory.ts'
import { touchRequest } from '../end/expire-request.ts'
import { isLate, lateDeed, latenessOf, type VoteOutcome } from '../end/lateness.ts'
import { bounded } from '../bounded.ts'
import { LIMITS } from '../limits.ts'
import { requestReviewed } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { buildCase, caseAfter, loadCase, type RequestCase } from '../request-case.ts'
import { indexVoters } from '../search-index.ts'
import { storedVote, type Vote } from '../stored-request.ts'
import { decide, type Decided } from './decide-request.ts'
import { refuseClosedWindow, seatFor, type Seating } from './seat.ts'
import { outcomeOf } from './tally.ts'
import { limitedBallot, narrowed, refuseOtherStart, termsAsked, type Terms } from './terms.ts'

export interface Ballot {
  readonly decision: 'approve' | 'deny'
  readonly reason: string
  /** Shortens what is granted; null leaves it */
  readonly durationMs: number | null
  /** Moves the start later; null leaves it */
  readonly startAt: number | null
  /** What the voter was shown that approvals so far would give; null = the request as it was asked */
  readonly shown: Terms | null
  /** Name of the absent one to vote for; null = as self, or for the only one there is */
  readonly onBehalfOf?: string | null
  readonly requestDigest: string
  readonly factsDigest: string
}

/**
 * One vote, and the decision it may bring, in one transaction. Rules and policies are asked again: what they say now counts.
 * Errors: Refused with not_found, own_request, not_a_reviewer, absent_one_unclear, outside_window, user_disabled, locked,
 * already_resolved, request_expired,
 * request_changed, widens_request, malformed, over_limit.
 */
export async function voteDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  id: string,
  ballot: Ballot,
  answers: Answers | null,
): Promise<Deed<VoteOutcome>> {
  const loaded = await loadCase(tx, id, now)
  if (!loaded) throw requestNotFound()
  const { reviewer, before, limited, ...seat } = checkBallot(loaded, caller, ballot, now)
  if (isLate(loaded, now)) return lateDeed(tx, loaded, now)
  const automatic = await judgeAgain(tx, loaded, answers, now)
  const row = await storeVote(tx, { ...loaded, votes: automatic.votes }, reviewer, seat, limited, before, now)
  const vote = storedVote(row)
  const votes = [...automatic.votes.filter((other) => other !== before), vote]
  const names = new Map(loaded.names)
  for (const member of [reviewer, seat.absent]) if (member) names.set(member.id, member.name)
  const { request, directory, resources, extended } = loaded
  const counted = buildCase(request, votes, null, directory, names, resources, extended, automatic.automation)
  const cast = { vote, before, reviewer, caller, automatic: automatic.events }
  const { changed, grant, ...deed } = await decisionDeed(tx, counted, cast, now)
  // Replaced votes and what rules said anew are read.
  const isAlone = before === null && automatic.votes === loaded.votes
  const after = isAlone ? caseAfter(loaded, counted, { changed, vote: row, grant }) : null
  return { ...deed, result: { kind: 'counted', after } }
}

/** Everything that can be refused before a vote is written. An overdue request passes: its end has to be stored first. */
export function checkBallot(
  loaded: RequestCase,
  caller: Caller,
  ballot: Ballot,
  now: number,
): Seating & { readonly before: Vote | null; readonly limited: Ballot } {
  const seating = seatFor(caller, loaded, ballot.onBehalfOf ?? null, now)
  const { reviewer } = seating
  const before = loaded.votes.find((vote) => vote.reviewer_id === reviewer.id && vote.superseded_at === null) ?? null
  refuseResolved(loaded, before, ballot, seating)
  if (isLate(loaded, now)) return { ...seating, before, limited: ballot }
  refuseClosedWindow(seating, loaded, now)
  refuseOtherContent(loaded, ballot)
  refuseBadBallot(loaded, ballot, now)
  const limited = limitedBallot(loaded, before, ballot)
  const again = before && sameVote(before, limited, seating) && sameRoles(before, seating)
  // Rules and policies may say something else this time.
  const settled = loaded.facts.rules.length + loaded.facts.policies.length === 0
  if (again && settled && outcomeOf(loaded.tally, before.id) === 'pending')
    throw new NothingToDo<VoteOutcome>({ kind: 'counted', after: null })
  return { ...seating, before, limited }
}

function refuseResolved({ request }: RequestCase, before: Vote | null, ballot: Ballot, seat: Seating): void {
  if (request.state === 'pending') return
  // A double click, or a retry after a lost answer, is told what came of it.
  const sent = [ballot, narrowed(request, ballot, ballot.shown)]
  if (before && sent.some((each) => sameVote(before, each, seat)) && request.state !== 'expired')
    throw new NothingToDo<VoteOutcome>({ kind: 'counted', after: null })
  if (request.state === 'expired') throw latenessOf(request)
  throw new Refused(
    'already_resolved',
    `the request is ${request.state} already${request.resolution ? `: ${request.resolution}` : ''}`,
  )
}

function refuseOtherContent(loaded: RequestCase, ballot: Ballot): void {
  const { request, factsDigest, tally } = loaded
  const again = `look again: sally request show ${request.id}`
  if (ballot.requestDigest !== request.request_digest || ballot.factsDigest !== factsDigest)
    throw new Refused('request_changed', 'the rules or a role changed since you were shown this request', again, {
      requestDigest: request.request_digest,
      factsDigest,
    })
  const { grantedMs: durationMs, startAt } = tally
  const shown = ballot.shown ?? termsAsked(loaded)
  if (ballot.decision === 'deny' || (shown.durationMs === durationMs && shown.startAt === startAt)) return
  throw new Refused('request_changed', 'what approvals so far would give is not what you were shown', again, {
    grantedDuration: durationMs,
    grantedStart: startAt,
  })
}

function refuseBadBallot(
  { request }: RequestCase,
  { reason, durationMs, startAt, decision }: Ballot,
  now: number,
): void {
  refuseBadReason(reason)
  if (startAt !== null) refuseOtherStart(request, startAt, decision, now)
  if (durationMs === null) return
  if (decision === 'deny') throw new Refused('malformed', 'a denial has no duration')
  refuseBadLength(durationMs, 'duration', LIMITS.durationMs)
  if (durationMs > request.duration_ms)
    throw new Refused(
      'widens_request',
      'a reviewer may shorten the duration, never lengthen it',
      'leave the duration out, or name a shorter one',
    )
}

function sameVote(vote: Vote, ballot: Ballot, { absent }: Seating): boolean {
  return (
    vote.on_behalf_of === (absent?.id ?? null) &&
    vote.decision === ballot.decision &&
    vote.reason === ballot.reason &&
    vote.duration_ms === ballot.durationMs &&
    vote.start_at === ballot.startAt &&
    vote.request_digest === ballot.requestDigest &&
    vote.facts_digest === ballot.factsDigest
  )
}

/** Another role may have come within reach since: a window has opened. */
const sameRoles = (vote: Vote, { roleIds }: Seating): boolean =>
  vote.roleIds.length === roleIds.length && roleIds.every((id) => vote.roleIds.includes(id))

async function storeVote(
  tx: Tx,
  { request, votes }: RequestCase,
  reviewer: Member,
  { absent, roleIds }: Pick<Seating, 'absent' | 'roleIds'>,
  ballot: Ballot,
  before: Vote | null,
  now: number,
): Promise<ReviewsTable> {
  if (before) await tx.updateTable('reviews').set({ superseded_at: now }).where('id', '=', before.id).execute()
  const row = {
    id: newId('review', now),
    event_id: '',
    request_id: request.id,
    reviewer_id: reviewer.id,
    reviewer_kind: 'user' as const,
    decision: ballot.decision,
    reason: ballot.reason,
    roles_json: canonicalJson(roleIds),
    duration_ms: ballot.durationMs,
    request_digest: ballot.requestDigest,
    facts_digest: ballot.factsDigest,
    created_at: now,
    ordinal: Math.max(0, ...votes.map((vote) => vote.ordinal)) + 1,
    superseded_at: null,
    start_at: ballot.startAt,
    on_behalf_of: absent?.id ?? null,
  }
  await insertRow(tx, 'reviews', row)
  await indexVoters(tx, request, [row.reviewer_id, row.on_behalf_of])
  return row
}

interface Cast {
  readonly vote: Vote
  readonly before: Vote | null
  readonly reviewer: Member
  readonly caller: Caller
  /** Of rules and policies */
  readonly automatic: readonly NewEvent[]
}

async function decisionDeed(
  tx: Tx,
  counted: RequestCase,
  { vote, before, reviewer, caller, automatic }: Cast,
  now: number,
): Promise<Omit<Deed<unknown>, 'result'> & Pick<Decided, 'changed' | 'grant'>> {
  const outcome = outcomeOf(counted.tally, vote.id)
  const reviewed = reviewEvent(counted, vote, before, caller)
  const told = requestReviewed(counted, reviewer.name, vote.decision, vote.reason)
  const failed = conditionEvents(counted, caller)
  if (outcome === 'pending') {
    const changed = await touchRequest(tx, counted.request)
    const rows = [...(reviewed.rows ?? []), { table: 'access_requests', id: counted.request.id } as const]
    return { events: [{ ...reviewed, rows }, ...automatic, ...failed], outbox: [told], changed, grant: null }
  }
  const { events, message, changed, grant } = await decide(tx, counted, outcome, caller, now)
  return { events: [reviewed, ...automatic, ...failed, ...events], outbox: [told, message], changed, grant }
}

function reviewEvent(
  { request, facts, automation }: RequestCase,
  vote: Vote,
  before: Vote | null,
  caller: Caller,
): NewEvent {
  const ids = before ? [before.id, vote.id] : [vote.id]
  return {
    type: 'access_request.review',
    actor: caller.actor,
    outcome: 'success',
    login: caller.loginId,
    request: request.id,
    details: {
      review: vote.id,
      replaces: before?.id ?? null,
      decision: vote.decision,
      onBehalfOf: vote.on_behalf_of,
      reason: vote.reason,
      roles: vote.roleIds,
      durationMs: vote.duration_ms,
      ...(caller.via === undefined ? {} : { via: caller.via }),
      ...(caller.secondFactor === undefined ? {} : { secondFactor: true }),
      startAt: vote.start_at,
      requestDigest: vote.request_digest,
      factsDigest: vote.facts_digest,
      // The request's row keeps the facts it was asked under; here stand those that replaced them.
      facts: vote.facts_digest === request.facts_digest ? null : bounded(facts),
      automation: automation && automation.judged.length > 0 ? bounded(automation) : null,
    },
    rows: ids.map((id) => ({ table: 'reviews', id })),
  }
}

function conditionEvents({ request, tally }: RequestCase, caller: Caller): NewEvent[] {
  return tally.problems.slice(0, 10).map((problem) => ({
    type: 'condition.fail',
    actor: caller.actor,
    outcome: 'failure',
    request: request.id,
    details: { problem: problem.slice(0, 500) },
  }))
}
