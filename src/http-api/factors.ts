import { addTotp, confirmTotp, listFactors, removeFactor } from '../identity/factors.ts'
import { stepUp } from '../identity/step-up.ts'
import type { Handlers } from './handler.ts'
import { doerOf, signedInOf } from './identity-services.ts'
import type { IdentityServices } from './identity-services.ts'

/** Handlers of the noun "factor", and of proving one again for a single call. */
export function factorHandlers(services: IdentityServices): Handlers {
  return {
    async addTotp(context, { body }) {
      const owner = signedInOf(context)
      const factors = await listFactors(services.database, owner.userId)
      // The first one cannot be proven fresh: there is nothing to prove it with.
      const confirmation = factors.some(({ confirmed }) => confirmed) ? await context.requireFresh() : null
      const doer = { ...doerOf(context), confirmation }
      return await addTotp(services, doer, owner, { ...body, installation: services.installation })
    },
    async confirmTotp(context, { params, body }) {
      await confirmTotp(services, doerOf(context), signedInOf(context), { id: params['id'] ?? '', code: body.code })
      return {}
    },
    async listFactors(context) {
      return { items: await listFactors(services.database, signedInOf(context).userId) }
    },
    async removeFactor(context, { params }) {
      await removeFactor(services, doerOf(context), signedInOf(context).userId, params['id'] ?? '')
      return {}
    },
    async stepUp(context, { body }) {
      return { token: await stepUp(services, doerOf(context), signedInOf(context), body) }
    },
  }
}
