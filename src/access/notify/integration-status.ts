import { sql } from 'kysely'
import { confirmed } from '../../audit/confirmation.ts'
import type { DeadLetter, DeliveryWait, IntegrationStatus } from '../../contract/integration-status.ts'
import type { IntegrationsTable, MessagesTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Doer } from '../../identity/doer.ts'
import type { Reader } from '../directory.ts'
import { integrationRows, mendIntegration } from '../integrations/integrations.ts'
import type { PlaneParts } from './plane-parts.ts'

const LETTERS_SHOWN = 20

/** How every integration stands, by name. `waitsOf`: what the engine knows of each. */
export async function integrationStatus(
  reads: Reader,
  now: number,
  waitsOf: (integration: string) => readonly DeliveryWait[],
): Promise<IntegrationStatus[]> {
  const rows = await integrationRows(reads)
  return await Promise.all(
    rows.map(async (row) => ({ ...(await statusOf(reads, row, now)), waits: [...waitsOf(row.name)] })),
  )
}

async function statusOf(reads: Reader, row: IntegrationsTable, now: number): Promise<Omit<IntegrationStatus, 'waits'>> {
  const messages = reads.selectFrom('messages').where('integration_id', '=', row.id)
  const counted = await messages
    .select((select) => [select.fn.countAll<number>().as('count'), select.fn.min('due_at').as('oldest')])
    .where('state', '=', 'due')
    .where((where) => where.or([where('due_at', '<=', now), where('attempts', '>', 0)]))
    .executeTakeFirstOrThrow()
  const dead = await messages
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('state', '=', 'dead')
    .executeTakeFirstOrThrow()
  const letters = await messages
    .selectAll()
    .where('state', '=', 'dead')
    .orderBy('failed_at', 'desc')
    .limit(LETTERS_SHOWN)
    .execute()
  const pace = await reads
    .selectFrom('integration_paces')
    .selectAll()
    .where('integration_id', '=', row.id)
    .executeTakeFirst()
  const isHeld = (pace?.not_before ?? 0) > now
  const state =
    row.enabled === 0 ? 'off' : row.broken_why !== null ? 'broken' : isHeld ? ('held' as const) : ('sending' as const)
  const waiting = Number(counted.count)
  return {
    name: row.name,
    vendor: row.vendor,
    state,
    why: state === 'broken' ? row.broken_why : state === 'held' ? (pace?.why ?? null) : null,
    heldUntil: isHeld && pace ? pace.not_before : null,
    lastDeliveredAt: pace?.delivered_at ?? null,
    waiting,
    oldestDueAt: waiting === 0 || counted.oldest === null ? null : Number(counted.oldest),
    dead: Number(dead.count),
    deadLetters: await Promise.all(letters.map((letter) => deadLetter(reads, row, letter))),
  }
}

async function deadLetter(reads: Reader, { name }: IntegrationsTable, row: MessagesTable): Promise<DeadLetter> {
  const user =
    row.user_id === null
      ? null
      : await reads.selectFrom('users').select('name').where('id', '=', row.user_id).executeTakeFirst()
  const kind = row.failure_kind === 'destination' || row.failure_kind === 'defect' ? row.failure_kind : 'retry'
  return {
    message: row.id,
    request: row.request_id,
    audience: row.audience,
    destination: user ? `user:${user.name}` : row.destination,
    kind,
    why: row.failure ?? '',
    at: row.failed_at ?? row.changed_at,
    help: helpFor(kind, name, row.id),
  }
}

function helpFor(kind: DeadLetter['kind'], integration: string, message: string): string {
  const retry = `sallyctl integration retry ${integration} --message=${message}`
  if (kind === 'destination')
    return `mend the destination (sallyctl integration check ${integration} names it), then: ${retry}`
  if (kind === 'defect') return `the vendor refused what was sent: report it; to send its newest state: ${retry}`
  return `once the vendor answers again: ${retry}`
}

/**
 * Sends again what was given up, in its newest state, and looks at a broken integration anew. `messageId` null: all of the
 * integration. Errors: Refused('not_found').
 */
export async function retryIntegration(
  { deeds, reads }: Pick<PlaneParts, 'deeds'> & { readonly reads: Reader },
  doer: Doer,
  name: string,
  messageId: string | null,
): Promise<{ retried: number; mended: boolean }> {
  const integration = await integrationNamed(reads, name)
  const retried = await deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const fresh = { state: 'due', due_at: now, attempts: 0, changed_at: now, expires_at: null } as const
      const { numUpdatedRows } = await tx
        .updateTable('messages')
        .set(fresh)
        .where('integration_id', '=', integration.id)
        .where('state', '=', sql.lit('dead'))
        .$if(messageId !== null, (query) => query.where('id', '=', messageId ?? ''))
        .executeTakeFirst()
      const count = Number(numUpdatedRows)
      if (messageId !== null && count === 0)
        throw new Refused('not_found', 'there is no such dead letter', 'run: sallyctl integration status')
      await tx
        .updateTable('integration_paces')
        .set({ not_before: 0, why: null })
        .where('integration_id', '=', integration.id)
        .execute()
      const details = { integration: integration.id, name, retried: count, message: messageId }
      const event = { type: 'integration.retry', actor: doer.actor, login: doer.loginId, outcome: 'success' } as const
      return { result: count, events: [{ ...event, details }] }
    }),
  )
  return { retried, mended: await mendIntegration({ deeds }, doer, integration.id) }
}

/** Errors: Refused('not_found'). */
export async function integrationNamed(reads: Reader, name: string): Promise<IntegrationsTable> {
  const found = (await integrationRows(reads)).find((row) => row.name === name)
  if (!found) throw new Refused('not_found', `there is no integration "${name}"`, 'run: sallyctl get integration')
  return found
}
