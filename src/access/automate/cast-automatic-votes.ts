import { indexVoters } from '../search-index.ts'
import type { NewEvent, Tx } from '../../audit/deed.ts'
import type { Actor } from '../../contract/audit.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import { newId } from '../../foundation/ids.ts'
import type { RequestCase } from '../request-case.ts'
import { isAutomatic, storedVote, type Vote } from '../stored-request.ts'
import type { Automation } from './automation.ts'
import type { AutomaticVote, Ruling } from './ruling.ts'

/** Rules and policies act in their own name. */
export const automaton = (by: string): Actor => ({ kind: 'system', id: null, name: by })

type Voted = Pick<RequestCase, 'request' | 'votes' | 'factsDigest'>

/** The votes that rules and policies cast now, as rows, behind all that were cast before. Pure but for the ids. */
export function automaticRows({ request, votes, factsDigest }: Voted, ruling: Ruling, now: number) {
  const last = Math.max(0, ...votes.map((vote) => vote.ordinal))
  return ruling.votes
    .filter((cast) => !votes.some((vote) => vote.superseded_at === null && stands(vote, cast, factsDigest)))
    .map((cast, index) => ({
      id: newId('review', now),
      event_id: '',
      request_id: request.id,
      reviewer_id: cast.by,
      reviewer_kind: cast.by.startsWith('rule:') ? ('rule' as const) : ('policy' as const),
      decision: cast.decision,
      reason: cast.reason,
      roles_json: canonicalJson(cast.roleIds),
      duration_ms: null,
      request_digest: request.request_digest,
      facts_digest: factsDigest,
      created_at: now,
      ordinal: last + index + 1,
      superseded_at: null,
      start_at: null,
      on_behalf_of: null,
    }))
}

function stands(vote: Vote, cast: AutomaticVote, factsDigest: string): boolean {
  return (
    vote.reviewer_id === cast.by &&
    vote.decision === cast.decision &&
    vote.reason === cast.reason &&
    vote.facts_digest === factsDigest &&
    canonicalJson(vote.roleIds) === canonicalJson(cast.roleIds)
  )
}

/**
 * Brings the votes of rules and policies to what they say now: what is said no more or otherwise is replaced. Returns all
 * votes of the request, and an event for each change.
 */
export async function castAutomaticVotes(
  tx: Tx,
  voted: Voted,
  ruling: Ruling,
  now: number,
): Promise<{ votes: readonly Vote[]; events: NewEvent[] }> {
  const rows = automaticRows(voted, ruling, now)
  const over = voted.votes.filter(
    (vote) =>
      isAutomatic(vote) &&
      vote.superseded_at === null &&
      !ruling.votes.some((cast) => stands(vote, cast, voted.factsDigest)),
  )
  for (const vote of over)
    await tx.updateTable('reviews').set({ superseded_at: now }).where('id', '=', vote.id).execute()
  for (const row of rows) await insertRow(tx, 'reviews', row)
  await indexVoters(
    tx,
    voted.request,
    rows.map((row) => row.reviewer_id),
  )
  const kept = voted.votes.map((vote) => (over.includes(vote) ? { ...vote, superseded_at: now } : vote))
  const replaced = new Set(rows.map((row) => row.reviewer_id))
  const withdrawn = over.filter((vote) => !replaced.has(vote.reviewer_id))
  return {
    votes: [...kept, ...rows.map(storedVote)],
    events: [
      ...rows.map((row) =>
        castEvent(storedVote(row), over.find((vote) => vote.reviewer_id === row.reviewer_id) ?? null),
      ),
      ...withdrawn.map(withdrawnEvent),
    ],
  }
}

function castEvent(vote: Vote, before: Vote | null): NewEvent {
  return {
    type: 'access_request.review',
    actor: automaton(vote.reviewer_id),
    outcome: 'success',
    request: vote.request_id,
    details: {
      review: vote.id,
      replaces: before?.id ?? null,
      decision: vote.decision,
      reason: vote.reason,
      roles: vote.roleIds,
      requestDigest: vote.request_digest,
      factsDigest: vote.facts_digest,
    },
    rows: [vote, ...(before ? [before] : [])].map(({ id }) => ({ table: 'reviews', id })),
  }
}

function withdrawnEvent(vote: Vote): NewEvent {
  return {
    type: 'access_request.review',
    actor: automaton(vote.reviewer_id),
    outcome: 'success',
    request: vote.request_id,
    details: { review: vote.id, decision: 'abstain', was: vote.decision },
    rows: [{ table: 'reviews', id: vote.id }],
  }
}

/** An event for each rule or policy that could not judge. */
export function failureEvents(automation: Automation, requestId: string): NewEvent[] {
  return automation.judged.flatMap(({ by, contentHash, approveOnly, judgement }) => {
    if (judgement.ok) return []
    return [
      {
        type: by.startsWith('rule:') ? ('condition.fail' as const) : ('policy.fail' as const),
        actor: automaton(by),
        outcome: 'failure' as const,
        request: requestId,
        details: { by, contentHash, problem: judgement.problem.slice(0, 500), blocks: !approveOnly },
      },
    ]
  })
}
