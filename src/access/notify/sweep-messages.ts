import { forgetOldArrivals } from '../from-chat/forget-old.ts'
import type { PlaneParts } from './plane-parts.ts'
import { raiseEdited, type EditWatch } from './raise-edited.ts'
import { raise } from './route-deliveries.ts'

const DAY = 86_400_000
/** Requests that are raised in one sweep */
const RAISED = 500
const KEPT_MS = 30 * DAY
const FORGOTTEN_TOGETHER = 1000

/** What nobody woke us for: requests that changed, edits of roles that show, what belongs to integrations that are gone, what is old. */
export async function sweepMessages(parts: PlaneParts, edits: EditWatch): Promise<void> {
  await raiseBehind(parts)
  await raiseEdited(parts, edits)
  await dropOrphans(parts)
  await forgetOld(parts)
  await forgetOldArrivals(parts)
}

async function raiseBehind({ database, clock }: PlaneParts): Promise<void> {
  const behind = await database.reads
    .selectFrom('messages as m')
    .innerJoin('access_requests as r', 'r.id', 'm.request_id')
    .select(['r.id', 'r.version'])
    .distinct()
    .where('m.kind', '=', 'request')
    .where('m.state', '=', 'settled')
    .whereRef('r.version', '>', 'm.rendered_version')
    .limit(RAISED)
    .execute()
  if (behind.length === 0) return
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    for (const { id, version } of behind) await raise(tx, id, version, now)
  })
}

async function dropOrphans({ database, clock }: PlaneParts): Promise<void> {
  const orphaned = database.reads
    .selectFrom('messages as m')
    .leftJoin('integrations as i', (join) => join.onRef('i.id', '=', 'm.integration_id').on('i.deleted_at', 'is', null))
    .where('m.state', 'in', ['due', 'dead'])
    .where('i.id', 'is', null)
  const rows = await orphaned.select('m.id').limit(FORGOTTEN_TOGETHER).execute()
  if (rows.length === 0) return
  const ids = rows.map(({ id }) => id)
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    await tx
      .updateTable('messages')
      .set({ state: 'dropped', failure: 'the integration was removed', changed_at: now })
      .where('id', 'in', ids)
      .execute()
  })
}

/** Of a request that still runs nothing is forgotten: its messages change again. */
async function forgetOld({ database, clock }: PlaneParts): Promise<void> {
  const old = await database.reads
    .selectFrom('messages as m')
    .leftJoin('access_requests as r', 'r.id', 'm.request_id')
    .leftJoin('grants as g', 'g.request_id', 'm.request_id')
    .select('m.id')
    .where('m.changed_at', '<', clock.now() - KEPT_MS)
    .where('m.state', '!=', 'due')
    .where((where) => where.or([where('r.state', 'is', null), where('r.state', '!=', 'pending')]))
    .where((where) => where.or([where('g.state', 'is', null), where('g.state', '=', 'ended')]))
    .limit(FORGOTTEN_TOGETHER)
    .execute()
  if (old.length === 0) return
  const ids = old.map(({ id }) => id)
  await database.transact(async (tx) => {
    await tx.deleteFrom('message_buttons').where('message_id', 'in', ids).execute()
    await tx.deleteFrom('messages').where('id', 'in', ids).execute()
  })
}
