import { bug, type PlantedBug } from './planted-bug.ts'

const TALLY = 'access/decide/tally.ts'
const RIGHTS = 'access/decide/rights.ts'
const SEAT = 'access/decide/seat.ts'
const DELEGATION = 'access/delegation/delegation.ts'

/** Found by the model of groups, windows and delegates. */
export const SEAT_BUGS: readonly PlantedBug[] = [
  bug('a delegation never ends', DELEGATION, '&& at < delegation.endsAt', ''),
  bug(
    'what was removed still counts',
    'access/directory/known-rows.ts',
    'rows.filter((row) => row.removed_at === null).map(storedDelegation)',
    'rows.map(storedDelegation)',
  ),
  bug(
    'a delegation for one role is one for all',
    RIGHTS,
    'return roleIds === null ? roles :',
    'return roles.length >= 0 ? roles :',
  ),
  bug(
    'the absent one and the delegate both count',
    TALLY,
    '|| !holder || holder === ballot ?',
    '|| !holder || holder ?',
  ),
  bug(
    'the vote of a delegate goes before that of the absent one',
    TALLY,
    'if (ballot.vote.on_behalf_of === null && ballot.vote.reviewer_id === ballot.human) return 0',
    'if (ballot.vote.on_behalf_of === null && ballot.vote.reviewer_id === ballot.human) return 2',
  ),
  bug(
    'of two delegates an approval holds',
    TALLY,
    "return ballot.vote.decision === 'deny' ? 1 : 2",
    "return ballot.vote.decision === 'deny' ? 2 : 1",
  ),
  bug(
    'one human votes once for each absent one',
    'access/decide/cast-vote.ts',
    'vote.reviewer_id === reviewer.id &&',
    'vote.reviewer_id === reviewer.id && vote.on_behalf_of === (seating.absent?.id ?? null) &&',
  ),
  bug('a closed window refuses nothing', SEAT, 'if (roleIds.length > 0) return', 'if (roleIds.length >= 0) return'),
  bug('a vote counts in whatever hours it was cast', TALLY, 'input.when ?? vote.created_at', "input.when ?? 'ever'"),
  bug(
    'a night belongs to the day on which it ends',
    'identity/time-window.ts',
    '(opens(yesterday) && minute < to)',
    '(opens(day) && minute < to)',
  ),
  bug(
    'a delegation outlives a reset of the absent one',
    RIGHTS,
    'if (delegation.createdAt < (absent.votesCountFrom ?? 0)) return []',
    '',
  ),
  bug('a delegation revives with its people', 'access/sweeper.ts', 'await this.#sweepDelegations()', ''),
  bug(
    'whoever stands in for two votes for the first',
    SEAT,
    'if (first.absent === null || others.length === 0) return first',
    'if (others.length >= 0) return first',
  ),
  bug('the same delegation twice', 'access/delegation/add-delegation.ts', 'if (same)', 'if (same && now < 0)'),
  bug(
    'a delegate who has voted is asked again',
    'access/show/present-reviewers.ts',
    '.filter(({ delegate }) => !voted.has(delegate.id))',
    '',
  ),
  bug(
    'a filter sees whoever votes, not the absent one',
    TALLY,
    'voter,\n    human: human?.ownerId',
    'voter: human,\n    human: human?.ownerId',
  ),
]
