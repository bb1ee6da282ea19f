import { CONTRACT_VERSION } from '../contract/routes.ts'
import { Refused } from '../foundation/errors.ts'
import { AUTHORITY_KINDS } from '../identity/authorities.ts'
import type { Handlers } from './handler.ts'
import type { IdentityServices } from './identity-services.ts'

/** Handlers of the noun "authority", and the ping that tells a client whom to trust. */
export function authorityHandlers({ authorities, ...services }: IdentityServices): Handlers {
  return {
    ping: async () => ({
      installation: services.installation,
      version: services.version,
      contract: CONTRACT_VERSION,
      proxyName: services.proxyName,
      tlsAuthority: authorities.tlsAuthorityPem(),
      sshHostAuthorities: authorities.trustedLines('host-ssh'),
      secondFactor: 'totp',
    }),
    listAuthorities: async () => ({ items: [...authorities.list()] }),
    async rotateAuthority(context, { params, body }) {
      const kind = AUTHORITY_KINDS.find((each) => each === params['kind'])
      if (!kind) throw new Refused('not_found', 'there is no such authority', `one of: ${AUTHORITY_KINDS.join(', ')}`)
      await authorities.rotate(kind, body.step, context)
      return {}
    },
  }
}
