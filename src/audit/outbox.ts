import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { OutboxTable } from '../foundation/database/tables.ts'

const CLAIM_MS = 30_000

export interface WaitingMessage {
  readonly id: string
  readonly topic: string
  readonly body: Readonly<Record<string, unknown>>
  readonly createdAt: number
}

/** What deeds queued, in the order in which they were committed. A message is delivered at least once. */
export interface Outbox {
  waiting(limit: number): Promise<readonly WaitingMessage[]>
  /** The same for one of several deliverers, whichever daemon they ask: nobody else gets these for half a minute. */
  claim(limit: number): Promise<readonly WaitingMessage[]>
  markDelivered(ids: readonly string[]): Promise<void>
}

export function createOutbox(database: Database, clock: Clock): Outbox {
  return {
    waiting: (limit) => waiting(database, limit),
    claim: (limit) => claim(database, clock, limit),
    async markDelivered(ids) {
      if (ids.length === 0) return
      await database.transact((tx) =>
        tx
          .updateTable('outbox')
          .set({ delivered_at: clock.now() })
          .where('id', 'in', [...ids])
          .where('delivered_at', 'is', null)
          .execute(),
      )
    },
  }
}

async function waiting(database: Database, limit: number): Promise<readonly WaitingMessage[]> {
  const rows = await database.reads
    .selectFrom('outbox')
    .selectAll()
    .where('delivered_at', 'is', null)
    .orderBy('position')
    .limit(limit)
    .execute()
  return rows.map(present)
}

/** Transactions come one after the other, so nobody reads between this look and this mark. */
function claim(database: Database, clock: Clock, limit: number): Promise<readonly WaitingMessage[]> {
  return database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    const rows = await tx
      .selectFrom('outbox')
      .selectAll()
      .where('delivered_at', 'is', null)
      .where((where) => where.or([where('claimed_until', 'is', null), where('claimed_until', '<=', now)]))
      .orderBy('position')
      .limit(limit)
      .execute()
    const ids = rows.map(({ id }) => id)
    if (ids.length > 0)
      await tx
        .updateTable('outbox')
        .set({ claimed_until: now + CLAIM_MS })
        .where('id', 'in', ids)
        .execute()
    return rows.map(present)
  })
}

function present(row: OutboxTable): WaitingMessage {
  return {
    id: row.id,
    topic: row.topic,
    body: JSON.parse(row.body_json) as Record<string, unknown>,
    createdAt: row.created_at,
  }
}
