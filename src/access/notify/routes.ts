import { z } from 'zod'
import { deliverySettings } from '../../contract/vendors/common.ts'
import type { DeliverRule, Vendor } from '../../contract/vendors/common.ts'
import type { IntegrationsTable } from '../../foundation/database/tables.ts'
import type { Directory, Reader } from '../directory.ts'
import { settingsOf } from '../integrations/integrations.ts'
import type { Route } from './plan-messages.ts'

const Delivery = z.object(deliverySettings)

/** How a vendor finds a person; null: it knows channels alone. */
const PERSON_BY: Readonly<Record<Vendor, 'account' | 'email' | null>> = {
  slack: 'account',
  mattermost: 'account',
  discord: 'account',
  email: 'email',
  jira: null,
  pagerduty: null,
  teams: null,
  webhook: null,
}

export const deliveryOf = (row: Pick<IntegrationsTable, 'settings_json'>): z.infer<typeof Delivery> =>
  Delivery.parse(settingsOf(row))

/** Integrations that send now, and whom each of them reaches. */
export async function readRoutes(
  reader: Reader,
  rows: readonly IntegrationsTable[],
  directory: Directory,
): Promise<Route[]> {
  const sending = rows.filter((row) => row.enabled === 1 && row.broken_why === null)
  if (sending.length === 0) return []
  const accounts = await reader
    .selectFrom('chat_accounts')
    .select(['integration_id', 'user_id'])
    .where('ended_at', 'is', null)
    .execute()
  const linked = new Set(accounts.map((row) => `${row.integration_id} ${row.user_id}`))
  const mailed = sending.some(({ vendor }) => PERSON_BY[vendor] === 'email') ? await withMail(reader) : NOBODY
  return sending.map((row): Route => {
    const { deliver: rules, omit_reason: omitReason } = deliveryOf(row)
    const deliver = row.vendor === 'webhook' ? rules.map(toTheAddress) : rules
    const by = PERSON_BY[row.vendor]
    const reaches = (userId: string): boolean =>
      directory.members.get(userId)?.standing.kind === 'good' &&
      (by === 'email' ? mailed.has(userId) : by === 'account' && linked.has(`${row.id} ${userId}`))
    return { id: row.id, name: row.name, vendor: row.vendor, deliver, omitReason, createdAt: row.created_at, reaches }
  })
}

/** A webhook has one address: a rule of it need not name a channel. */
const toTheAddress = (rule: DeliverRule): DeliverRule =>
  rule.channels.length > 0 ? rule : { ...rule, channels: ['default'] }

const NOBODY: ReadonlySet<string> = new Set()

async function withMail(reader: Reader): Promise<ReadonlySet<string>> {
  const rows = await reader
    .selectFrom('users')
    .select('id')
    .where('email', 'is not', null)
    .where('deleted_at', 'is', null)
    .execute()
  return new Set(rows.map(({ id }) => id))
}
