import { sql } from 'kysely'
import type { z } from 'zod'
import { presentGrant } from '../access/show/present-request.ts'
import type { Grant } from '../contract/request.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { storedGrant } from '../grants/stored-grant.ts'
import { endLogin, listLogins } from '../identity/login-sessions.ts'
import { loadPerson } from '../identity/people.ts'
import { acceptInvitation, signIn } from '../identity/sign-in.ts'
import { showUser } from '../identity/users.ts'
import type { Handlers } from './handler.ts'
import { doerOf, signedInOf } from './identity-services.ts'
import type { IdentityServices } from './identity-services.ts'

/** Handlers of the noun "login", and of who one is. */
export function loginHandlers(services: IdentityServices): Handlers {
  const { database, clock } = services
  return {
    signIn: async ({ address }, { body }) => await signIn(services, { ...body, address }),
    acceptInvitation: async ({ address }, { body }) => await acceptInvitation(services, { ...body, address }),
    async listLogins(context) {
      const { userId, loginId } = signedInOf(context)
      return { items: await listLogins(database, userId, loginId, clock.now()) }
    },
    async endLogin(context, { params }) {
      const owner = context.local ? null : signedInOf(context).userId
      await endLogin(services, doerOf(context), params['id'] ?? '', owner)
      return {}
    },
    async me(context) {
      const { userId, loginId } = signedInOf(context)
      const now = clock.now()
      const logins = await listLogins(database, userId, loginId, now)
      const login = logins.find(({ current }) => current)
      const person = await loadPerson(database.reads, userId, now)
      if (!login || !person) throw new Refused('login_ended', 'this sign-in has ended', 'run: sally login')
      return {
        user: await showUser(database, userId),
        login,
        grants: await openGrants(database, userId, person.name, now),
        canReview: person.roles.some(({ spec }) => (spec.allow.review_requests?.roles.length ?? 0) > 0),
        operator: person.roles.some(({ spec }) => spec.allow.rules.length > 0),
      }
    },
  }
}

/** Those that have not ended. */
export async function openGrants(
  database: Database,
  userId: string,
  user: string,
  now: number,
): Promise<z.input<typeof Grant>[]> {
  const rows = await database.reads
    .selectFrom('grants')
    .selectAll()
    .where('user_id', '=', userId)
    .where('state', '!=', sql.lit('ended'))
    .orderBy('ends_at')
    .limit(200)
    .execute()
  return rows.map((row) => presentGrant(storedGrant(row), user, now))
}
