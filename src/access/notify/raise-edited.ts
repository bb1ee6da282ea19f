import { sql } from 'kysely'
import type { Reader } from '../directory.ts'
import type { PlaneParts } from './plane-parts.ts'
import { readShown } from './request-view.ts'

/** Requests that are looked at together; then others have their turn */
const TOGETHER = 100
/** What changes by the clock alone (windows, ends of locks and delegations) is seen so often */
const EVERY_MS = 15 * 60_000

/** What the last whole look had seen. */
export interface EditWatch {
  /** Position in the change log; null: there was no look yet */
  seq: number | null
  at: number
}

export const newEditWatch = (): EditWatch => ({ seq: null, at: 0 })

/** What messages show besides their request. */
const SHOWN_TABLES = [
  ...['users', 'roles', 'role_revisions', 'locks', 'delegations', 'review_rules', 'policies', 'nodes', 'databases'],
] as const

/**
 * A role, a rule or a person that was edited changes what approvals count for, and no version of any request: the messages of every
 * request that waits are held against what they would show now. Costs nothing as long as nothing was edited.
 */
export async function raiseEdited(parts: PlaneParts, seen: EditWatch): Promise<void> {
  const { database, clock } = parts
  const now = clock.now()
  const head = await headOf(database.reads)
  const isDue = seen.seq === null || now - seen.at >= EVERY_MS || now < seen.at
  if (!isDue && !(await somethingEdited(database.reads, seen.seq ?? 0))) {
    seen.seq = head
    return
  }
  let after = ''
  for (;;) {
    const ids = await waiting(database.reads, after)
    const last = ids.at(-1)
    if (last === undefined) break
    await raiseThose(parts, ids, now)
    after = last
  }
  seen.seq = head
  seen.at = now
}

async function headOf(reads: Reader): Promise<number> {
  const head = await reads.selectFrom('chain_head').select('seq').executeTakeFirst()
  return head?.seq ?? 0
}

async function somethingEdited(reads: Reader, since: number): Promise<boolean> {
  const row = await reads
    .selectFrom('change_log')
    .select('seq')
    .where('seq', '>', since)
    .where('table_name', 'in', [...SHOWN_TABLES])
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Undecided requests with a message that shows something, by id. */
async function waiting(reads: Reader, after: string): Promise<string[]> {
  const rows = await reads
    .selectFrom('access_requests as r')
    .select('r.id')
    .where('r.state', '=', sql.lit('pending'))
    .where('r.id', '>', after)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('messages as m')
          .select('m.id')
          .whereRef('m.request_id', '=', 'r.id')
          .where('m.kind', '=', sql.lit('request'))
          .where('m.state', '=', 'settled')
          .where('m.content_hash', 'is not', null),
      ),
    )
    .orderBy('r.id')
    .limit(TOGETHER)
    .execute()
  return rows.map(({ id }) => id)
}

async function raiseThose(
  { database, clock, publicUrl }: PlaneParts,
  ids: readonly string[],
  now: number,
): Promise<void> {
  const rows = await database.reads
    .selectFrom('messages')
    .select(['request_id', 'content_hash'])
    .distinct()
    .where('request_id', 'in', ids)
    .where('kind', '=', 'request')
    .where('state', '=', 'settled')
    .where('content_hash', 'is not', null)
    .execute()
  const edited: string[] = []
  for (const [id, shown] of Map.groupBy(rows, (row) => row.request_id ?? '')) {
    const is = await readShown(database.reads, id, publicUrl(), now)
    if (is && shown.some((row) => row.content_hash !== is.contentHash)) edited.push(id)
  }
  if (edited.length === 0) return
  await database.transact(async (tx) => {
    const at = await database.storeNow(tx, clock)
    await tx
      .updateTable('messages')
      .set({ state: 'due', due_at: at, changed_at: at })
      .where('request_id', 'in', edited)
      .where('kind', '=', 'request')
      .where('state', '=', 'settled')
      .execute()
  })
}
