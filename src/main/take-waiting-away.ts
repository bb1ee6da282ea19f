import { z } from 'zod'
import { ORDERS } from '../access/end/take-back.ts'
import type { SpilledOrder } from '../audit/deed.ts'
import { LockOrder } from '../identity/locks.ts'
import { TokenOrder } from '../identity/token-rows.ts'
import { UserOrder } from '../identity/users.ts'
import type { Snapshot } from '../grants/snapshot.ts'

const TakeBack = z.object({
  grantId: z.string(),
  actor: z.object({ name: z.string() }),
  comment: z.string().nullable(),
})
const USER_ORDERS: readonly string[] = ['user.disable', 'user.remove', 'user.reset']
const EndLogins = z.object({ ids: z.array(z.string()) })

/**
 * After a start on a store that still cannot write: what earlier orders took away in the memory of a process that is gone is
 * taken away in this one's. Orders that end nothing in memory (the end of a session) need nothing.
 */
export function takeWaitingAway(snapshot: Snapshot, { name, input }: SpilledOrder, now: number): void {
  if (name === 'revoke_grant' || name === 'return_grant') {
    const { grantId, actor, comment } = TakeBack.parse(input)
    snapshot.takeAway({ kind: 'grant', id: grantId, reason: ORDERS[name], by: actor.name, comment: comment ?? '' }, now)
  }
  if (name === 'login.end') for (const id of EndLogins.parse(input).ids) snapshot.takeAway({ kind: 'login', id }, now)
  if (USER_ORDERS.includes(name)) {
    const { logins, tokens } = UserOrder.parse(input)
    for (const id of logins) snapshot.takeAway({ kind: 'login', id }, now)
    for (const id of tokens) snapshot.takeAway({ kind: 'service_token', id }, now)
  }
  if (name === 'token.remove')
    for (const id of TokenOrder.parse(input).ids) snapshot.takeAway({ kind: 'service_token', id }, now)
  if (name === 'lock.add') snapshot.takeAway({ kind: 'lock', lock: LockOrder.parse(input).lock }, now)
}
