import { Refused } from '../../foundation/errors.ts'
import { formatDuration } from '../../contract/duration.ts'
import { isSameHuman, mayReview } from '../../identity/role-rules.ts'
import { windowText, zonedText } from '../../identity/time-window.ts'
import { refuseBadStanding } from '../ask/plan-ask.ts'
import { memberOf, type Caller } from '../caller.ts'
import type { Member } from '../directory.ts'
import type { RequestCase } from '../request-case.ts'
import { requestForConditions } from '../stored-request.ts'
import { opensAt, seatsOf, type Seat } from './rights.ts'

/** Who votes, as whom, and on which of the requested roles. */
export interface Seating extends Seat {
  readonly reviewer: Member
}

/**
 * Whose vote this is. Without a name it is the caller's own, where their roles allow it, else that of the only absent one
 * they stand in for. `roleIds` is empty while every window is closed.
 * Errors: own_request before anything else, then not_a_reviewer, absent_one_unclear, then what is wrong with the account.
 */
export function seatFor(caller: Caller, loaded: RequestCase, onBehalfOf: string | null, now: number): Seating {
  if (caller.userId !== null && caller.userId === loaded.request.user_id)
    throw new Refused('own_request', 'nobody reviews a request of their own', 'ask somebody else to review it')
  const reviewer = memberOf(caller, loaded.directory)
  if (!reviewer || caller.local)
    throw new Refused('not_a_reviewer', 'only a signed-in reviewer may vote; the local admin never does')
  if (isSameHuman(reviewer, loaded.request.user_id))
    throw new Refused('own_request', 'nobody’s service account reviews a request of its owner', 'somebody else must')
  const seats = (when: number | 'ever'): Seat[] =>
    seatsOf(reviewer, loaded, loaded.delegations, loaded.directory.members, now, when)
  const open = seats(now)
  const { absent } = chosen(seats('ever'), open, onBehalfOf)
  refuseBadStanding(reviewer)
  return { reviewer, absent, roleIds: open.find((seat) => seat.absent === absent)?.roleIds ?? [] }
}

function chosen(seats: readonly Seat[], open: readonly Seat[], onBehalfOf: string | null): Seat {
  if (onBehalfOf !== null) {
    const named = seats.find(({ absent }) => absent?.name === onBehalfOf)
    if (named) return named
    throw new Refused('not_a_reviewer', `you do not stand in for ${onBehalfOf} on this request`, 'sally delegation ls')
  }
  // Open ones go first: a delegate whose own window is closed stands in for whoever's is open.
  const possible = open.length > 0 ? open : seats
  const [first, ...others] = possible
  if (!first) throw new Refused('not_a_reviewer', 'your roles do not let you review this request')
  if (first.absent === null || others.length === 0) return first
  const names = possible.flatMap(({ absent }) => absent?.name ?? [])
  throw new Refused(
    'absent_one_unclear',
    `you stand in for several people who may review this: ${names.join(', ')}`,
    `name one: --on-behalf-of=${names[0] ?? ''}`,
    { absent: names },
  )
}

/** Errors: Refused('outside_window') with the hours and the next opening. */
export function refuseClosedWindow({ reviewer, absent, roleIds }: Seating, loaded: RequestCase, now: number): void {
  if (roleIds.length > 0) return
  const voter = absent ?? reviewer
  const next = opensAt(voter, loaded, now) ?? now
  const windows = windowsOf(voter, loaded)
  const zone = windows[0]?.zone ?? 'UTC'
  const who = absent ? `votes for ${absent.name} are` : 'your votes on this are'
  throw new Refused(
    'outside_window',
    `${who} taken only ${windows.map(windowText).join('; ')}; the next time from ${zonedText(zone, next)}, in ${formatDuration(next - now)}`,
    next < loaded.request.pending_until ? 'vote then' : 'the request will have expired by then: others may decide',
    { opensAt: next },
  )
}

function windowsOf(voter: Member, { request, requesterName, facts }: RequestCase) {
  const seen = requestForConditions(request, requesterName)
  return facts.roles.flatMap(({ name }) => {
    const { may, windows } = mayReview(voter, name, request.user_id, seen)
    return may ? (windows ?? []) : []
  })
}
