import type { NewEvent, Tx } from '../../audit/deed.ts'
import type { ChatAccount, ChatLinkOffer } from '../../contract/chat-account.ts'
import type { ChatAccountsTable, ChatLinkOffersTable, IntegrationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import { confirmed, type Confirmation } from '../../audit/confirmation.ts'
import type { Actor } from '../../contract/audit.ts'
import type { StoreParts } from '../../identity/doer.ts'
import { refuseLocked } from '../../identity/login-sessions.ts'
import type { Reader } from '../directory.ts'
import { accountLinked } from '../messages.ts'
import { readLinkCode } from './account-link.ts'
import { hashOf } from './secret-text.ts'
import { detailsOf, unlinkDeed } from './unlink-account.ts'

type Parts = Pick<StoreParts, 'database' | 'deeds' | 'clock'>

/** Whoever is to be linked, as they were identified: by a login session, or by password and code on a page. */
export interface Linker {
  readonly actor: Actor
  readonly userId: string
  readonly loginId: string | null
  readonly confirmation: Confirmation | null
  /** A second factor was proven for this very deed or a moment ago */
  readonly isProven: boolean
}

type Offer = ChatLinkOffersTable & { readonly integration: IntegrationsTable }

/** What the code would link: shown before anybody confirms it. Errors: Refused('invitation_invalid'). */
export async function lookAtLink(parts: Parts, code: string, userId: string): Promise<ChatLinkOffer> {
  const { reads } = parts.database
  const offer = await findOffer(reads, code, parts.clock.now())
  const linked = await standingAccount(reads, offer)
  const { integration, tenant, external_id: externalId, external_name: name, expires_at: expiresAt } = offer
  return {
    integration: integration.name,
    vendor: integration.vendor,
    ...{ tenant, externalId, name, expiresAt },
    linked: linked === null ? 'no' : linked.user_id === userId ? 'you' : 'other',
  }
}

/**
 * Links the account that was shown the code with the linker. One that is linked with somebody else changes hands only with a
 * second factor. Errors: Refused('invitation_invalid' | 'exists' | 'second_factor_setup_required' | 'locked' | 'not_allowed').
 */
export async function linkAccount(parts: Parts, linker: Linker, code: string): Promise<ChatAccount> {
  const row = await parts.deeds.commitDeed(confirmed(linker, (tx, now) => linkDeed(tx, now, linker, code)))
  const [shown] = await present(parts.database.reads, [row])
  if (!shown) throw new Refused('not_found', 'the integration is not there any more')
  return shown
}

async function linkDeed(tx: Tx, now: number, linker: Linker, code: string) {
  const { userId, actor, loginId } = linker
  const offer = await findOffer(tx, code, now)
  if (offer.for_user !== null && offer.for_user !== actor.name)
    throw new Refused(
      'not_allowed',
      `that account asked to be linked with ${offer.for_user}, who alone may use this code`,
    )
  await refuseOffice(tx, userId, now)
  const before = await standingAccount(tx, offer)
  if (before?.user_id === userId) throw new Refused('exists', 'that account is linked with you already')
  if (before && !linker.isProven)
    throw new Refused(
      'second_factor_setup_required',
      'that account is linked with somebody else; it changes hands only with a second factor',
      'run: sally mfa add',
    )
  await spendOffer(tx, offer, now)
  const parted = before && (await unlinkDeed(tx, now, before.id, { actor, loginId, why: `linked with ${actor.name}` }))
  const row: ChatAccountsTable = {
    id: newId('chat_account', now),
    event_id: '',
    integration_id: offer.integration_id,
    vendor: offer.integration.vendor,
    tenant: offer.tenant,
    external_id: offer.external_id,
    external_name: offer.external_name,
    user_id: userId,
    linked_at: now,
    linked_by: loginId ?? 'page',
    ended_at: null,
    ended_why: null,
    ended_by: null,
  }
  await tx.insertInto('chat_accounts').values(row).execute()
  const event: NewEvent = {
    type: 'chat_account.link',
    actor,
    login: loginId,
    outcome: 'success',
    details: detailsOf(row, { by: loginId === null ? 'page' : 'login', secondFactor: linker.isProven }),
    rows: [{ table: 'chat_accounts', id: row.id }],
  }
  const outbox = [accountLinked(row, actor.name, loginId === null ? 'the page' : 'sally chat link')]
  return {
    result: row,
    events: [...(parted?.events ?? []), event] as [NewEvent, ...NewEvent[]],
    outbox: [...(parted?.outbox ?? []), ...outbox],
  }
}

/** Own accounts, or everybody's. */
export async function listAccounts(reader: Reader, userId: string | null): Promise<ChatAccount[]> {
  const rows = await reader
    .selectFrom('chat_accounts')
    .selectAll()
    .where('ended_at', 'is', null)
    .$if(userId !== null, (query) => query.where('user_id', '=', userId ?? ''))
    .orderBy('linked_at')
    .limit(5000)
    .execute()
  return await present(reader, rows)
}

/** By whoever it is linked with, or an operator. Errors: Refused('not_found'). */
export async function unlinkAccount(
  { deeds }: Pick<Parts, 'deeds'>,
  doer: { readonly actor: Actor; readonly loginId: string | null },
  id: string,
  owner: string | null,
): Promise<void> {
  await deeds.commitDeed(async (tx, now) => {
    const deed = await unlinkDeed(tx, now, id, { ...doer, why: owner === null ? 'by an operator' : 'unlinked' })
    if (owner !== null && deed.result.user_id !== owner)
      throw new Refused('not_found', 'there is no such linked account', 'run: sally chat accounts')
    return deed
  })
}

/** Errors: Refused('invitation_invalid'), the same for what is used, too old, or of an integration that is off. */
async function findOffer(reader: Reader, text: string, now: number): Promise<Offer> {
  const code = readLinkCode(text)
  const offer =
    code === null
      ? undefined
      : await reader
          .selectFrom('chat_link_offers')
          .selectAll()
          .where('code_hash', '=', hashOf('link', code))
          .where('used_at', 'is', null)
          .where('expires_at', '>', now)
          .executeTakeFirst()
  const integration =
    offer &&
    (await reader
      .selectFrom('integrations')
      .selectAll()
      .where('id', '=', offer.integration_id)
      .where('enabled', '=', 1)
      .where('deleted_at', 'is', null)
      .executeTakeFirst())
  if (!offer || !integration) throw noSuchCode()
  return { ...offer, integration }
}

async function spendOffer(tx: Tx, { code_hash }: Offer, now: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('chat_link_offers')
    .set({ used_at: now })
    .where('code_hash', '=', code_hash)
    .where('used_at', 'is', null)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw noSuchCode()
}

const noSuchCode = (): Refused =>
  new Refused('invitation_invalid', 'that code is unknown, used or older than ten minutes', 'get another: /access link')

async function standingAccount(reader: Reader, offer: Offer): Promise<ChatAccountsTable | null> {
  const { integration_id: integrationId, tenant, external_id: externalId } = offer
  const found = await reader
    .selectFrom('chat_accounts')
    .selectAll()
    .where('integration_id', '=', integrationId)
    .where('tenant', '=', tenant)
    .where('external_id', '=', externalId)
    .where('ended_at', 'is', null)
    .executeTakeFirst()
  return found ?? null
}

/** Only people in good standing. */
async function refuseOffice(tx: Tx, userId: string, now: number): Promise<void> {
  const user = await tx.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirst()
  if (!user || user.deleted_at !== null || user.disabled === 1)
    throw new Refused('user_disabled', 'your account is disabled')
  if (user.service_owner_id !== null) throw new Refused('not_allowed', 'only people are linked with accounts in chat')
  await refuseLocked(tx, userId, null, now)
}

async function present(reader: Reader, rows: readonly ChatAccountsTable[]): Promise<ChatAccount[]> {
  const integrations = new Map(
    (await reader.selectFrom('integrations').select(['id', 'name']).execute()).map(({ id, name }) => [id, name]),
  )
  const users = new Map(
    (await reader.selectFrom('users').select(['id', 'name']).execute()).map(({ id, name }) => [id, name]),
  )
  return rows.map((row) => ({
    id: row.id,
    user: users.get(row.user_id) ?? '',
    integration: integrations.get(row.integration_id) ?? '',
    vendor: row.vendor,
    tenant: row.tenant,
    externalId: row.external_id,
    name: row.external_name,
    linkedAt: row.linked_at,
  }))
}
