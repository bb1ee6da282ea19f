import { CHAT_CHANNELS, type ChatChannels } from '../../contract/role.ts'
import type { RequestCase } from '../request-case.ts'

export type ChatApproval = 'allowed' | 'step_up' | 'link_only'

const APPROVALS: readonly ChatApproval[] = ['allowed', 'step_up', 'link_only']

/** The strictest that the requested roles say: one that is gone says the strictest there is. */
export const chatApprovalOf = (loaded: RequestCase): ChatApproval =>
  strictest(loaded, APPROVALS, 'chat_approval', 'step_up')

export const chatChannelsOf = (loaded: RequestCase): ChatChannels =>
  strictest(loaded, CHAT_CHANNELS, 'chat_channels', 'any')

function strictest<T extends string>(
  { request, directory }: RequestCase,
  order: readonly T[],
  option: string,
  otherwise: T,
): T {
  const ranks = request.roles.map(({ id }) => {
    const options = directory.roles.get(id)?.spec.options
    if (!options) return order.length - 1
    const said: unknown = Reflect.get(options, option) ?? otherwise
    const rank = order.findIndex((each) => each === said)
    return rank === -1 ? order.length - 1 : rank
  })
  return order[Math.max(0, ...ranks)] ?? otherwise
}
