import { linkAccount, listAccounts, lookAtLink, unlinkAccount } from '../access/from-chat/chat-accounts.ts'
import { Refused } from '../foundation/errors.ts'
import { hasConfirmedFactor } from '../identity/totp.ts'
import type { Handlers } from './handler.ts'
import { doerOf, signedInOf, type IdentityServices } from './identity-services.ts'

/** Handlers of the noun "chat account": who people are at chat and ticket products. */
export function chatAccountHandlers(services: IdentityServices): Handlers {
  const { reads } = services.database
  /** A code is short: nobody tries many. */
  const limited = async <T>(userId: string, address: string, work: () => Promise<T>): Promise<T> => {
    const attempt = await services.limiter.begin(`chat codes of ${userId}`, address)
    try {
      const result = await work()
      await attempt.succeed()
      return result
    } catch (error) {
      if (!(error instanceof Refused) || error.code !== 'invitation_invalid') await attempt.takeBack()
      throw error
    }
  }
  return {
    async listChatAccounts(context, { query }) {
      if (query.all) await context.requireOperator('user', 'list')
      return { items: await listAccounts(reads, query.all ? null : signedInOf(context).userId) }
    },
    async lookAtChatLink(context, { params }) {
      const { userId, address } = signedInOf(context)
      return await limited(userId, address, () => lookAtLink(services, params['code'] ?? '', userId))
    },
    async linkChatAccount(context, { body }) {
      const { userId, address } = signedInOf(context)
      return await limited(userId, address, async () => {
        await lookAtLink(services, body.code, userId)
        // Who has a second factor proves it: the account will vote as its user.
        const isProven = await hasConfirmedFactor(reads, userId)
        const confirmation = isProven && context.isFresh !== true ? await context.requireFresh() : null
        return await linkAccount(services, { ...doerOf(context), userId, confirmation, isProven }, body.code)
      })
    },
    async unlinkChatAccount(context, { params }) {
      const id = params['id'] ?? ''
      const own = context.login && (await listAccounts(reads, context.login.userId)).some((each) => each.id === id)
      if (!own) await context.requireOperator('user', 'update').catch(notTheirs)
      await unlinkAccount(services, doerOf(context), id, own ? signedInOf(context).userId : null)
      return {}
    },
  }
}

/** Whether there is such an account of somebody else is told to operators alone. */
function notTheirs(error: unknown): never {
  if (!(error instanceof Refused) || error.code !== 'not_allowed') throw error
  throw new Refused('not_found', 'no account with that id is linked with you', 'run: sally chat accounts')
}
