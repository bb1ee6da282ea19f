import type { Confirmed } from '../audit/confirmation.ts'
import type { Actor } from '../contract/audit.ts'
import type { Vendor } from '../contract/vendors/common.ts'
import { Refused } from '../foundation/errors.ts'
import { administers, mayDo } from '../identity/role-rules.ts'
import { rolesReviewable, seatsOf, type When } from './decide/rights.ts'
import type { Directory, Member } from './directory.ts'
import type { RequestCase } from './request-case.ts'

/** Who calls. Rights follow `userId`; the local admin has none and is `local`. */
export interface Caller extends Confirmed {
  readonly actor: Actor
  readonly userId: string | null
  readonly loginId: string | null
  readonly local: boolean
  /** Where the deed was done, for its event; absent: the API */
  readonly via?: 'ssh' | 'postgres' | 'mysql' | 'page' | Vendor
  /** A second factor is proven with the very deed */
  readonly secondFactor?: true
}

/** The system itself: sweeps and consequences. */
export const SYSTEM: Actor = { kind: 'system', id: null, name: 'sallyport' }

export function memberOf(caller: Caller, directory: Directory): Member | undefined {
  return caller.userId === null ? undefined : directory.members.get(caller.userId)
}

/** Errors: Refused('not_allowed') for callers that are no user (the local admin asks for nothing and reviews nothing). */
export function requireMember(caller: Caller, directory: Directory, what: string): Member {
  const member = memberOf(caller, directory)
  if (member) return member
  throw new Refused('not_allowed', `only a signed-in user may ${what}`, 'run: sally login')
}

/** An operator right of the caller's own roles; the local admin has all. */
export function mayOperate(caller: Caller, directory: Directory, verb: 'list' | 'read' | 'delete'): boolean {
  if (caller.local) return true
  const member = memberOf(caller, directory)
  return member?.standing.kind === 'good' && mayDo(member, 'request', verb)
}

/**
 * Own roles, or those of somebody absent whose delegate the caller is, let the caller review at least one of the requested
 * roles, and the request is not the caller's own. `when` leaves review windows out (`ever`) or in.
 */
export function mayReviewNow(caller: Caller, loaded: RequestCase, now: number, when: When = 'ever'): boolean {
  const member = memberOf(caller, loaded.directory)
  if (member?.standing.kind !== 'good') return false
  return seatsOf(member, loaded, loaded.delegations, loaded.directory.members, now, when).length > 0
}

/** Of access taken in an emergency. By own roles: a delegate votes for somebody, and has looked at nothing for them. */
export function mayAcknowledge(caller: Caller, loaded: RequestCase, now: number): boolean {
  const member = memberOf(caller, loaded.directory)
  if (loaded.request.kind !== 'break_glass') return false
  if (!member || member.id === loaded.request.user_id || member.standing.kind !== 'good') return false
  if (now < (member.votesCountFrom ?? 0)) return false
  return administers(member) || rolesReviewable(member, loaded, 'ever').length > 0
}

/** Requester, whoever may review it, and operators. */
export function maySee(caller: Caller, loaded: RequestCase, now: number): boolean {
  if (caller.userId !== null && caller.userId === loaded.request.user_id) return true
  return (
    mayOperate(caller, loaded.directory, 'list') ||
    mayOperate(caller, loaded.directory, 'read') ||
    mayReviewNow(caller, loaded, now) ||
    mayAcknowledge(caller, loaded, now)
  )
}

/** Unknown requests and those that the caller must not know of get this same answer. */
export function requestNotFound(): Refused {
  return new Refused('not_found', 'there is no such request', 'sally request ls shows those you may see')
}
