import type { Snapshot } from '../grants/snapshot.ts'
import type { Authorities } from '../identity/authorities.ts'
import type { Doer } from '../identity/doer.ts'
import type { SignInParts } from '../identity/sign-in.ts'
import { Bug } from '../foundation/errors.ts'
import type { CallContext } from './handler.ts'

export interface IdentityServices extends SignInParts {
  readonly authorities: Authorities
  /** Knows of ends and locks that the store could not take yet */
  readonly snapshot?: Pick<Snapshot, 'login' | 'lockOn' | 'isTaken'>
  /** Name of the installation */
  readonly installation: string
  readonly version: string
  /** Name by which certificates know the proxy */
  readonly proxyName: string
  /** HOST:PORT that clients reach */
  readonly publicAddress: string
}

export function doerOf({ actor, login, confirmation }: CallContext): Doer {
  return { actor, loginId: login?.id ?? null, confirmation }
}

export interface SignedInContext {
  readonly userId: string
  readonly userName: string
  readonly loginId: string
  readonly address: string
}

/** For routes that only signed-in people reach; the server has checked that. */
export function signedInOf({ actor, login, address }: CallContext): SignedInContext {
  if (!login) throw new Bug('a signed-in route was reached without a login session')
  return { userId: login.userId, userName: actor.name, loginId: login.id, address }
}
