import { z } from 'zod'
import type { NewEvent, Tx } from '../audit/deed.ts'
import { Actor } from '../contract/audit.ts'
import type { ServiceTokensTable } from '../foundation/database/tables.ts'
import type { Doer } from './doer.ts'

export const TokenOrder = z.object({ ids: z.array(z.string()), actor: Actor, by: z.string().nullable() })
export type TokenOrder = z.infer<typeof TokenOrder>

/** Inside another deed, too: one event each. Those that were removed before stay as they are. */
export async function removeTokenRows(tx: Tx, order: TokenOrder, now: number): Promise<NewEvent[]> {
  if (order.ids.length === 0) return []
  const rows = await tx
    .selectFrom('service_tokens')
    .selectAll()
    .where('id', 'in', order.ids)
    .where('removed_at', 'is', null)
    .execute()
  for (const { id } of rows)
    await tx.updateTable('service_tokens').set({ removed_at: now }).where('id', '=', id).execute()
  const doer: Doer = { actor: order.actor, loginId: order.by }
  return rows.map((row) => tokenEvent('token.remove', doer, row, {}))
}

export function goneAlready({ ids, actor, by }: TokenOrder): NewEvent {
  return { type: 'token.remove', actor, login: by, outcome: 'success', details: { tokens: ids, before: true } }
}

/** Ids of those that are not removed. */
export async function tokensOf(reader: Pick<Tx, 'selectFrom'>, userId: string): Promise<string[]> {
  const rows = await reader
    .selectFrom('service_tokens')
    .select('id')
    .where('user_id', '=', userId)
    .where('removed_at', 'is', null)
    .execute()
  return rows.map(({ id }) => id)
}

export function tokenEvent(
  type: 'token.create' | 'token.remove',
  doer: Doer,
  row: ServiceTokensTable,
  details: Readonly<Record<string, unknown>>,
): NewEvent {
  const said = { token: row.id, user: row.user_id, scopes: JSON.parse(row.scopes_json) as string[], note: row.note }
  return {
    type,
    actor: doer.actor,
    login: doer.loginId,
    outcome: 'success',
    details: { ...said, expiresAt: row.expires_at, ...details },
    rows: [{ table: 'service_tokens', id: row.id }],
  }
}
