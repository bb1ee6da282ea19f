import type { Tx } from '../../audit/deed.ts'
import type { ChatConfirmationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Reader } from '../directory.ts'
import { takeIn, type KnownArrival } from './arrival.ts'
import { OFFER_MS, type ChatParts } from './chat-parts.ts'
import { hashOf, randomText } from './secret-text.ts'
import { shownJson, type Shown } from './shown-terms.ts'

/** Pages that somebody may have open */
const MOST_PAGES = 20

export interface ToConfirm {
  readonly requestId: string
  readonly decision: 'approve' | 'deny'
  readonly shown: Shown
  /** As typed in chat; null: to be typed on the page */
  readonly reason: string | null
  readonly durationMs: number | null
}

/**
 * Makes a page on which this person confirms this decision about this content with a second factor; its token. `useUp`: what
 * is good for once and led here. Errors: AlreadyHere, Refused('too_many_attempts').
 */
export async function openConfirmation(
  { database, clock }: Pick<ChatParts, 'database' | 'clock'>,
  arrival: KnownArrival,
  { requestId, decision, shown, reason, durationMs }: ToConfirm,
  useUp: (tx: Tx, now: number) => Promise<void> = () => Promise.resolve(),
): Promise<string> {
  const token = randomText()
  const { account, user, integration } = arrival
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    await takeIn(tx, arrival, 'open', now)
    await useUp(tx, now)
    await tx.deleteFrom('chat_confirmations').where('expires_at', '<=', now).execute()
    const open = await tx
      .selectFrom('chat_confirmations')
      .select('token_hash')
      .where('account_id', '=', account.id)
      .where('used_at', 'is', null)
      .execute()
    if (open.length >= MOST_PAGES)
      throw new Refused('too_many_attempts', 'you have many pages open', 'use one of them, or wait ten minutes')
    await tx
      .insertInto('chat_confirmations')
      .values({
        token_hash: hashOf('confirmation', token),
        integration_id: integration.id,
        account_id: account.id,
        user_id: user.id,
        request_id: requestId,
        decision,
        shown_json: shownJson(shown),
        reason,
        duration_ms: durationMs,
        created_at: now,
        expires_at: now + OFFER_MS,
        used_at: null,
      })
      .execute()
  })
  return token
}

/** Errors: Refused('not_found') when it is used, too old or none. */
export async function findConfirmation(reader: Reader, token: string, now: number): Promise<ChatConfirmationsTable> {
  const found = await reader
    .selectFrom('chat_confirmations')
    .selectAll()
    .where('token_hash', '=', hashOf('confirmation', token))
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (!found) throw pageIsOver()
  return found
}

/** One statement, so that a page decides once. Errors: Refused('not_found'). */
export async function useConfirmation(tx: Tx, { token_hash }: ChatConfirmationsTable, now: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('chat_confirmations')
    .set({ used_at: now })
    .where('token_hash', '=', token_hash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw pageIsOver()
}

const pageIsOver = (): Refused =>
  new Refused('not_found', 'this page was used already or is older than ten minutes', 'press the button in chat again')
