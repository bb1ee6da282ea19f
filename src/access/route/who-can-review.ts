import type { Directory, Member } from '../directory.ts'
import { rolesReviewable } from '../decide/rights.ts'
import { tally, type Tally, type TallyInput } from '../decide/tally.ts'
import type { NamedThreshold } from '../../identity/role-rules.ts'
import type { Vote } from '../stored-request.ts'

type Routed = Omit<TallyInput, 'votes' | 'voters' | 'hindrance'>

/**
 * Members in good standing whose own roles let them review at least one of the requested roles, now or when a window opens
 * while it waits; sorted by name.
 */
export function membersWhoMayReview(
  directory: Directory,
  routed: Pick<Routed, 'request' | 'requesterName' | 'facts'>,
  now: number,
): Member[] {
  const when = { from: now, until: Math.max(now + 1, routed.request.pending_until) }
  return directory.reviewers.filter((member) => rolesReviewable(member, routed, when).length > 0)
}

/** Those who could still bring a decision nearer: may review, and no vote of theirs, or of whoever answers for them, counts yet. */
export function membersStillToVote(reviewers: readonly Member[], tallied: Tally): Member[] {
  const voted = votersOf(tallied)
  return reviewers.filter(({ id, ownerId }) => !voted.has(id) && !(ownerId && voted.has(ownerId)))
}

/** Those whose vote counts, and those for whom it does. */
export function votersOf({ votes }: Pick<Tally, 'votes'>): ReadonlySet<string> {
  const counting = votes.filter(({ counts }) => counts)
  return new Set(counting.flatMap(({ vote }) => [vote.reviewer_id, vote.on_behalf_of ?? vote.reviewer_id]))
}

/** True when the request would stay pending even if everybody who may approve did. */
export function nobodyCanApprove(reviewers: readonly Member[], routed: Routed, now: number): boolean {
  // More approvals never make less of a count: when the first few suffice, so do all.
  const few = Math.max(0, ...thresholdsOf(routed).map(({ approve }) => approve))
  if (few < reviewers.length && !cannotApprove(reviewers.slice(0, few), routed, now)) return false
  return oneOfEachHuman(reviewers).every((some) => cannotApprove(some, routed, now))
}

/** Enough for six owners who may review beside an account of theirs; of more, the first of each is looked at. */
const MOST_CHOICES = 64

/** An owner and their service accounts have one vote: any of them may be the one that casts it. */
function oneOfEachHuman(reviewers: readonly Member[]): (readonly Member[])[] {
  if (reviewers.every(({ ownerId }) => !ownerId)) return [reviewers]
  const humans = [...Map.groupBy(reviewers, ({ id, ownerId }) => ownerId ?? id).values()]
  const alone = humans.flatMap((accounts) => (accounts.length === 1 ? accounts : []))
  let choices: (readonly Member[])[] = [alone]
  for (const accounts of humans.filter(({ length }) => length > 1)) {
    const looked = choices.length * accounts.length > MOST_CHOICES ? accounts.slice(0, 1) : accounts
    choices = looked.flatMap((one) => choices.map((choice) => [...choice, one]))
  }
  return choices
}

const thresholdsOf = ({ facts, ruling }: Routed): readonly NamedThreshold[] =>
  [...facts.roles.flatMap(({ sets }) => sets), ...(ruling?.required ?? []).map(({ set }) => set)].flatMap(
    ({ thresholds }) => thresholds,
  )

function cannotApprove(reviewers: readonly Member[], routed: Routed, now: number): boolean {
  // What rules and policies approve needs nobody.
  const automatic = (routed.ruling?.votes ?? []).filter(({ decision }) => decision === 'approve')
  const imagined = reviewers.map((member, index) => imaginedApproval(member, routed, index + 1, now))
  const votes = [
    ...imagined,
    ...automatic.map(({ by, roleIds }, index) => {
      const row = imaginedApproval({ id: by }, routed, imagined.length + index + 1, now)
      return { ...row, reviewer_kind: 'rule' as const, roleIds }
    }),
  ]
  const voters = new Map(reviewers.map((member) => [member.id, { ...member, votesCountFrom: null }]))
  const when = { from: now, until: Math.max(now + 1, routed.request.pending_until) }
  return !tally({ ...routed, votes, voters, when, hindrance: null }).approved
}

function imaginedApproval(member: Pick<Member, 'id'>, routed: Routed, ordinal: number, now: number): Vote {
  return {
    id: `imagined ${ordinal}`,
    request_id: routed.request.id,
    reviewer_id: member.id,
    reviewer_kind: 'user',
    decision: 'approve',
    reason: 'ok',
    roleIds: [],
    duration_ms: null,
    request_digest: routed.request.request_digest,
    facts_digest: routed.factsDigest,
    created_at: now,
    ordinal,
    superseded_at: null,
    start_at: null,
    on_behalf_of: null,
  }
}
