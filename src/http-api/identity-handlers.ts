import { Refused } from '../foundation/errors.ts'
import { ServiceTokenFinder } from '../identity/find-service-token.ts'
import { LoginFinder } from '../identity/login-sessions.ts'
import { mayOperate } from '../identity/people.ts'
import { checkStepUp } from '../identity/step-up.ts'
import { authorityHandlers } from './authorities.ts'
import type { ApiOptions } from './call-route.ts'
import { chatAccountHandlers } from './chat-accounts.ts'
import { documentHandlers } from './documents.ts'
import { factorHandlers } from './factors.ts'
import type { Handlers } from './handler.ts'
import type { IdentityServices } from './identity-services.ts'
import { lockHandlers } from './locks.ts'
import { loginHandlers } from './logins.ts'
import { serviceTokenHandlers } from './service-tokens.ts'
import { userHandlers } from './users.ts'

/** All handlers of identity and resources. */
export function identityHandlers(services: IdentityServices): Handlers {
  return {
    ...authorityHandlers(services),
    ...loginHandlers(services),
    ...factorHandlers(services),
    ...documentHandlers(services),
    ...userHandlers(services),
    ...chatAccountHandlers(services),
    ...serviceTokenHandlers(services),
    ...lockHandlers(services),
  }
}

/** The questions that the server asks before it calls a handler. */
export function identityChecks(
  services: IdentityServices,
): Pick<ApiOptions, 'authenticate' | 'authenticateService' | 'mayOperate' | 'checkStepUp'> {
  const finder = new LoginFinder(services)
  const serviceTokens = new ServiceTokenFinder(services)
  const { database, clock } = services
  return {
    async authenticate(token) {
      const found = await finder.find(token)
      refuseTakenAway(services, found.user.id, found.loginId)
      return found
    },
    async authenticateService(token, address) {
      if (!ServiceTokenFinder.looksLikeOne(token)) return null
      const found = await serviceTokens.find(token, address)
      if (services.snapshot?.isTaken(found.tokenId)) throw new Refused('token_ended', 'this service token has ended')
      refuseTakenAway(services, found.user.id, found.tokenId)
      return found
    },
    mayOperate: async (userId, resource, verb) => await mayOperate(database.reads, userId, resource, verb, clock.now()),
    checkStepUp: async (loginId, action, token) => await checkStepUp(services, loginId, action, token),
  }
}

/** What ended or was locked in memory is refused although the store, being full, still says otherwise. */
function refuseTakenAway({ snapshot, clock }: IdentityServices, userId: string, loginId: string): void {
  if (!snapshot) return
  const now = clock.now()
  const ended = snapshot.login(loginId)?.ended_at ?? null
  if (ended !== null) throw new Refused('login_ended', 'this sign-in has ended', 'run: sally login')
  const lock = snapshot.lockOn('user', userId, now) ?? snapshot.lockOn('login', loginId, now)
  if (lock) throw new Refused('locked', lock.message === '' ? 'locked' : `locked: ${lock.message}`)
}
