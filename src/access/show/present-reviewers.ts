import type { AccessRequest } from '../../contract/request.ts'
import { coversInstant, type Delegation } from '../delegation/delegation.ts'
import { opensAt, rolesDelegated, type Reviewable } from '../decide/rights.ts'
import type { Directory, Member } from '../directory.ts'
import { LIMITS } from '../limits.ts'

type Shown = Pick<AccessRequest, 'reviewers' | 'notNow' | 'delegates'>

/** Who can answer, when, and who can for them. `voted`: people whose vote counts already. */
export function presentReviewers(
  reviewers: readonly Member[],
  routed: Reviewable & { readonly delegations: readonly Delegation[] },
  members: Directory['members'],
  now: number,
  voted: ReadonlySet<string> = new Set(),
): Shown {
  const shown = reviewers.slice(0, LIMITS.reviewersShown)
  return {
    reviewers: shown.map(({ name }) => name),
    notNow: shown.flatMap((member) => {
      const opens = opensAt(member, routed, now) ?? now
      return opens > now ? [{ name: member.name, opensAt: opens }] : []
    }),
    delegates: delegatesOf(shown, routed, members, now)
      .filter(({ delegate }) => !voted.has(delegate.id))
      .map(({ delegate, absent, until }) => ({ name: delegate.name, onBehalfOf: absent.name, until })),
  }
}

export interface StandIn {
  readonly delegate: Member
  readonly absent: Member
  readonly until: number
}

/** Who stands in for one of these reviewers on this request at `now`, by name of the delegate. */
export function delegatesOf(
  reviewers: readonly Member[],
  routed: Reviewable & { readonly delegations: readonly Delegation[] },
  members: Directory['members'],
  now: number,
): StandIn[] {
  const absentOnes = new Map(reviewers.map((member) => [member.id, member]))
  const found = routed.delegations.flatMap((delegation): StandIn[] => {
    const absent = absentOnes.get(delegation.absentId)
    const delegate = members.get(delegation.delegateId)
    if (!absent || delegate?.standing.kind !== 'good' || !coversInstant(delegation, now)) return []
    const roles = rolesDelegated(delegation, absent, delegate, routed, 'ever')
    return roles.length === 0 ? [] : [{ delegate, absent, until: delegation.endsAt }]
  })
  return found.sort((a, b) => (a.delegate.name < b.delegate.name ? -1 : 1))
}
