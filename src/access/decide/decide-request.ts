import type { NewEvent, OutboxMessage, Tx } from '../../audit/deed.ts'
import { Bug } from '../../foundation/errors.ts'
import type { GrantsTable } from '../../foundation/database/tables.ts'
import { bounded } from '../bounded.ts'
import type { Caller } from '../caller.ts'
import { closeRequest, type Changed } from '../end/expire-request.ts'
import { extendGrant } from '../grant/extend-grant.ts'
import { grantOf, storeGrant } from '../grant/make-grant.ts'
import { requestDecided } from '../messages.ts'
import type { RequestCase } from '../request-case.ts'
import { isAutomatic, type Vote } from '../stored-request.ts'

/** Whose vote, or which rule's or policy's, has decided. */
export type Decider = Pick<Caller, 'actor' | 'loginId'>

export interface Decided {
  readonly events: NewEvent[]
  readonly message: OutboxMessage
  readonly changed: Changed
  /** What the approval made; null: nothing, or more time for a grant */
  readonly grant: GrantsTable | null
}

/** Closes the request in the deciding transaction, and gives what was approved. */
export async function decide(
  tx: Tx,
  counted: RequestCase,
  outcome: 'approved' | 'denied',
  caller: Decider,
  now: number,
): Promise<Decided> {
  const resolution = resolutionOf(counted, outcome)
  const changed = await closeRequest(tx, counted.request, outcome, now, resolution)
  const events = [decisionEvent(counted, outcome, caller)]
  if (outcome === 'denied')
    return { events, message: requestDecided(counted, outcome, resolution, null), changed, grant: null }
  if (counted.tally.grantedMs <= 0) throw new Bug(`request ${counted.request.id} would be granted for no time`)
  const { event, endsAt, grant } = await give(tx, counted, caller, now)
  const message = requestDecided(counted, outcome, resolution, endsAt)
  return { events: [...events, event], message, changed, grant }
}

/** What an approval gives: a grant, or more time for one. */
async function give(
  tx: Tx,
  counted: RequestCase,
  { actor, loginId }: Decider,
  now: number,
): Promise<{ event: NewEvent; endsAt: number; grant: GrantsTable | null }> {
  const { request, extended, tally } = counted
  if (request.kind !== 'extension') {
    const grant = grantOf(counted, now)
    return { event: await storeGrant(tx, grant, actor, loginId), endsAt: grant.ends_at, grant }
  }
  if (!extended) throw new Bug(`request ${request.id} extends nothing`)
  return { ...(await extendGrant(tx, extended, request, tally.grantedMs, { actor, login: loginId, now })), grant: null }
}

function resolutionOf({ tally, names }: RequestCase, outcome: 'approved' | 'denied'): string {
  const side = outcome === 'approved' ? 'approve' : 'deny'
  const voters = tally.votes.filter(({ vote, counts }) => counts && vote.decision === side)
  const said = voters.map(({ vote }) => {
    // What people say stands beside their votes; a rule or policy is there to be understood at once.
    const why = isAutomatic(vote) && vote.reason !== '' ? `: ${vote.reason}` : ''
    return `${voterText(vote, names)}${why}`
  })
  return `${outcome} by ${said.join(', ')}`
}

function voterText({ reviewer_id: reviewer, on_behalf_of: absent }: Vote, names: RequestCase['names']): string {
  const name = names.get(reviewer) ?? reviewer
  return absent === null ? name : `${name} for ${names.get(absent) ?? absent}`
}

/** Every vote with whether and for what it counted, and both digests: a verifier can count again. */
function decisionEvent(counted: RequestCase, outcome: 'approved' | 'denied', caller: Decider): NewEvent {
  const { request, tally, facts, factsDigest, automation } = counted
  return {
    type: outcome === 'approved' ? 'access_request.approve' : 'access_request.deny',
    actor: caller.actor,
    outcome: 'success',
    login: caller.loginId,
    request: request.id,
    details: {
      requestDigest: request.request_digest,
      factsDigest,
      facts: bounded(facts),
      votes: bounded(
        tally.votes.map(({ vote, counts, why, roles }) => ({
          review: vote.id,
          reviewer: vote.reviewer_id,
          onBehalfOf: vote.on_behalf_of,
          decision: vote.decision,
          ordinal: vote.ordinal,
          factsDigest: vote.facts_digest,
          counts,
          why,
          roles,
        })),
      ),
      thresholds: bounded(tally.roles.map(({ role, sets }) => ({ role: role.name, sets }))),
      rules: facts.rules,
      policies: facts.policies,
      automation: bounded(automation),
      grantedMs: outcome === 'approved' ? tally.grantedMs : null,
      startAt: outcome === 'approved' ? tally.startAt : null,
    },
    rows: [{ table: 'access_requests', id: request.id }],
  }
}
