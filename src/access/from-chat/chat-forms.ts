import type { ChatForm } from '../../contract/from-chat.ts'
import type { ChatFormsTable } from '../../foundation/database/tables.ts'
import type { Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Reader } from '../directory.ts'
import { takeIn, type KnownArrival } from './arrival.ts'
import { OFFER_MS, type ChatParts } from './chat-parts.ts'
import { hashOf, randomText } from './secret-text.ts'
import { shownJson, type Shown } from './shown-terms.ts'

/** Forms that somebody may have open */
const MOST_FORMS = 20

export interface FormAbout {
  readonly kind: ChatForm['kind']
  readonly requestId?: string
  readonly decision?: 'approve' | 'deny'
  readonly shown?: Shown
}

/** Opens a form for the person of the arrival; its nonce. Errors: AlreadyHere, Refused('too_many_attempts'). */
export async function openForm(
  { database, clock }: Pick<ChatParts, 'database' | 'clock'>,
  arrival: KnownArrival,
  about: FormAbout,
): Promise<string> {
  const nonce = randomText()
  const { account, user, integration } = arrival
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    await takeIn(tx, arrival, 'form', now)
    await tx.deleteFrom('chat_forms').where('expires_at', '<=', now).execute()
    const open = await tx
      .selectFrom('chat_forms')
      .select('nonce_hash')
      .where('account_id', '=', account.id)
      .where('used_at', 'is', null)
      .execute()
    if (open.length >= MOST_FORMS)
      throw new Refused('too_many_attempts', 'you have many forms open', 'send one of them, or wait ten minutes')
    await tx
      .insertInto('chat_forms')
      .values({
        nonce_hash: hashOf('form', nonce),
        integration_id: integration.id,
        account_id: account.id,
        user_id: user.id,
        kind: about.kind,
        request_id: about.requestId ?? null,
        button_hash: null,
        decision: about.decision ?? null,
        shown_json: about.shown ? shownJson(about.shown) : null,
        created_at: now,
        expires_at: now + OFFER_MS,
        used_at: null,
      })
      .execute()
  })
  return nonce
}

/** The form with this nonce, opened for this very account and not yet sent. Errors: Refused('not_found'). */
export async function findForm(
  reader: Reader,
  { account, user, integration }: KnownArrival,
  nonce: string,
  now: number,
): Promise<ChatFormsTable> {
  const found = await reader
    .selectFrom('chat_forms')
    .selectAll()
    .where('nonce_hash', '=', hashOf('form', nonce))
    .where('integration_id', '=', integration.id)
    .where('account_id', '=', account.id)
    .where('user_id', '=', user.id)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (!found) throw formIsOver()
  return found
}

/** One statement, so that no two deeds share a form. Errors: Refused('not_found'). */
export async function useForm(tx: Tx, { nonce_hash }: ChatFormsTable, now: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('chat_forms')
    .set({ used_at: now })
    .where('nonce_hash', '=', nonce_hash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw formIsOver()
}

const formIsOver = (): Refused =>
  new Refused('not_found', 'this form was sent already, is not yours or is older than ten minutes', 'open it again')
