import { generateKeyPairSync } from 'node:crypto'
import { generateSync } from 'otplib'
import { RoleDocument } from '../../src/contract/role.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { formatPublicKeyLine, publicKeyOf } from '../../src/formats/openssh/public-key.ts'
import type { IdentityServices } from '../../src/http-api/identity-services.ts'
import { AttemptLimiter } from '../../src/identity/attempt-limiter.ts'
import { AuthFailures } from '../../src/audit/auth-failures.ts'
import { Authorities } from '../../src/identity/authorities.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import type { TakenAway } from '../../src/identity/doer.ts'
import { addTotp, confirmTotp } from '../../src/identity/factors.ts'
import { Passwords } from '../../src/identity/passwords.ts'
import { putRole } from '../../src/identity/roles.ts'
import { acceptInvitation } from '../../src/identity/sign-in.ts'
import { addUser } from '../../src/identity/users.ts'
import { identityStore } from './identity-store.ts'
import type { IdentityStore } from './identity-store.ts'

export const PASSWORD = 'correct horse battery'
/** A new device key's line. */
export const deviceKey = (): string => formatPublicKeyLine(publicKeyOf(generateKeyPairSync('ed25519').publicKey).blob)

export interface IdentityWorld extends IdentityStore {
  readonly services: IdentityServices
  readonly failures: AuthFailures
  readonly taken: TakenAway[]
  /** Writes a role whose allowing half is `allow`. */
  role(name: string, allow?: object): Promise<string>
  /** An invited user who has accepted, signed in on one device; with a second factor unless `plain`. */
  person(name: string, roles?: readonly string[], plain?: boolean): Promise<SignedInPerson>
}

export interface SignedInPerson {
  readonly id: string
  readonly name: string
  readonly loginId: string
  readonly token: string
  /** Base32, null without a second factor */
  readonly secret: string | null
  /** A code that has not been used: moves the clock to the next step */
  freshCode(): string
}

/** Services over a temporary store with a frozen clock and cheap password hashes. */
export async function identityWorld(store = identityStore()): Promise<IdentityWorld> {
  const taken: TakenAway[] = []
  const failures = new AuthFailures(store.deeds, store.clock, silentLog)
  const services: IdentityServices = {
    ...store,
    authorities: await Authorities.open({ ...store, installation: 'test' }),
    passwords: new Passwords({ memory: 64, passes: 1, parallelism: 1 }),
    limiter: new AttemptLimiter(store.clock),
    failures,
    takeAway: (what) => taken.push(what),
    loginTtlMs: 12 * 3_600_000,
    installation: 'test',
    version: '0.0.0',
    proxyName: 'sallyport',
    publicAddress: 'proxy.example:3022',
  }
  const freshCode = (secret: string | null): string => {
    store.clock.advance(30_000)
    return codeOf(secret ?? '', store.clock.now())
  }
  return {
    ...store,
    services,
    failures,
    taken,
    async role(name, allow = {}) {
      const document = RoleDocument.parse({ kind: 'role', metadata: { name }, spec: { allow } })
      return (await putRole(services, SYSTEM, document, true)).id
    },
    async person(name, roles = [], plain = false) {
      const { id, invitation } = await addUser(services, SYSTEM, { name, roles, traits: {} })
      const device = { device: 'laptop', sshPublicKey: deviceKey(), address: '192.0.2.1' }
      const login = await acceptInvitation(services, { ...device, code: invitation.code, password: PASSWORD })
      const person = { id, name, loginId: login.login.id, token: login.token }
      if (plain) return { ...person, secret: null, freshCode: () => freshCode(null) }
      const doer = { actor: { kind: 'user', id, name }, loginId: person.loginId } as const
      const owner = { userId: id, userName: name, loginId: person.loginId, address: '192.0.2.1' }
      const { id: factor, secret } = await addTotp(services, doer, owner, { name: 'phone', installation: 'test' })
      await confirmTotp(services, doer, owner, { id: factor, code: freshCode(secret) })
      return { ...person, secret, freshCode: () => freshCode(secret) }
    },
  }
}

export function codeOf(secret: string, now: number): string {
  return generateSync({ secret, epoch: Math.floor(now / 1000) })
}
