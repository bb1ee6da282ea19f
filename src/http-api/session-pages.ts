import type { Kysely } from 'kysely'
import type { Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { selectSessions, type SessionRow } from './known-sessions.ts'

/** The session after which a page goes on; they are listed from the newest to the oldest. */
export interface SessionCursor {
  readonly startedAt: number
  readonly id: string
}

/** Errors: Refused('malformed'). */
export function readCursor(text: string | undefined): SessionCursor | null {
  if (text === undefined) return null
  const [, startedAt, id] = /^(\d{1,15})\.(ses_[0-9a-f-]{36})$/.exec(text) ?? []
  if (startedAt === undefined || id === undefined) throw new Refused('malformed', 'that cursor is not one of ours')
  return { startedAt: Number(startedAt), id }
}

export function writeCursor(cursor: SessionCursor | null): string | null {
  return cursor === null ? null : `${cursor.startedAt}.${cursor.id}`
}

export interface SessionFilter {
  readonly live?: boolean | undefined
  readonly user?: string | undefined
  readonly node?: string | undefined
  /** At most so many rows */
  readonly limit: number
}

export async function sessionBatch(
  db: Kysely<Tables>,
  { live, user, node, limit }: SessionFilter,
  cursor: SessionCursor | null,
): Promise<SessionRow[]> {
  let rows = selectSessions(db).orderBy('sessions.started_at', 'desc').orderBy('sessions.id', 'desc').limit(limit)
  if (live === true) rows = rows.where('sessions.ended_at', 'is', null)
  if (live === false) rows = rows.where('sessions.ended_at', 'is not', null)
  if (user !== undefined) rows = rows.where('users.name', '=', user)
  if (node !== undefined) rows = rows.where('sessions.node_name', '=', node)
  if (cursor !== null) {
    const { startedAt, id } = cursor
    rows = rows.where((where) =>
      where.or([
        where('sessions.started_at', '<', startedAt),
        where.and([where('sessions.started_at', '=', startedAt), where('sessions.id', '<', id)]),
      ]),
    )
  }
  return await rows.execute()
}
