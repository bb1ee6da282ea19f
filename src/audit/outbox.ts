import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'

export interface WaitingMessage {
  readonly id: string
  readonly topic: string
  readonly body: Readonly<Record<string, unknown>>
  readonly createdAt: number
}

/** What deeds queued, in the order in which they were committed. A message is delivered at least once. */
export interface Outbox {
  waiting(limit: number): Promise<readonly WaitingMessage[]>
  markDelivered(ids: readonly string[]): Promise<void>
}

export function createOutbox(database: Database, clock: Clock): Outbox {
  return {
    waiting: (limit) => waiting(database, limit),
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
  return rows.map((row) => ({
    id: row.id,
    topic: row.topic,
    body: JSON.parse(row.body_json) as Record<string, unknown>,
    createdAt: row.created_at,
  }))
}
