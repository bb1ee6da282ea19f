import { Refused } from '../../foundation/errors.ts'
import { instantOf, refuseBadStart } from '../ask/plan-start.ts'
import type { RequestCase } from '../request-case.ts'
import type { Vote } from '../stored-request.ts'
import { termsOf } from './tally.ts'

/** How long and from when: what a request asks for and what approvals leave of it. */
export interface Terms {
  readonly durationMs: number
  /** Null: at approval or first use */
  readonly startAt: number | null
}

/** What a vote says about the terms. */
interface Limits {
  readonly decision: 'approve' | 'deny'
  readonly durationMs: number | null
  readonly startAt: number | null
}

export function termsAsked({ request, facts }: Pick<RequestCase, 'request' | 'facts'>): Terms {
  const { grantedMs: durationMs, startAt } = termsOf({ request, facts }, [])
  return { durationMs, startAt }
}

/** An approval approves no more than its voter was shown, whatever the others who made it less do later. */
export function limitedBallot<B extends Limits>(loaded: RequestCase, before: Vote | null, ballot: B): B {
  const others = loaded.tally.votes.flatMap(({ vote, counts }) =>
    counts && vote.decision === 'approve' && vote.id !== before?.id ? [vote] : [],
  )
  const { grantedMs: durationMs, startAt } = termsOf(loaded, others)
  return narrowed(loaded.request, ballot, { durationMs, startAt })
}

export function narrowed<B extends Limits>(request: RequestCase['request'], ballot: B, terms: Terms | null): B {
  if (ballot.decision === 'deny' || terms === null) return ballot
  const durationMs = Math.min(ballot.durationMs ?? request.duration_ms, terms.durationMs)
  const startAt = Math.max(ballot.startAt ?? 0, terms.startAt ?? 0)
  return {
    ...ballot,
    durationMs: durationMs < request.duration_ms ? durationMs : ballot.durationMs,
    startAt: startAt > (instantOf(request.start) ?? 0) ? startAt : ballot.startAt,
  }
}

/** Errors: Refused('malformed' | 'widens_request' | 'over_limit'). */
export function refuseOtherStart(
  { kind, start }: RequestCase['request'],
  startAt: number,
  decision: Limits['decision'],
  now: number,
): void {
  if (decision === 'deny') throw new Refused('malformed', 'a denial has no start')
  if (kind === 'extension') throw new Refused('malformed', 'an extension goes on where the grant ends: it has no start')
  if (startAt < (instantOf(start) ?? 0))
    throw new Refused(
      'widens_request',
      'a reviewer may move the start later, never earlier',
      'leave the start out, or name a later one',
    )
  refuseBadStart(startAt, now)
}
