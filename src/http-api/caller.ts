import type { Actor } from '../contract/audit.ts'
import type { Route } from '../contract/routes.ts'
import type { ServiceScope } from '../contract/service-token.ts'
import { Refused } from '../foundation/errors.ts'

/** A login session that was found by its token and may be used now. */
export interface SignedInCaller {
  readonly loginId: string
  readonly user: { readonly id: string; readonly name: string }
  /** When a second factor was last proven on this login; null = never */
  readonly secondFactorAt: number | null
  /** False: the user has no second factor yet */
  readonly hasSecondFactor: boolean
}

/** A service account that was found by its token and may be used now. */
export interface ServiceCaller {
  readonly tokenId: string
  readonly scopes: readonly ServiceScope[]
  readonly user: { readonly id: string; readonly name: string }
}

export type Caller =
  | { readonly kind: 'anonymous' }
  | { readonly kind: 'local' }
  | ({ readonly kind: 'user' } & SignedInCaller)
  | ({ readonly kind: 'service' } & ServiceCaller)

/** Whether a user's own roles' rules allow `verb` on `resource`. Rights from a grant never count. */
export type MayOperate = (userId: string, resource: string, verb: string) => Promise<boolean>

const SIGN_IN = 'run: sally login'

/** The one place that decides who may call a route. Throws Refused. */
export async function checkAccess(
  { access, scope }: Pick<Route, 'access' | 'scope'>,
  caller: Caller,
  mayOperate: MayOperate,
): Promise<void> {
  if (caller.kind === 'service') return checkScope(scope, caller)
  switch (access.who) {
    case 'anyone':
      return
    case 'signed-in':
      if (caller.kind === 'local' && access.local !== true)
        throw new Refused('not_allowed', 'the local admin never does this', 'sign in as yourself: sally login')
      if (caller.kind === 'anonymous') throw new Refused('not_signed_in', 'you are not signed in', SIGN_IN)
      return
    case 'operator':
      return await checkOperator(caller, access.resource, access.verb, mayOperate)
    case 'service':
      if (caller.kind === 'anonymous')
        throw new Refused('not_signed_in', 'a service token is needed', 'make one: sallyctl tokens add NAME')
      throw new Refused('not_allowed', 'only service accounts do this', 'make one: sallyctl tokens add NAME')
    case 'local':
      if (caller.kind !== 'local')
        throw new Refused('not_allowed', 'only the admin socket on the daemon’s own host takes this')
      return
  }
  throw new Refused('not_allowed', 'nobody may call this')
}

/** Routes that name no scope are for people and operators: whatever roles a service account has, it does not call them. */
function checkScope(scope: ServiceScope | undefined, { scopes }: ServiceCaller): void {
  if (scope === undefined) throw new Refused('not_allowed', 'service tokens are not taken here')
  if (scopes.includes(scope)) return
  throw new Refused(
    'not_allowed',
    `this service token lacks the scope ${scope}`,
    `make one that has it: sallyctl tokens add NAME --scope=${scope}`,
  )
}

export async function checkOperator(
  caller: Caller,
  resource: string,
  verb: string,
  mayOperate: MayOperate,
): Promise<void> {
  if (caller.kind === 'local') return
  if (caller.kind === 'anonymous') throw new Refused('not_signed_in', 'you are not signed in', SIGN_IN)
  if (caller.kind === 'service') throw new Refused('not_allowed', 'a service account operates nothing')
  if (!(await mayOperate(caller.user.id, resource, verb)))
    throw new Refused(
      'not_allowed',
      `none of your own roles allows ${verb} on ${resource}`,
      'ask an administrator, or use sallyctl on the daemon\u2019s own host',
    )
  if (!caller.hasSecondFactor)
    throw new Refused('second_factor_setup_required', 'operators need a second factor', 'run: sally mfa add')
  if (caller.secondFactorAt === null)
    throw new Refused('second_factor_required', 'this sign-in has no second factor', SIGN_IN)
}

export function actorOf(caller: Caller): Actor {
  if (caller.kind === 'local') return { kind: 'local-admin', id: null, name: 'local-admin' }
  if (caller.kind === 'anonymous') return { kind: 'anonymous', id: null, name: 'anonymous' }
  return { kind: 'user', id: caller.user.id, name: caller.user.name }
}
