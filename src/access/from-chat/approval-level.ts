import { CHAT_APPROVALS, type ChatApproval } from '../../contract/role.ts'
import type { Caller } from '../caller.ts'
import { memberOf } from '../caller.ts'
import { seatsOf } from '../decide/rights.ts'
import type { RequestCase } from '../request-case.ts'

/**
 * How somebody may decide from chat: the strictest of the requested roles that their vote would count for. Of nobody who may
 * review none of them, the strictest of all.
 */
export function approvalLevel(caller: Caller, loaded: RequestCase, now: number): ChatApproval {
  const member = memberOf(caller, loaded.directory)
  const seats = member ? seatsOf(member, loaded, loaded.delegations, loaded.directory.members, now, 'ever') : []
  const decided = new Set(seats.flatMap((seat) => seat.roleIds))
  const roles = loaded.facts.roles.filter(({ id }) => decided.size === 0 || decided.has(id))
  return strictest(roles.map(({ id }) => loaded.directory.roles.get(id)?.spec.options.chat_approval ?? 'step_up'))
}

/** Of none: as if nothing were known of them. */
export function strictest(levels: readonly ChatApproval[]): ChatApproval {
  const first = levels.length === 0 ? 'step_up' : 'allowed'
  return levels.reduce<ChatApproval>(
    (found, level) => (CHAT_APPROVALS.indexOf(level) > CHAT_APPROVALS.indexOf(found) ? level : found),
    first,
  )
}
