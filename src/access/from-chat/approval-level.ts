import type { ChatApproval } from '../../contract/role.ts'
import type { Caller } from '../caller.ts'
import { memberOf } from '../caller.ts'
import { seatsOf } from '../decide/rights.ts'
import { chatApprovalOf } from '../notify/chat-options.ts'
import type { RequestCase } from '../request-case.ts'

/**
 * How somebody may decide from chat: the strictest of the requested roles that their vote would count for. Of somebody who may
 * review none of them, the strictest of all.
 */
export function approvalLevel(caller: Caller, loaded: RequestCase, now: number): ChatApproval {
  const member = memberOf(caller, loaded.directory)
  const seats = member ? seatsOf(member, loaded, loaded.delegations, loaded.directory.members, now, 'ever') : []
  return chatApprovalOf(loaded, new Set(seats.flatMap((seat) => seat.roleIds)))
}
