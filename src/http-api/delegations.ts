import type { Delegations } from '../access/delegation/delegations.ts'
import { callerOf, type Handlers } from './handler.ts'

/** Handlers of the noun "delegation". */
export function delegationHandlers(delegations: Delegations): Handlers {
  return {
    listDelegations: async (context, { query }) => ({ items: await delegations.list(callerOf(context), query.scope) }),
    addDelegation: async (context, { body: { to, until, roles, reason } }) =>
      await delegations.add(callerOf(context), { to, until, roles: roles ?? null, reason }),
    removeDelegation: async (context, { params }) => await delegations.remove(callerOf(context), params['id'] ?? ''),
  }
}
