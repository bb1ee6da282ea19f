import { evaluateCondition } from '../../identity/conditions.ts'
import { reviewerFacts, type NamedThreshold, type ThresholdSet } from '../../identity/role-rules.ts'
import { NO_RULING, type Ruling } from '../automate/ruling.ts'
import { instantOf } from '../ask/plan-start.ts'
import type { Delegation } from '../delegation/delegation.ts'
import type { Member } from '../directory.ts'
import type { RequestFacts, RoutedRole } from '../route/route-request.ts'
import { isAutomatic, requestForConditions, type StoredRequest, type Vote } from '../stored-request.ts'
import { rolesDelegated, rolesReviewable, type When } from './rights.ts'

// Where a vote is counted. Pure: the request, the facts as they are now, the votes in the order in which the store committed
// them, and the voters as they are now.

export interface TallyInput {
  readonly request: StoredRequest
  readonly requesterName: string
  readonly facts: RequestFacts
  readonly factsDigest: string
  /** Not replaced ones, by ordinal */
  readonly votes: readonly Vote[]
  readonly voters: ReadonlyMap<string, Member>
  readonly delegations: readonly Delegation[]
  /** When rights must hold: left out, at each vote's own instant */
  readonly when?: When
  /** What follows from rules and policies; absent = nothing */
  readonly ruling?: Ruling
  /** What stands in the way of approving whatever the votes say; null = nothing */
  readonly hindrance: string | null
}

export interface CountedVote {
  readonly vote: Vote
  readonly counts: boolean
  /** Why it does not count */
  readonly why: string | null
  /** Names of the roles it counts for */
  readonly roles: readonly string[]
}

export interface CountedThreshold extends NamedThreshold {
  readonly approvals: number
  readonly denials: number
  readonly met: boolean
  readonly denied: boolean
}
export interface CountedRole {
  readonly role: RoutedRole
  readonly sets: readonly {
    readonly source: string
    readonly thresholds: readonly CountedThreshold[]
    readonly met: boolean
  }[]
  readonly met: boolean
}

export interface Tally {
  readonly votes: readonly CountedVote[]
  readonly roles: readonly CountedRole[]
  readonly approved: boolean
  readonly denied: boolean
  readonly grantedMs: number
  /** The latest start that was asked for or that a counted approval names; null = none */
  readonly startAt: number | null
  /** Conditions that failed to evaluate */
  readonly problems: readonly string[]
}

/** What these approvals together would give: the shortest duration and the latest start. */
export function termsOf(
  { request, facts, ruling }: Pick<TallyInput, 'request' | 'facts' | 'ruling'>,
  approvals: readonly Vote[],
): Pick<Tally, 'grantedMs' | 'startAt'> {
  const lengths = approvals.flatMap((vote) => vote.duration_ms ?? [])
  const starts = [instantOf(request.start), ...approvals.map((vote) => vote.start_at)].filter((at) => at !== null)
  return {
    grantedMs: Math.min(
      request.duration_ms,
      ruling?.limitMs ?? Infinity,
      ...facts.roles.map((role) => role.capMs),
      ...lengths,
    ),
    startAt: starts.length === 0 ? null : Math.max(...starts),
  }
}

/** A vote with what its voter may do now. */
interface Ballot {
  readonly vote: Vote
  /** Whose roles and traits count: the voter's, or those of the absent one that they vote for */
  readonly voter: Member | undefined
  readonly why: string | null
  /** Who is behind it: of a service account its owner */
  readonly human: string
  /** Ids of requested roles it speaks for */
  readonly roleIds: ReadonlySet<string>
}

export function tally(input: TallyInput): Tally {
  const problems = new Set<string>()
  const ballots = oneVoteEach(input.votes.map((vote) => ballotOf(vote, input, problems)))
  const counting = new Map<Ballot, Set<string>>()
  const roles = input.facts.roles.map((role) => countRole(role, ballots, input, counting, problems))
  const votes = ballots.map((ballot) => countedVote(ballot, counting.get(ballot)))
  const approvals = votes.flatMap(({ vote, counts }) => (counts && vote.decision === 'approve' ? [vote] : []))
  return {
    votes,
    roles,
    approved: input.hindrance === null && roles.length > 0 && roles.every((role) => role.met),
    denied:
      roles.some((role) => role.sets.some((set) => set.thresholds.some((threshold) => threshold.denied))) ||
      ballots.some(deniesOutright),
    ...termsOf(input, approvals),
    problems: [...problems],
  }
}

function ballotOf(vote: Vote, input: TallyInput, problems: Set<string>): Ballot {
  if (isAutomatic(vote)) return automaticBallot(vote, input)
  const human = input.voters.get(vote.reviewer_id)
  const voter = vote.on_behalf_of === null ? human : input.voters.get(vote.on_behalf_of)
  const roleIds = rolesOf(vote, human, voter, input, problems)
  return {
    vote,
    voter,
    human: human?.ownerId ?? vote.reviewer_id,
    roleIds,
    why: whyNot(vote, human, voter, roleIds.size, input),
  }
}

/** A rule or policy is a reviewer with a name and nothing else; it speaks for the roles that it judged. */
function automaticBallot(vote: Vote, input: TallyInput): Ballot {
  const { reviewer_id: id, decision } = vote
  const voter: Member = {
    id,
    name: id,
    roles: [],
    traits: {},
    standing: { kind: 'good' },
    votesCountFrom: null,
    disabledAt: null,
  }
  const stands = rulingFor(input).votes.some((said) => said.by === id && said.decision === decision)
  return {
    vote,
    voter,
    human: id,
    roleIds: new Set(vote.roleIds),
    why: stands ? staleness(vote, input) : 'says_it_no_more',
  }
}

const rulingFor = ({ ruling = NO_RULING }: Pick<TallyInput, 'ruling'>): Ruling => ruling

/** What a rule or policy denies is denied, whatever the thresholds say. */
const deniesOutright = ({ vote, why }: Ballot): boolean => why === null && isAutomatic(vote) && vote.decision === 'deny'

/** A vote is judged by the rights of the moment, but by the windows and delegations that held when it was cast. */
function rolesOf(
  vote: Vote,
  human: Member | undefined,
  voter: Member | undefined,
  input: TallyInput,
  problems: Set<string>,
): Set<string> {
  if (!human || !voter) return new Set()
  const when = input.when ?? vote.created_at
  if (vote.on_behalf_of === null) return new Set(rolesReviewable(human, input, when, problems))
  const theirs = input.delegations.filter((each) => each.delegateId === human.id && each.absentId === voter.id)
  return new Set(theirs.flatMap((each) => rolesDelegated(each, voter, human, input, when, problems)))
}

function whyNot(
  vote: Vote,
  human: Member | undefined,
  voter: Member | undefined,
  roles: number,
  input: TallyInput,
): string | null {
  if (!human) return 'reviewer_gone'
  if (human.standing.kind !== 'good') return `reviewer_${human.standing.kind}`
  if (!voter) return 'absent_one_gone'
  if (voter.standing.kind !== 'good') return `absent_one_${voter.standing.kind}`
  if (vote.created_at < Math.max(human.votesCountFrom ?? 0, voter.votesCountFrom ?? 0)) return 'reviewer_reset'
  if (roles === 0) return vote.on_behalf_of === null ? 'right_lost' : 'delegation_over'
  return staleness(vote, input)
}

function staleness(vote: Vote, input: TallyInput): string | null {
  if (vote.request_digest !== input.request.request_digest) return 'request_changed'
  // Denials stay: what somebody refused under other rules is still refused.
  return vote.decision === 'approve' && vote.facts_digest !== input.factsDigest ? 'rules_changed' : null
}

/**
 * One human, one vote, and one vote for each absent one: their own, should they vote themselves; else among their delegates
 * a denial, else the vote that was cast first. The same for an owner and their service accounts, whose votes count for
 * nothing beside one that their owner casts, be it for somebody absent.
 */
function oneVoteEach(cast: readonly Ballot[]): Ballot[] {
  const speaking = new Set(
    cast.filter((ballot) => ballot.why === null && !isAccounts(ballot)).map(({ human }) => human),
  )
  const ballots = cast.map((ballot): Ballot => {
    const isSilent = ballot.why === null && isAccounts(ballot) && speaking.has(ballot.human)
    return isSilent ? { ...ballot, why: 'owner_voted' } : ballot
  })
  const best = new Map<string, Ballot>()
  for (const ballot of ballots) {
    const seat = seatOf(ballot)
    if (ballot.why === null && rankOf(ballot) < rankOf(best.get(seat))) best.set(seat, ballot)
  }
  return ballots.map((ballot) => {
    const holder = best.get(seatOf(ballot))
    return ballot.why !== null || !holder || holder === ballot ? ballot : { ...ballot, why: whyBeside(ballot, holder) }
  })
}

function whyBeside(ballot: Ballot, holder: Ballot): string {
  if (holder.vote.on_behalf_of !== null) return 'another_delegate_voted'
  return ballot.vote.on_behalf_of === null ? 'another_account_voted' : 'absent_one_voted'
}

/** Of a service account */
const isAccounts = ({ vote, human }: Ballot): boolean => vote.reviewer_id !== human

const seatOf = ({ vote, human }: Ballot): string => vote.on_behalf_of ?? human

/** Votes come by ordinal, so of two with the same rank the earlier stays. */
function rankOf(ballot: Ballot | undefined): number {
  if (!ballot) return 3
  if (ballot.vote.on_behalf_of === null && ballot.vote.reviewer_id === ballot.human) return 0
  return ballot.vote.decision === 'deny' ? 1 : 2
}

function countedVote({ vote, why }: Ballot, roles: ReadonlySet<string> | undefined): CountedVote {
  const final = isAutomatic(vote) && vote.decision === 'deny'
  const reason = why ?? (roles || final ? null : 'no_threshold_counts_it')
  return { vote, counts: reason === null, why: reason, roles: reason === null ? [...(roles ?? [])] : [] }
}

function countRole(
  role: RoutedRole,
  ballots: readonly Ballot[],
  input: TallyInput,
  counting: Map<Ballot, Set<string>>,
  problems: Set<string>,
): CountedRole {
  const valid = ballots.filter((ballot) => ballot.why === null && ballot.roleIds.has(role.id))
  const count = (set: ThresholdSet): CountedRole['sets'][number] =>
    countSet(set, role, valid, input, counting, problems)
  const decided = deciders(valid, input)
  for (const ballot of decided) counting.set(ballot, (counting.get(ballot) ?? new Set()).add(role.name))
  const own = role.sets.map(count)
  const required = rulingFor(input).required.flatMap(({ roleIds, set }) =>
    roleIds.includes(role.id) ? [count(set)] : [],
  )
  const ownMet = own.length > 0 && (decided.length > 0 || own.every((set) => set.met))
  const met = role.requestable && ownMet && required.every((set) => set.met)
  return { role, sets: [...own, ...required], met }
}

/** Approvals of rules that decide: they satisfy the role's own thresholds, not what another rule or policy requires. */
function deciders(ballots: readonly Ballot[], input: TallyInput): Ballot[] {
  const deciding = new Set(rulingFor(input).votes.flatMap(({ by, decides }) => (decides ? [by] : [])))
  return ballots.filter(
    ({ vote }) => isAutomatic(vote) && vote.decision === 'approve' && deciding.has(vote.reviewer_id),
  )
}

function countSet(
  set: ThresholdSet,
  role: RoutedRole,
  ballots: readonly Ballot[],
  input: TallyInput,
  counting: Map<Ballot, Set<string>>,
  problems: Set<string>,
): CountedRole['sets'][number] {
  const counts = set.thresholds.map(() => ({ approvals: 0, denials: 0 }))
  for (const ballot of ballots) {
    for (const index of thresholdsFor(ballot, set, input, problems)) {
      const count = counts[index]
      if (!count) continue
      if (ballot.vote.decision === 'approve') count.approvals += 1
      else count.denials += 1
      counting.set(ballot, (counting.get(ballot) ?? new Set()).add(role.name))
    }
  }
  const thresholds = set.thresholds.map((threshold, index): CountedThreshold => {
    const { approvals, denials } = counts[index] ?? { approvals: 0, denials: 0 }
    // Zero switches a side off: `approve: 0` never approves and `deny: 0` never denies.
    const met = threshold.approve > 0 && approvals >= threshold.approve
    return { ...threshold, approvals, denials, met, denied: threshold.deny > 0 && denials >= threshold.deny }
  })
  return { source: set.source, thresholds, met: thresholds.some((threshold) => threshold.met) }
}

/** Places in the set at which the vote counts. An approval inside a distinct threshold counts in that one alone. */
function thresholdsFor(ballot: Ballot, set: ThresholdSet, input: TallyInput, problems: Set<string>): number[] {
  const approves = ballot.vote.decision === 'approve'
  const matching = set.thresholds.flatMap((threshold, index) => {
    const side = approves ? threshold.approve : threshold.deny
    return side > 0 && passesFilter(threshold, ballot, input, problems) ? [index] : []
  })
  const claimed = approves ? matching.find((index) => set.thresholds[index]?.distinct) : undefined
  return claimed === undefined ? matching : [claimed]
}

/** A filter that fails is false for an approval, which would give, and true for a denial, which takes away. */
function passesFilter(
  { filter }: NamedThreshold,
  { vote, voter }: Ballot,
  input: TallyInput,
  problems: Set<string>,
): boolean {
  if (filter === null) return true
  if (!voter) return false
  const result = evaluateCondition('filter', filter, {
    reviewer: reviewerFacts(voter),
    request: requestForConditions(input.request, input.requesterName),
    review: { reason: vote.reason, state: vote.decision },
  })
  if (!result.ok) problems.add(result.problem)
  return result.ok ? result.value : vote.decision === 'deny'
}

/**
 * What the vote that has just landed does. A denial threshold wins over everything; approving takes an approval that counts,
 * so neither an edit nor somebody else's denial ever approves what earlier votes alone could not.
 */
export function outcomeOf(tallied: Tally, landed: string): 'approved' | 'denied' | 'pending' {
  if (tallied.denied) return 'denied'
  const last = tallied.votes.find(({ vote }) => vote.id === landed)
  return tallied.approved && last?.counts === true && last.vote.decision === 'approve' ? 'approved' : 'pending'
}
