import type { Actor } from '../../contract/audit.ts'
import type { Deed, Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { loadCase } from '../request-case.ts'
import { requestNotFound } from '../caller.ts'
import { endGrant } from './end-grant.ts'

// Revoking and returning are orders that take power away: they happen in memory first, and when the store cannot take them
// they are spilled as JSON and replayed later, perhaps by another process. So the whole order is in its input.

export type TakeBackInput = Readonly<Record<string, unknown>> & {
  readonly requestId: string
  readonly grantId: string
  readonly actor: Actor
  readonly login: string | null
  readonly comment: string | null
  /** When it was ordered: the instant from which nothing worked any more */
  readonly at: number
}

/** Names under which the orders are spilled. */
export const ORDERS = { revoke_grant: 'revoked', return_grant: 'returned' } as const
export type OrderName = keyof typeof ORDERS

/** Errors: Refused('not_found' | 'grant_ended') when there is nothing left to end: a replay is then done. */
export async function takeBackDeed(tx: Tx, order: OrderName, input: TakeBackInput): Promise<Deed<'ended'>> {
  const loaded = await loadCase(tx, input.requestId, input.at)
  if (!loaded?.grant || loaded.grant.id !== input.grantId) throw requestNotFound()
  const { grant, request, requesterName } = loaded
  if (grant.state === 'ended') throw grantHasEnded()
  const { actor, login, comment, at } = input
  const told = await endGrant(tx, grant, request, requesterName, {
    reason: ORDERS[order],
    actor,
    login,
    comment,
    at,
  })
  return { result: 'ended', ...told }
}

export function grantHasEnded(): Refused {
  return new Refused('grant_ended', 'the grant has ended already')
}

/** For DeedLog.registerReplay. */
export const takingAwayReplays: Readonly<
  Record<OrderName, (input: Readonly<Record<string, unknown>>) => (tx: Tx) => Promise<Deed<unknown>>>
> = {
  revoke_grant: (input) => (tx) => takeBackDeed(tx, 'revoke_grant', input as TakeBackInput),
  return_grant: (input) => (tx) => takeBackDeed(tx, 'return_grant', input as TakeBackInput),
}
