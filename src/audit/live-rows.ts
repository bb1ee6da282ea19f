import { sql } from 'kysely'
import type { Database } from '../foundation/database/open-database.ts'
import { POWER_TABLES, type PowerTable } from '../foundation/database/tables.ts'
import { rowTrouble } from './check-row.ts'
import type { RowRef } from './deed.ts'

/** What is over gives nothing: the hourly verification looks at it. Tables that are not named here are looked at whole. */
const STILL_MATTERS: Partial<Record<PowerTable, string>> = {
  invitations: 'used_at is null',
  login_sessions: 'ended_at is null',
  service_tokens: 'removed_at is null',
  access_requests: `state = 'pending' or id in (select request_id from grants where state <> 'ended')`,
  reviews: `request_id in (select id from access_requests where state = 'pending')`,
  grants: `state <> 'ended'`,
  sessions: 'ended_at is null',
  just_in_time_users: `state = 'open'`,
}
const PAUSE_EVERY = 200
const LOOKS = 3

export interface AlteredRow {
  readonly ref: RowRef
  /** A sentence */
  readonly trouble: string
}

/**
 * Every row that gives or withholds power now and is not what its last event says, those that were taken out of the file among
 * them. For the start of a daemon, before it lets anybody in: a lock that is gone, a factor that was added, a deny that was
 * edited would else be seen only by a whole verification.
 */
export async function alteredLiveRows({ database }: { readonly database: Database }): Promise<readonly AlteredRow[]> {
  const altered: AlteredRow[] = []
  let seen = 0
  for (const table of POWER_TABLES) {
    for (const id of await idsOf(database, table)) {
      const ref = { table, id }
      const trouble = await lastingTrouble(database, ref)
      if (trouble !== null) altered.push({ ref, trouble })
      seen += 1
      if (seen % PAUSE_EVERY === 0) await new Promise((resolve) => setImmediate(resolve))
    }
  }
  return altered
}

/** Row and event are read one after the other: a deed of another daemon may come between, but not each time. */
async function lastingTrouble(database: Database, ref: RowRef): Promise<string | null> {
  let trouble: string | null = null
  for (let look = 0; look < LOOKS; look++) {
    trouble = await rowTrouble(database, ref)
    if (trouble === null) return null
  }
  return trouble
}

async function idsOf({ reads }: Database, table: PowerTable): Promise<string[]> {
  const where = sql.raw(STILL_MATTERS[table] ?? '1 = 1')
  const there = await sql<{ id: string }>`select id from ${sql.table(table)} where ${where}`.execute(reads)
  const gone = await sql<{ id: string }>`
    select distinct row_id as id from change_log
    where table_name = ${table} and not exists (select 1 from ${sql.table(table)} as t where t.id = row_id)`.execute(
    reads,
  )
  return [...there.rows, ...gone.rows].map(({ id }) => id)
}

/** For operators: the first of them, and how many there are. */
export function describeAltered([first, ...others]: readonly AlteredRow[]): string | null {
  if (!first) return null
  const more = others.length === 0 ? '' : ` (and ${String(others.length)} more rows)`
  return `the store was edited while no daemon ran: ${first.trouble}${more}`
}
