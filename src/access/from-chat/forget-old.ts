import type { ChatParts } from './chat-parts.ts'

const DAY_MS = 86_400_000
/** Longer than any vendor repeats, and than what carries no time of its own is of use: what it decided has been decided. */
const INBOX_KEPT_MS = 30 * DAY_MS
const TOGETHER = 1000

/** What came in long ago, and forms, pages and codes that are over. Inbox rows go some at a time, so that no deed waits for long. */
export async function forgetOldArrivals({ database, clock }: Pick<ChatParts, 'database' | 'clock'>): Promise<void> {
  const until = clock.now() - INBOX_KEPT_MS
  const old = await database.reads
    .selectFrom('inbox')
    .select(['integration_id', 'event_key'])
    .where('received_at', '<', until)
    .limit(TOGETHER)
    .execute()
  const over = await database.reads
    .selectFrom('chat_forms')
    .select('nonce_hash')
    .where('expires_at', '<=', clock.now())
    .limit(1)
    .execute()
  const visits = await database.reads
    .selectFrom('page_visits')
    .select('token_hash')
    .where('expires_at', '<=', clock.now())
    .limit(1)
    .execute()
  if (old.length + over.length + visits.length === 0) return
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    const keys = old.map(({ event_key }) => event_key)
    if (keys.length > 0)
      await tx.deleteFrom('inbox').where('event_key', 'in', keys).where('received_at', '<', until).execute()
    await tx.deleteFrom('chat_forms').where('expires_at', '<=', now).execute()
    await tx.deleteFrom('chat_confirmations').where('expires_at', '<=', now).execute()
    await tx.deleteFrom('page_visits').where('expires_at', '<=', now).execute()
    await tx.deleteFrom('chat_link_offers').where('expires_at', '<=', now).execute()
  })
}
