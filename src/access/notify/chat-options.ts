import { CHAT_APPROVALS, CHAT_CHANNELS, type ChatApproval, type ChatChannels } from '../../contract/role.ts'
import type { RequestCase } from '../request-case.ts'

type Cased = Pick<RequestCase, 'request' | 'directory'>

/** The strictest that the requested roles say, or those of them in `decided` if it names any: one that is gone says the strictest there is. */
export function chatApprovalOf(loaded: Cased, decided: ReadonlySet<string> = new Set()): ChatApproval {
  const counted = loaded.request.roles.filter(({ id }) => decided.size === 0 || decided.has(id))
  return strictest(loaded, counted, CHAT_APPROVALS, (options) => options.chat_approval ?? 'step_up')
}

export const chatChannelsOf = (loaded: Cased): ChatChannels =>
  strictest(loaded, loaded.request.roles, CHAT_CHANNELS, (options) => options.chat_channels ?? 'any')

type Options = NonNullable<ReturnType<RequestCase['directory']['roles']['get']>>['spec']['options']

/** `order`: from the mildest to the strictest */
function strictest<T>(
  { directory }: Cased,
  roles: readonly { readonly id: string }[],
  order: readonly [T, ...T[]],
  said: (options: Options) => T,
): T {
  const last = order.length - 1
  const ranks = roles.map(({ id }) => {
    const role = directory.roles.get(id)
    return role ? order.indexOf(said(role.spec.options)) : last
  })
  return order[roles.length === 0 ? last : Math.max(...ranks)] ?? order[0]
}
