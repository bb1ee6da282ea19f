import type { RowRef, Tx } from '../../audit/deed.ts'
import type { IntegrationsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import { WEBHOOK_TENANT } from '../from-chat/vendors/webhook.ts'

/**
 * Service accounts whose decisions a webhook brings back are linked by its document: there is nobody who could type a code. A
 * person never is. Rows that it wrote, for the event of the document. Errors: Refused('malformed').
 */
export async function linkWebhookReviewers(
  tx: Tx,
  integration: Pick<IntegrationsTable, 'id' | 'vendor'>,
  names: readonly string[],
  by: string,
  now: number,
): Promise<RowRef[]> {
  if (integration.vendor !== 'webhook') return []
  const linked = await tx
    .selectFrom('chat_accounts')
    .selectAll()
    .where('integration_id', '=', integration.id)
    .where('ended_at', 'is', null)
    .execute()
  const gone = linked.filter((row) => !names.includes(row.external_id))
  for (const { id } of gone)
    await tx
      .updateTable('chat_accounts')
      .set({ ended_at: now, ended_why: 'left out of its document', ended_by: by })
      .where('id', '=', id)
      .execute()
  const rows: RowRef[] = gone.map(({ id }) => ({ table: 'chat_accounts', id }))
  for (const name of names) {
    if (linked.some((row) => row.external_id === name)) continue
    const id = newId('chat_account', now)
    const user_id = await serviceAccountNamed(tx, name)
    const who = { vendor: 'webhook', tenant: WEBHOOK_TENANT, external_id: name, external_name: name } as const
    const ended = { ended_at: null, ended_why: null, ended_by: null }
    await tx
      .insertInto('chat_accounts')
      .values({
        id,
        event_id: '',
        integration_id: integration.id,
        ...who,
        user_id,
        linked_at: now,
        linked_by: by,
        ...ended,
      })
      .execute()
    rows.push({ table: 'chat_accounts', id })
  }
  return rows
}

async function serviceAccountNamed(tx: Tx, name: string): Promise<string> {
  const user = await tx
    .selectFrom('users')
    .select(['id', 'service_owner_id'])
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (user && user.service_owner_id !== null) return user.id
  throw new Refused(
    'malformed',
    `spec.reviewers: ${name} is no service account`,
    'a webhook decides as an account of its own: sallyctl tokens add makes one',
  )
}
