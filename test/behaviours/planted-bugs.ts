import { bug, type PlantedBug } from './planted-bug.ts'

const TALLY = 'access/decide/tally.ts'
const SEAT = 'access/decide/seat.ts'
const VOTE = 'access/decide/cast-vote.ts'
const RULES = 'identity/role-rules.ts'
const PLAN = 'access/ask/plan-ask.ts'
const STANDING = 'grants/grant-standing.ts'

/** Found by the model of decisions. */
export const PLANTED_BUGS: readonly PlantedBug[] = [
  bug(
    'a quorum is reached one vote early',
    TALLY,
    'approvals >= threshold.approve',
    'approvals >= threshold.approve - 1',
  ),
  bug('a quorum is reached one vote late', TALLY, 'approvals >= threshold.approve', 'approvals > threshold.approve'),
  bug('a denial is lost', TALLY, 'denials >= threshold.deny', 'denials > threshold.deny'),
  bug('approve 0 approves', TALLY, 'threshold.approve > 0 && approvals', 'approvals'),
  bug('stale approvals count', TALLY, "? 'rules_changed' : null", '? null : null'),
  bug(
    'denials are forgotten when rules change',
    TALLY,
    "vote.decision === 'approve' && vote.facts_digest !==",
    'vote.facts_digest !==',
  ),
  bug(
    'a right counts as it was when voting',
    TALLY,
    'new Set(rolesReviewable(human, input, when, problems))',
    'new Set(vote.roleIds)',
  ),
  bug(
    'a vote counts for roles that the voter may not review',
    TALLY,
    'ballot.roleIds.has(role.id)',
    'ballot.roleIds.size > 0',
  ),
  bug('votes from before a reset count', TALLY, 'human.votesCountFrom ?? 0, voter.votesCountFrom ?? 0', '0'),
  bug(
    'votes of disabled and locked people count',
    TALLY,
    "if (human.standing.kind !== 'good')",
    "if (human.name === '')",
  ),
  bug('one of several sets is enough', TALLY, 'own.every((set) => set.met)', 'own.some((set) => set.met)'),
  bug(
    'one approved role approves the others',
    TALLY,
    'roles.every((role) => role.met)',
    'roles.some((role) => role.met)',
  ),
  bug('locks do not stand in the way', TALLY, 'input.hindrance === null && roles.length', 'roles.length'),
  bug('replaced votes count', 'access/request-case.ts', 'vote.superseded_at === null', "vote.id !== ''"),
  bug('distinct is ignored', TALLY, '?.distinct)', '?.distinct && false)'),
  bug('filters are ignored', TALLY, 'if (filter === null) return true', "if (filter !== '') return true"),
  bug('the duration granted is the longest', TALLY, 'grantedMs: Math.min(', 'grantedMs: Math.max('),
  bug(
    'approvals that do not count shorten',
    TALLY,
    "(counts && vote.decision === 'approve' ? [vote] : [])",
    "(vote.decision === 'approve' ? [vote] : [])",
  ),
  bug('caps are not looked at when granting', TALLY, '...facts.roles.map((role) => role.capMs), ', ''),
  {
    bug: 'self review',
    edits: [
      { file: RULES, from: 'if (isSameHuman(person, requesterId))', to: 'if (person.id === "")' },
      {
        file: SEAT,
        from: 'caller.userId !== null && caller.userId === loaded.request.user_id',
        to: 'caller.userId === ""',
      },
      { file: SEAT, from: 'if (isSameHuman(reviewer, loaded.request.user_id))', to: 'if (reviewer.id === "")' },
    ],
  },
  {
    bug: 'self review by a renamed user',
    edits: [
      { file: RULES, from: 'if (isSameHuman(person, requesterId))', to: 'if (person.name === "")' },
      {
        file: SEAT,
        from: 'caller.userId !== null && caller.userId === loaded.request.user_id',
        to: 'caller.actor.name === loaded.requesterName',
      },
      {
        file: SEAT,
        from: 'if (isSameHuman(reviewer, loaded.request.user_id))',
        to: 'if (reviewer.name === loaded.requesterName)',
      },
    ],
  },
  bug('the right to review is not needed', 'access/decide/rights.ts', 'may && (windows === null', '(windows === null'),
  bug('votes are not bound to the facts', VOTE, '|| ballot.factsDigest !== factsDigest', ''),
  bug('a reviewer may lengthen', VOTE, 'if (durationMs > request.duration_ms)', 'if (durationMs < 0)'),
  bug(
    'a vote at the very end still counts',
    'access/end/lateness.ts',
    'return now >= request.pending_until ||',
    'return now > request.pending_until ||',
  ),
  bug('a cap is the smallest of the blocks', RULES, 'best.ms >= cap.ms', 'best.ms <= cap.ms'),
  bug('the first role caps', 'access/route/route-request.ts', 'least && least.ms <= role.capMs', 'least'),
  bug('deny of asking does not win', RULES, "return { ok: false, why: 'denied' }", 'person.roles.length'),
  bug('deny of reviewing does not win', RULES, 'may: allowing.length > 0 && !denied', 'may: allowing.length > 0'),
  bug('where is ignored', RULES, 'return result.ok ? result.value : ifItFails', 'return true'),
  bug(
    'only the first own role brings thresholds',
    RULES,
    'return blocks.map(({ source, block }) => ({',
    'return blocks.slice(0, 1).map(({ source, block }) => ({',
  ),
  bug(
    'the grant pins what was asked for, not what was approved',
    'access/grant/make-grant.ts',
    'facts.roles.map(',
    'request.roles.map(',
  ),
  bug(
    'an edit after approval widens',
    'identity/node-access.ts',
    'const [first, ...others] = role.specs',
    'const [first, ...others] = role.specs.slice(-1)',
  ),
  bug(
    'a grant lasts a minute longer than it was given',
    'access/grant/make-grant.ts',
    'ends_at: starts_at + grantedMs,',
    'ends_at: starts_at + grantedMs + 60_000,',
  ),
  bug('no cool-down after a denial', PLAN, 'if (recent.length === 0) return', 'if (recent.length >= 0) return'),
  bug('over the cap is granted', PLAN, 'if (wanted <= allowed) return wanted', 'if (wanted > 0) return wanted'),
  bug(
    'locked people ask',
    PLAN,
    "if (standing.kind === 'locked')",
    "if (standing.kind === 'locked' && standing.message === '')",
  ),
  bug(
    'a locked role still gives review rights',
    'access/directory/view-rows.ts',
    "lockOn('role', role.id) === undefined ? role",
    "lockOn('role', role.id) !== '' ? role",
  ),
  bug('a lock on the request forgets its grant', STANDING, "if (grant.requestLocked) return 'locked'", ''),
  bug(
    'a disabled user keeps grants',
    STANDING,
    '!grant.owner || grant.owner.disabled || wasDisabledSince(grant.owner.disabledAt, grant.grant)',
    '!grant.owner',
  ),
  bug(
    'lost permission to ask suspends nothing',
    STANDING,
    'return mayRequest(owner, current, asking).ok ? null',
    'return owner.id ? null',
  ),
  bug(
    'anybody cancels',
    'access/end/cancel-request.ts',
    'if (caller.userId !== request.user_id)',
    "if (caller.userId === '')",
  ),
  bug(
    'the requester revokes as if a reviewer',
    'access/access-requests.ts',
    'if (!mayRevoke(caller, loaded, this.#parts.clock.now()))',
    "if (caller.userId === '')",
  ),
  bug('a lapsed grant is used', 'grants/use-grant.ts', "'use_by', '>', now", "'use_by', '>', 0"),
  bug('the first use leaves the end where it was', 'grants/use-grant.ts', 'now + lengthOf(grant)', 'grant.ends_at'),
  bug('a grant is used before its start', 'grants/use-grant.ts', "'starts_at', '<=', now", "'starts_at', '>', 0"),
  bug('a request waits beyond its start', 'access/ask/plan-start.ts', 'return latest.at', 'return end'),
  bug('an approval starts early', 'access/grant/make-grant.ts', 'Math.max(now, startAt ?? now)', 'now'),
  bug(
    'an extension counts from the start',
    'access/grant/extend-grant.ts',
    'const endsAt = grant.ends_at + byMs',
    'const endsAt = grant.starts_at + byMs',
  ),
  bug(
    'an extension outlives its grant',
    'access/end/end-grant.ts',
    'await expireExtensions(tx, grant.id, requesterName, end.at)',
    'await Promise.all([] as never[])',
  ),
  bug(
    'an ended grant is extended',
    'access/ask/plan-extension.ts',
    'if (isGone({ extended: grant, directory, resources: left, pinned: new Map() }, now))',
    "if (grant.id === '')",
  ),
  bug(
    'two extensions of a grant wait at once',
    'access/ask/ask.ts',
    'if (!other) return null',
    'if (!other || other.id) return null',
  ),
  bug(
    'a vote does not bind to whose thresholds they are',
    'access/route/route-request.ts',
    'requestable, capMs, sets, }))',
    'requestable, capMs, sets: sets.map(({ thresholds }) => thresholds), }))',
  ),
]
