import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import type { Actor } from '../../contract/audit.ts'
import type { ChatOutcome } from '../../contract/from-chat.ts'
import type { ChatAccountsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { accountUnlinked } from '../messages.ts'
import { arrived, type KnownArrival } from './arrival.ts'
import type { ChatParts } from './chat-parts.ts'

export interface Unlinking {
  readonly actor: Actor
  readonly loginId: string | null
  readonly why: string
}

/** From the account itself. It takes a right away and needs no second factor. */
export async function unlinkHere(parts: ChatParts, arrival: KnownArrival): Promise<ChatOutcome> {
  const { user, account, integration } = arrival
  const actor: Actor = { kind: 'user', id: user.id, name: user.name }
  const confirmation = arrived(arrival, parts.clock.now())
  await parts.deeds.commitDeed(async (tx, now) => {
    await confirmation.spend(tx, now)
    return await unlinkDeed(tx, now, account.id, { actor, loginId: null, why: `unlinked in ${integration.vendor}` })
  })
  return { kind: 'done', text: `This account is not linked with ${user.name} any more.`, requestId: null }
}

/** Errors: Refused('not_found') when it is not linked. */
export async function unlinkDeed(
  tx: Tx,
  now: number,
  id: string,
  { actor, loginId, why }: Unlinking,
): Promise<Deed<ChatAccountsTable>> {
  const account = await tx
    .selectFrom('chat_accounts')
    .selectAll()
    .where('id', '=', id)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  if (!account) throw new Refused('not_found', 'there is no such linked account', 'run: sally chat accounts')
  const user = await tx.selectFrom('users').select('name').where('id', '=', account.user_id).executeTakeFirst()
  const ended = { ended_at: now, ended_why: why, ended_by: actor.name }
  await tx.updateTable('chat_accounts').set(ended).where('id', '=', id).execute()
  const event: NewEvent = {
    type: 'chat_account.unlink',
    actor,
    login: loginId,
    outcome: 'success',
    details: detailsOf(account, { why }),
    rows: [{ table: 'chat_accounts', id }],
  }
  const outbox = user ? [accountUnlinked(account, user.name, actor.name, why)] : []
  return { result: account, events: [event], outbox, evenIfAltered: true }
}

export function detailsOf(account: ChatAccountsTable, more: Readonly<Record<string, unknown>>) {
  const { id, vendor, tenant, external_id: external, external_name: externalName, user_id: user } = account
  const { integration_id: integration } = account
  return { account: id, integration, vendor, tenant, external, externalName, user, ...more }
}
