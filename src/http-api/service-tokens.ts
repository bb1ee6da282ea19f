import { addServiceToken, listServiceTokens, removeServiceToken } from '../identity/service-tokens.ts'
import type { Handlers } from './handler.ts'
import { doerOf } from './identity-services.ts'
import type { IdentityServices } from './identity-services.ts'

/** Handlers of the noun "service token". */
export function serviceTokenHandlers(services: IdentityServices): Handlers {
  return {
    listServiceTokens: async () => ({ items: await listServiceTokens(services.database, services.clock.now()) }),
    addServiceToken: async (context, { body }) =>
      await addServiceToken(services, doerOf(context), body, () => context.requireOperator('user', 'create')),
    async removeServiceToken(context, { params }) {
      await removeServiceToken(services, doerOf(context), params['id'] ?? '')
      return {}
    },
  }
}
