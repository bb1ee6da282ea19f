import { endLoginsOf } from '../identity/login-sessions.ts'
import { inviteCommand } from '../identity/first-admin.ts'
import type { NewInvitation } from '../identity/invitations.ts'
import { addUser, listUsers, removeUser, resetUser, userIdNamed } from '../identity/users.ts'
import { nameParam } from './documents.ts'
import type { Handlers } from './handler.ts'
import { doerOf } from './identity-services.ts'
import type { IdentityServices } from './identity-services.ts'

/** Handlers of the noun "user". */
export function userHandlers(services: IdentityServices): Handlers {
  const present = (user: string, { code, expiresAt }: NewInvitation) => {
    const command = inviteCommand(services.publicAddress, services.authorities.pin(), code)
    return { user, code, expiresAt, command }
  }
  return {
    listUsers: async () => ({ items: await listUsers(services.database) }),
    async addUser(context, { body }) {
      const { invitation } = await addUser(services, doerOf(context), body)
      return present(body.name, invitation)
    },
    async removeUser(context, { params }) {
      await removeUser(services, doerOf(context), nameParam(params))
      return {}
    },
    async resetUser(context, { params }) {
      const name = nameParam(params)
      return present(name, await resetUser(services, doerOf(context), name))
    },
    async endUserLogins(context, { params }) {
      const userId = await userIdNamed(services.database, nameParam(params))
      return { ended: await endLoginsOf(services, doerOf(context), userId, `ended by ${context.actor.name}`) }
    },
  }
}
