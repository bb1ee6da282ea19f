import type { NewEvent, OutboxMessage, Tx } from '../../audit/deed.ts'
import { automaton, castAutomaticVotes, failureEvents } from '../automate/cast-automatic-votes.ts'
import { decide } from '../decide/decide-request.ts'
import type { Tally } from '../decide/tally.ts'
import { buildCase, type RequestCase } from '../request-case.ts'

/** What rules and policies alone bring about; a denial wins. */
export function outcomeAtAsk(tallied: Tally): 'approved' | 'denied' | 'pending' {
  if (tallied.denied) return 'denied'
  const approves = tallied.votes.some(({ vote, counts }) => counts && vote.decision === 'approve')
  return tallied.approved && approves ? 'approved' : 'pending'
}

interface Begun {
  readonly routed: RequestCase
  readonly events: readonly NewEvent[]
  /** Tells the requester of the decision; null = it is pending */
  readonly message: OutboxMessage | null
}

/** Casts the votes of rules and policies for a request that was stored a moment ago, and decides it if they suffice. */
export async function decideAtAsk(tx: Tx, judged: RequestCase, now: number): Promise<Begun> {
  const { request, directory, names, resources, extended, automation, ruling } = judged
  const cast = await castAutomaticVotes(tx, judged, ruling, now)
  const routed =
    cast.votes.length === 0
      ? judged
      : buildCase(request, cast.votes, null, directory, names, resources, extended, automation)
  const events = [...cast.events, ...(automation ? failureEvents(automation, request.id) : [])]
  const outcome = outcomeAtAsk(routed.tally)
  if (outcome === 'pending') return { routed, events, message: null }
  const side = outcome === 'approved' ? 'approve' : 'deny'
  const deciding = routed.tally.votes.findLast(({ vote, counts }) => counts && vote.decision === side)
  const actor = automaton(deciding?.vote.reviewer_id ?? 'rule')
  const decided = await decide(tx, routed, outcome, { actor, loginId: null }, now)
  return { routed, events: [...events, ...decided.events], message: decided.message }
}
