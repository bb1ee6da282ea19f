import { bug, type PlantedBug } from './planted-bug.ts'

const TALLY = 'access/decide/tally.ts'
const VIEW = 'access/directory/view-rows.ts'
const ROUTE = 'access/route/who-can-review.ts'

/** Bugs about owners and their service accounts, found by the model of groups, windows and delegates. */
export const ACCOUNT_BUGS: readonly PlantedBug[] = [
  bug(
    'an owner and a service account are two humans',
    TALLY,
    'human: human?.ownerId ?? vote.reviewer_id',
    'human: vote.reviewer_id',
  ),
  bug(
    'a service account votes beside an owner who stands in for somebody',
    TALLY,
    'isAccounts(ballot) && speaking.has(ballot.human)',
    'isAccounts(ballot) && speaking.has(ballot.vote.id)',
  ),
  bug(
    'an owner is silenced by a vote of theirs that does not count',
    TALLY,
    'ballot.why === null && !isAccounts(ballot)).map',
    '!isAccounts(ballot)).map',
  ),
  bug(
    'a service account silences the others of its owner',
    TALLY,
    'ballot.why === null && !isAccounts(ballot)).map',
    'ballot.why === null).map',
  ),
  bug(
    'of the accounts of an owner the last one holds',
    TALLY,
    'rankOf(ballot) < rankOf(best.get(seat))',
    'rankOf(ballot) <= rankOf(best.get(seat))',
  ),
  bug(
    'a service account counts as its owner',
    TALLY,
    'if (ballot.vote.on_behalf_of === null && ballot.vote.reviewer_id === ballot.human) return 0',
    'if (ballot.vote.on_behalf_of === null) return 0',
  ),
  bug(
    'another account is said to be a delegate',
    TALLY,
    "? 'another_account_voted' : 'absent_one_voted'",
    "? 'absent_one_voted' : 'absent_one_voted'",
  ),
  bug(
    'an account goes on while its owner is disabled',
    VIEW,
    'users.get(ownerId)?.disabled === false',
    'users.get(ownerId) !== undefined',
  ),
  bug(
    'an account goes on when its owner is removed',
    VIEW,
    'users.get(ownerId)?.disabled === false',
    'users.get(ownerId)?.disabled !== true',
  ),
  bug('an account goes on beside a lock on its owner', VIEW, "lockOn('user', id) ?? ownersLock", "lockOn('user', id)"),
  bug(
    'what becomes of an owner is not seen in the accounts that are known',
    VIEW,
    'user.ownerId === null && reusable?',
    "user.id !== '' && reusable?",
  ),
  {
    bug: 'an account reviews what its owner asks for',
    edits: [
      {
        file: 'identity/role-rules.ts',
        from: 'person.id === userId || person.ownerId === userId',
        to: 'person.id === userId',
      },
    ],
  },
  bug(
    'an account stands in for somebody',
    'access/delegation/add-delegation.ts',
    'if (delegate.ownerId)',
    "if (delegate.ownerId === '')",
  ),
  bug(
    'an owner and all of their accounts are counted on',
    ROUTE,
    'Map.groupBy(reviewers, ({ id, ownerId }) => ownerId ?? id)',
    'Map.groupBy(reviewers, ({ id }) => id)',
  ),
  bug('only owners are counted on', ROUTE, '.every((some) =>', '.slice(-1).every((some) =>'),
  bug('an account is asked whose owner has voted', ROUTE, '&& !(ownerId && voted.has(ownerId))', ''),
]
