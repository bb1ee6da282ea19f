import type { PlaneParts } from './plane-parts.ts'

/**
 * At the start of the only daemon on its store: what a daemon before it had in its hands when it died is due at once, and not
 * when the lease is over. How far the vendor got with it is unknown, as with every lease that ran out.
 */
export async function freeLeases({ database, clock }: Pick<PlaneParts, 'database' | 'clock'>): Promise<void> {
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    await tx
      .updateTable('messages')
      .set({ due_at: now, lease_until: now })
      .where('state', '=', 'due')
      .where('leased_by', 'is not', null)
      .where('lease_until', '>', now)
      .execute()
  })
}
