import type { Confirmation } from '../../audit/confirmation.ts'
import type { Tx } from '../../audit/deed.ts'
import type { ChatEvent, ChatOutcome } from '../../contract/from-chat.ts'
import type { ChatAccountsTable, IntegrationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Caller } from '../caller.ts'
import type { Reader } from '../directory.ts'
import { hashOf } from './secret-text.ts'

/** An authentic event, before anybody asked who did it. */
export interface Arrival {
  readonly integration: IntegrationsTable
  readonly event: ChatEvent
  /** Of its inbox row */
  readonly key: string
}

/** An event of somebody who is a user here. */
export interface KnownArrival extends Arrival {
  readonly account: ChatAccountsTable
  readonly user: { readonly id: string; readonly name: string }
}

/** Has had its effect: a second delivery has none. */
export class AlreadyHere extends Error {
  override readonly name = 'AlreadyHere'
}

export const inboxKey = (event: ChatEvent): string => hashOf('inbox', event.eventId)

export async function isHere(reader: Reader, { integration, key }: Arrival): Promise<boolean> {
  const found = await reader
    .selectFrom('inbox')
    .select('received_at')
    .where('integration_id', '=', integration.id)
    .where('event_key', '=', key)
    .executeTakeFirst()
  return found !== undefined
}

/** In the transaction of the effect. Throws AlreadyHere. */
export async function takeIn(
  tx: Tx,
  { integration, key }: Arrival,
  outcome: ChatOutcome['kind'],
  now: number,
): Promise<void> {
  const { numInsertedOrUpdatedRows } = await tx
    .insertInto('inbox')
    .values({ integration_id: integration.id, event_key: key, received_at: now, outcome })
    .onConflict((conflict) => conflict.columns(['integration_id', 'event_key']).doNothing())
    .executeTakeFirst()
  if (numInsertedOrUpdatedRows !== 1n) throw new AlreadyHere()
}

/** Whether what the event rests on still stands, read where the effect is stored. Errors: Refused('not_allowed'). */
export async function refuseUnlinked(tx: Tx, { integration, account }: KnownArrival): Promise<void> {
  const standing = await tx
    .selectFrom('chat_accounts')
    .innerJoin('integrations', 'integrations.id', 'chat_accounts.integration_id')
    .select('chat_accounts.id')
    .where('chat_accounts.id', '=', account.id)
    .where('chat_accounts.user_id', '=', account.user_id)
    .where('chat_accounts.ended_at', 'is', null)
    .where('integrations.id', '=', integration.id)
    .where('integrations.enabled', '=', 1)
    .where('integrations.deleted_at', 'is', null)
    .executeTakeFirst()
  if (!standing) throw new Refused('not_allowed', 'this account is not linked any more', 'link it again: /access link')
}

/**
 * Belongs to the deed that the event brings about: its inbox row, and with it whatever was good for once, are stored with the
 * deed or not at all.
 */
export function arrived(
  arrival: KnownArrival,
  checkedAt: number,
  useUp: (tx: Tx, now: number) => Promise<void> = () => Promise.resolve(),
): Confirmation {
  return {
    checkedAt,
    async spend(tx, now) {
      await takeIn(tx, arrival, 'done', now)
      await refuseUnlinked(tx, arrival)
      await useUp(tx, now)
    },
  }
}

export function callerOf({ user, integration }: KnownArrival, confirmation: Confirmation | null = null): Caller {
  return {
    actor: { kind: 'user', id: user.id, name: user.name },
    userId: user.id,
    loginId: null,
    local: false,
    via: integration.vendor,
    confirmation,
  }
}
