import { sql } from 'kysely'
import type { Deed, Tx } from '../../audit/deed.ts'
import { dueMark, nextMark, NOTICE_MINUTES } from '../../grants/end-notice.ts'
import { hasStarted } from '../../grants/grant-clock.ts'
import { storedGrant, type StoredGrant } from '../../grants/stored-grant.ts'
import { SYSTEM } from '../caller.ts'
import type { Reader } from '../directory.ts'
import { grantEnding } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { loadCase } from '../request-case.ts'

const FIRST_MS = Math.max(...NOTICE_MINUTES) * 60_000

/** A grant whose holder is to be told that its end is near. */
export interface DueNotice {
  readonly grant: StoredGrant
  /** Minutes before the end */
  readonly mark: number
}

/** What is due at `now` and nobody has told yet. Cheap enough for every second. */
export async function dueNotices(reader: Reader, now: number): Promise<DueNotice[]> {
  const due = (await grantsEnding(reader, now, FIRST_MS)).flatMap((grant) => dueNotice(grant, now) ?? [])
  if (due.length === 0) return []
  const told = await reader.selectFrom('grant_notices').select('id').where('id', 'in', due.map(claimOf)).execute()
  const known = new Set(told.map(({ id }) => id))
  return due.filter((notice) => !known.has(claimOf(notice)))
}

/** The first instant after `now`, at most `within` ms away, at which a notice falls due: terminals are told then, and so is the requester. */
export async function nextNotice(reader: Reader, now: number, within: number): Promise<number | null> {
  const grants = await grantsEnding(reader, now, FIRST_MS + within)
  const marks = grants.flatMap(({ ends_at: endsAt }) => nextMark(endsAt, now) ?? [])
  const next = Math.min(...marks)
  return next <= now + within ? next : null
}

async function grantsEnding(reader: Reader, now: number, within: number): Promise<StoredGrant[]> {
  const rows = await reader
    .selectFrom('grants')
    .selectAll()
    .where('state', '!=', sql.lit('ended'))
    .where('ends_at', '>', now)
    .where('ends_at', '<=', now + within)
    .execute()
  return rows.map(storedGrant)
}

function dueNotice(grant: StoredGrant, now: number): DueNotice | null {
  if (grant.state === 'ended' || !hasStarted(grant, now)) return null
  const mark = dueMark(grant.ends_at, grant.moved_at ?? grant.starts_at, now)
  return mark === null ? null : { grant, mark }
}

const claimOf = ({ grant, mark }: DueNotice): string => `${grant.id}/${grant.ends_at}/${mark}`

/** Tells once: whoever writes the claim tells. Judged anew inside the transaction; throws NothingToDo when it was told. */
export async function noticeDeed(tx: Tx, now: number, requestId: string): Promise<Deed<'told'>> {
  const loaded = await loadCase(tx, requestId, now)
  const due = loaded?.grant ? dueNotice(loaded.grant, now) : null
  if (!loaded || !due || !(await claim(tx, due, now))) throw new NothingToDo('told')
  const { grant, mark } = due
  return {
    result: 'told',
    events: [
      {
        type: 'grant.notice',
        actor: SYSTEM,
        outcome: 'success',
        request: requestId,
        grants: [grant.id],
        details: { user: grant.user_id, endsAt: grant.ends_at, minutes: mark },
      },
    ],
    outbox: [grantEnding(loaded, grant, now)],
  }
}

async function claim(tx: Tx, due: DueNotice, now: number): Promise<boolean> {
  const row = {
    id: claimOf(due),
    grant_id: due.grant.id,
    ends_at: due.grant.ends_at,
    minutes: due.mark,
    created_at: now,
  }
  const made = await tx
    .insertInto('grant_notices')
    .values(row)
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst()
  return made.numInsertedOrUpdatedRows === 1n
}
