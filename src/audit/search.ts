import { sql } from 'kysely'
import type { z } from 'zod'
import type { AuditEvent, AuditQuery } from '../contract/audit.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { AuditEventsTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'

export type AuditFilter = z.output<typeof AuditQuery>
export interface AuditPage {
  readonly items: readonly AuditEvent[]
  readonly next: string | null
}

const DEFAULT_LIMIT = 100
const KINDS = ['local-admin', 'system', 'anonymous']

/**
 * Events that match every filter, newest first. `user` is a name or id (of the actor), or local-admin, system, anonymous; `type`
 * a type or a prefix with `*`; `resource` a name or `kind/name`; `text` anything in details, actor or resource, as it is written.
 * Errors: Refused('malformed') for a cursor that is not ours.
 */
export async function searchEvents(database: Database, filter: AuditFilter): Promise<AuditPage> {
  const limit = filter.limit ?? DEFAULT_LIMIT
  let query = database.reads
    .selectFrom('audit_events')
    .selectAll()
    .orderBy('seq', 'desc')
    .limit(limit + 1)
  if (filter.cursor !== undefined) query = query.where('seq', '<', parseCursor(filter.cursor))
  if (filter.since !== undefined) query = query.where('time', '>=', filter.since)
  if (filter.until !== undefined) query = query.where('time', '<', filter.until)
  if (filter.request !== undefined) query = query.where('request_id', '=', filter.request)
  if (filter.session !== undefined) query = query.where('session_id', '=', filter.session)
  if (filter.type !== undefined) {
    query = filter.type.endsWith('*')
      ? query.where(sql<boolean>`type like ${`${escapeLike(filter.type.slice(0, -1))}%`} escape '\\'`)
      : query.where('type', '=', filter.type)
  }
  if (filter.resource !== undefined) {
    query = filter.resource.includes('/')
      ? query.where('resource_key', '=', filter.resource)
      : query.where(sql<boolean>`resource_key like ${`%/${escapeLike(filter.resource)}`} escape '\\'`)
  }
  if (filter.user !== undefined) query = query.where(byUser(filter.user))
  if (filter.text !== undefined) query = query.where(byText(filter.text))
  const rows = await query.execute()
  const page = rows.slice(0, limit)
  return { items: page.map(presentEvent), next: rows.length > limit ? String(page.at(-1)?.seq) : null }
}

function byUser(user: string) {
  if (KINDS.includes(user)) return sql<boolean>`actor_json like ${`%"kind":"${user}"%`}`
  return sql<boolean>`(user_id = ${user} or user_id in (select id from users where name = ${user}))`
}

function byText(text: string) {
  // As it stands inside JSON: quotes, backslashes and line breaks are escaped there.
  const pattern = `%${escapeLike(JSON.stringify(text).slice(1, -1))}%`
  return sql<boolean>`(details_json like ${pattern} escape '\\' or actor_json like ${pattern} escape '\\'
    or resource_json like ${pattern} escape '\\')`
}

function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, '\\$&')
}

function parseCursor(cursor: string): number {
  const seq = /^[1-9][0-9]{0,15}$/.test(cursor) ? Number(cursor) : Number.NaN
  if (!Number.isSafeInteger(seq)) throw new Refused('malformed', 'that cursor is not one of ours')
  return seq
}

/** Presents one stored event in the shape of the contract. */
export function presentEvent(row: AuditEventsTable): AuditEvent {
  return {
    seq: row.seq,
    id: row.id,
    time: row.time,
    type: row.type as AuditEvent['type'],
    actor: JSON.parse(row.actor_json) as AuditEvent['actor'],
    login: row.login_id,
    request: row.request_id,
    grants: JSON.parse(row.grant_ids_json) as string[],
    session: row.session_id,
    resource: row.resource_json === null ? null : (JSON.parse(row.resource_json) as AuditEvent['resource']),
    outcome: row.outcome as AuditEvent['outcome'],
    details: row.details_json === null ? null : (JSON.parse(row.details_json) as Record<string, unknown>),
  }
}
