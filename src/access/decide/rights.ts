import { isSameHuman, mayReview } from '../../identity/role-rules.ts'
import { nextOpeningOf, windowsAreOpen } from '../../identity/time-window.ts'
import { coversInstant, type Delegation } from '../delegation/delegation.ts'
import type { Member } from '../directory.ts'
import type { RequestFacts } from '../route/route-request.ts'
import { requestForConditions, type StoredRequest } from '../stored-request.ts'

// Who may vote on which of the requested roles, by a right of their own or for somebody absent. Pure.

export interface Reviewable {
  readonly request: StoredRequest
  readonly requesterName: string
  readonly facts: RequestFacts
}

/** An instant, or a span in which one instant is enough; `ever`: review windows are left out of it. */
export type When = number | { readonly from: number; readonly until: number } | 'ever'

const NOBODY_LISTENS = { add: () => new Set<string>() }

/** Ids of the requested roles that this member's own roles let them review. Nobody may for a request of their own. */
export function rolesReviewable(
  member: Member,
  { request, requesterName, facts }: Reviewable,
  when: When,
  problems: Pick<Set<string>, 'add'> = NOBODY_LISTENS,
): string[] {
  const seen = requestForConditions(request, requesterName)
  const reviewable: string[] = []
  for (const { id, name } of facts.roles) {
    const { may, windows, problems: failed } = mayReview(member, name, request.user_id, seen)
    for (const problem of failed) problems.add(problem)
    if (may && (windows === null || isOpen(windows, when))) reviewable.push(id)
  }
  return reviewable
}

function isOpen(windows: Parameters<typeof windowsAreOpen>[0], when: When): boolean {
  if (when === 'ever') return true
  if (typeof when === 'number') return windowsAreOpen(windows, when)
  return nextOpeningOf(windows, when.from) < when.until
}

/** The first instant from `now` on at which the member may review one of the roles; null = never by a right of their own. */
export function opensAt(member: Member, { request, requesterName, facts }: Reviewable, now: number): number | null {
  const seen = requestForConditions(request, requesterName)
  let first: number | null = null
  for (const { name } of facts.roles) {
    const { may, windows } = mayReview(member, name, request.user_id, seen)
    if (!may) continue
    if (windows === null) return now
    first = Math.min(first ?? Infinity, nextOpeningOf(windows, now))
  }
  return first
}

/**
 * What a delegate may vote on for the absent one: exactly what the absent one could, as far as the delegation goes. Nobody
 * stands in for the requester, nor votes for themselves that way. A delegation made while the absent one's own votes did not
 * count (an admin's reset) gives nothing.
 */
export function rolesDelegated(
  delegation: Delegation,
  absent: Member,
  delegate: Pick<Member, 'id' | 'ownerId'>,
  reviewable: Reviewable,
  when: When,
  problems: Pick<Set<string>, 'add'> = NOBODY_LISTENS,
): string[] {
  const requester = reviewable.request.user_id
  if (isSameHuman(delegate, requester) || isSameHuman(absent, requester) || isSameHuman(delegate, absent.id)) return []
  if (delegation.createdAt < (absent.votesCountFrom ?? 0)) return []
  if (typeof when === 'number' && !coversInstant(delegation, when)) return []
  const roles = rolesReviewable(absent, reviewable, when, problems)
  const { roleIds } = delegation
  return roleIds === null ? roles : roles.filter((id) => roleIds.includes(id))
}

/** A vote that a member could cast now. */
export interface Seat {
  /** null: as self */
  readonly absent: Member | null
  readonly roleIds: readonly string[]
}

/** What the member could vote as: as self first, then by name for absent ones whose delegation holds at `now`. */
export function seatsOf(
  member: Member,
  reviewable: Reviewable,
  delegations: readonly Delegation[],
  members: ReadonlyMap<string, Member>,
  now: number,
  when: When = now,
): Seat[] {
  const own = rolesReviewable(member, reviewable, when)
  const delegated = new Map<string, { absent: Member; roleIds: Set<string> }>()
  for (const delegation of delegations) {
    const absent = members.get(delegation.absentId)
    if (delegation.delegateId !== member.id || !coversInstant(delegation, now)) continue
    if (absent?.standing.kind !== 'good') continue
    const seat = delegated.get(absent.id) ?? { absent, roleIds: new Set() }
    for (const id of rolesDelegated(delegation, absent, member, reviewable, when)) seat.roleIds.add(id)
    if (seat.roleIds.size > 0) delegated.set(absent.id, seat)
  }
  return [
    ...(own.length > 0 ? [{ absent: null, roleIds: own }] : []),
    ...[...delegated.values()]
      .sort((a, b) => (a.absent.name < b.absent.name ? -1 : 1))
      .map(({ absent, roleIds }) => ({ absent, roleIds: [...roleIds] })),
  ]
}
