import { addLock, listLocks, removeLock } from '../identity/locks.ts'
import type { Handlers } from './handler.ts'
import { doerOf } from './identity-services.ts'
import type { IdentityServices } from './identity-services.ts'

/** Handlers of the noun "lock". */
export function lockHandlers(services: IdentityServices): Handlers {
  return {
    listLocks: async () => ({ items: await listLocks(services.database, services.clock.now()) }),
    addLock: async (context, { body }) => await addLock(services, doerOf(context), body),
    async removeLock(context, { params }) {
      await removeLock(services, doerOf(context), params['id'] ?? '')
      return {}
    },
  }
}
