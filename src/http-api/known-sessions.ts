import type { Kysely } from 'kysely'
import type { z } from 'zod'
import type { Session } from '../contract/session.ts'
import type { Tables } from '../foundation/database/tables.ts'

/** A session's row and its user's name. */
export type SessionRow = Tables['sessions'] & { readonly user_name: string }

export function selectSessions(db: Kysely<Tables>) {
  return db
    .selectFrom('sessions')
    .innerJoin('users', 'users.id', 'sessions.user_id')
    .selectAll('sessions')
    .select('users.name as user_name')
}

export function requestIdsOf(row: SessionRow): readonly string[] {
  return JSON.parse(row.request_ids_json) as string[]
}

/** Ids of the requests on which the user ever voted. */
export async function votedRequests(db: Kysely<Tables>, userId: string): Promise<ReadonlySet<string>> {
  const rows = await db
    .selectFrom('reviews')
    .select('request_id')
    .distinct()
    .where('reviewer_kind', '=', 'user')
    .where('reviewer_id', '=', userId)
    .execute()
  return new Set(rows.map((row) => row.request_id))
}

/** Why somebody may know of a session, besides by a rule; null: not at all. */
export function standingOf(row: SessionRow, userId: string, voted: ReadonlySet<string>): 'own' | 'voted' | null {
  if (row.user_id === userId) return 'own'
  return requestIdsOf(row).some((id) => voted.has(id)) ? 'voted' : null
}

/** `liveBytes`: what the file of a running session holds by now. */
export function presentSession(row: SessionRow, liveBytes: number | undefined): z.input<typeof Session> {
  return {
    id: row.id,
    user: row.user_name,
    protocol: row.protocol,
    resource: { kind: row.protocol === 'ssh' ? 'node' : 'database', id: row.node_id, name: row.node_name },
    login: row.login,
    dbName: row.db_name,
    address: row.address,
    requests: [...requestIdsOf(row)],
    grants: JSON.parse(row.grant_ids_json) as string[],
    startedAt: row.started_at,
    endedAt: row.ended_at,
    endReason: row.end_reason,
    recording: {
      state: row.recording_state,
      bytes: row.ended_at === null ? (liveBytes ?? row.recording_bytes) : row.recording_bytes,
      head: row.recording_head,
      contents: JSON.parse(row.contents_json) as string[],
    },
  }
}
