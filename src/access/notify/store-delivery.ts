import { hash } from 'node:crypto'
import type { Tx } from '../../audit/deed.ts'
import type { DeliveryResult } from '../../contract/notify-plane.ts'
import { insertRow } from '../../foundation/database/fixed-statement.ts'
import type { MessagesTable } from '../../foundation/database/tables.ts'
import { newId, someRandomBytes } from '../../foundation/ids.ts'
import { breakIntegration, mendIntegration } from '../integrations/integrations.ts'
import { SYSTEM } from '../caller.ts'
import type { PlaneParts } from './plane-parts.ts'
import { administrators } from './administrators.ts'

/** An integration that is in trouble is looked at again when somebody has changed it; its messages wait so long at least. */
const TROUBLE_MS = 60_000

/** What became of claimed messages, in one transaction. Integrations in trouble are marked so, once, with an event. */
export async function storeDelivery(parts: PlaneParts, results: readonly DeliveryResult[]): Promise<void> {
  const { database, clock } = parts
  const troubles = await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    const found = new Map<string, string>()
    for (const result of results) {
      const row = await tx.selectFrom('messages').selectAll().where('id', '=', result.id).executeTakeFirst()
      if (!row) continue
      if (row.leased_by === result.lease) await settle(tx, row, result, now)
      else await settleLate(tx, row, result, now)
      if (result.verdict.kind === 'trouble') found.set(row.integration_id, result.verdict.why)
    }
    return found
  })
  for (const [id, why] of troubles) await markBroken(parts, id, why)
}

export async function markBroken(parts: PlaneParts, id: string, why: string): Promise<void> {
  const admins = await administrators(parts.database.reads, parts.clock.now())
  const broken = await breakIntegration(parts, { actor: SYSTEM, loginId: null }, id, why, admins)
  if (broken) parts.log.error({ integration: id, why }, 'an integration works no more until somebody changes it')
}

/** It works again, by its own word. */
export async function mend(parts: PlaneParts, id: string): Promise<void> {
  const mended = await mendIntegration(parts, { actor: SYSTEM, loginId: null }, id)
  if (mended) parts.log.info({ integration: id }, 'an integration works again')
}

async function settle(tx: Tx, row: MessagesTable, result: DeliveryResult, now: number): Promise<void> {
  const { verdict, version, found } = result
  const external = row.external ?? found
  const unknown_since = external === null ? result.unknownSince : null
  const free = { lease_until: null, leased_by: null, changed_at: now, external, unknown_since }
  const failed = 'why' in verdict ? { failure: verdict.why, failed_at: now } : { failure: null, failed_at: null }
  const write = (columns: Partial<MessagesTable>): Promise<unknown> =>
    tx
      .updateTable('messages')
      .set({ ...free, ...failed, ...columns })
      .where('id', '=', row.id)
      .execute()
  switch (verdict.kind) {
    case 'delivered': {
      // What was raised while it was on its way is shown next.
      const isNewest = row.kind === 'notice' || (row.desired_version <= version && row.rendered_version >= 0)
      const state = isNewest ? ('settled' as const) : ('due' as const)
      const shown = { external: verdict.external, rendered_version: version, state, due_at: now }
      await write({ ...shown, attempts: 0, failure_kind: null })
      // While it was sent it turned out that it was there already: there are two.
      if (row.kind === 'request' && row.external !== null && result.knew === null && row.external !== verdict.external)
        await adopt(tx, row, row.external, now)
      await keepPace(tx, row.integration_id, { delivered_at: now })
      return
    }
    case 'later':
      if (verdict.hold) await keepPace(tx, row.integration_id, { not_before: now + verdict.afterMs, why: verdict.why })
      // A vendor that asks us to wait has not failed.
      await write({
        due_at: now + verdict.afterMs,
        failure_kind: 'retry',
        ...(verdict.asked ? { attempts: Math.max(0, row.attempts - 1) } : {}),
      })
      return
    case 'dead':
      await write({ state: 'dead', failure_kind: verdict.failure })
      await releaseFallbacks(tx, row, now)
      return
    case 'anew':
      // A line that is gone was read, or taken away by somebody: it is not said twice.
      if (row.kind === 'notice') await write({ state: 'dropped', failure_kind: 'gone' })
      else await write({ external: null, unknown_since: null, rendered_version: 0, due_at: now, failure_kind: 'gone' })
      return
    case 'drop':
      await write({ state: 'dropped', failure_kind: null })
      return
    case 'trouble':
      await write({ due_at: now + TROUBLE_MS, attempts: Math.max(0, row.attempts - 1), failure_kind: 'integration' })
      await releaseFallbacks(tx, row, now)
  }
}

/**
 * Somebody else has had the message since. What was sent all the same may stand over something newer, or beside it: it is
 * shown anew, and a second copy is looked after like the first.
 */
async function settleLate(tx: Tx, row: MessagesTable, { verdict, found }: DeliveryResult, now: number): Promise<void> {
  const external = verdict.kind === 'delivered' ? verdict.external : found
  if (external === null || row.kind !== 'request') return
  if (row.external !== null && row.external !== external) return adopt(tx, row, external, now)
  await tx
    .updateTable('messages')
    .set({ rendered_version: -1, ...(row.external === null ? { external, unknown_since: null } : {}) })
    .where('id', '=', row.id)
    .execute()
  await tx
    .updateTable('messages')
    .set({ state: 'due', due_at: now })
    .where('id', '=', row.id)
    .where('state', '=', 'settled')
    .execute()
}

/** A copy that the vendor has and that we did not know of is kept up to date from now on. */
export async function adopt(tx: Tx, of: MessagesTable, external: string, now: number): Promise<void> {
  const destination = `double:${hash('sha256', external)}`
  const known = await tx
    .selectFrom('messages')
    .select('id')
    .where('integration_id', '=', of.integration_id)
    .where('external', '=', external)
    .executeTakeFirst()
  if (known) return
  const fresh = { attempts: 0, due_at: now, lease_until: null, leased_by: null, created_at: now, changed_at: now }
  await insertRow(tx, 'messages', {
    ...of,
    ...fresh,
    ...{ id: newId('message', now), destination, external, once_id: someRandomBytes(16).toString('hex') },
    ...{ state: 'due', rendered_version: 0, failure: null, failure_kind: null, failed_at: null, content_hash: null },
    ...{ after_ms: null, unknown_since: null },
  })
}

/** Copies on which somebody pressed a button: doubles whose delivery was never confirmed. */
export async function adoptPressed(parts: PlaneParts): Promise<void> {
  const { database, clock } = parts
  const waiting = (reader: typeof database.reads) =>
    reader.selectFrom('message_buttons').selectAll().where('pressed_external', 'is not', null).limit(100).execute()
  if ((await waiting(database.reads)).length === 0) return
  await database.transact(async (tx) => {
    const now = await database.storeNow(tx, clock)
    for (const { button_hash, message_id, pressed_external } of await waiting(tx)) {
      const row = await tx.selectFrom('messages').selectAll().where('id', '=', message_id).executeTakeFirst()
      if (row && pressed_external !== null && row.external !== pressed_external) {
        if (row.external === null)
          await tx.updateTable('messages').set({ external: pressed_external }).where('id', '=', row.id).execute()
        else await adopt(tx, row, pressed_external, now)
      }
      await tx
        .updateTable('message_buttons')
        .set({ pressed_external: null })
        .where('button_hash', '=', button_hash)
        .execute()
    }
  })
}

/** Who cannot be reached here is told at once by those that would have come later. */
async function releaseFallbacks(tx: Tx, row: MessagesTable, now: number): Promise<void> {
  if (row.kind !== 'request' || row.audience !== 'reviewer' || row.external !== null) return
  await tx
    .updateTable('messages')
    .set({ after_ms: null, due_at: now })
    .where('kind', '=', 'request')
    .where('request_id', '=', row.request_id)
    .where('user_id', '=', row.user_id)
    .where('state', '=', 'due')
    .where('after_ms', 'is not', null)
    .execute()
}

async function keepPace(
  tx: Tx,
  integrationId: string,
  change: { delivered_at: number } | { not_before: number; why: string },
): Promise<void> {
  const row = { integration_id: integrationId, not_before: 0, why: null, delivered_at: null, ...change }
  await tx
    .insertInto('integration_paces')
    .values(row)
    .onConflict((conflict) => conflict.column('integration_id').doUpdateSet(change))
    .execute()
}
