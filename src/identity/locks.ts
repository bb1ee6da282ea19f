import { confirmed } from '../audit/confirmation.ts'
import type { Deed, NewEvent, Tx } from '../audit/deed.ts'
import { Actor } from '../contract/audit.ts'
import { parseDuration } from '../contract/duration.ts'
import { z } from 'zod'
import { LOCK_TARGETS } from '../contract/lock.ts'
import type { AddLockBody, Lock } from '../contract/lock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { LocksTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Doer, StoreParts } from './doer.ts'

type LockRow = Omit<LocksTable, 'event_id'>
/** The spilled order `lock.add`. */
export const LockOrder = z.object({
  lock: z.object({
    id: z.string(),
    target_kind: z.enum(LOCK_TARGETS),
    target_id: z.string(),
    target_name: z.string(),
    message: z.string(),
    created_by: z.string(),
    created_at: z.number(),
    expires_at: z.number().nullable(),
    removed_at: z.number().nullable(),
  }),
  actor: Actor,
  by: z.string().nullable(),
})
type LockOrder = z.infer<typeof LockOrder>

/** In force in memory before it is stored; never refused for a full disk. Throws Refused('not_found') for an unknown target. */
export async function addLock(parts: StoreParts, doer: Doer, body: z.output<typeof AddLockBody>): Promise<Lock> {
  const now = parts.clock.now()
  const target = await findTarget(parts.database, body.kind, body.target)
  const ttl = body.ttl === undefined ? null : parseDuration(body.ttl)
  if (ttl && !ttl.ok) throw new Refused('malformed', `ttl: ${ttl.message}`)
  const lock: LockRow = {
    id: newId('lock', now),
    target_kind: body.kind,
    target_id: target.id,
    target_name: target.name,
    message: body.message,
    created_by: doer.actor.name,
    created_at: now,
    expires_at: ttl ? now + ttl.ms : null,
    removed_at: null,
  }
  parts.takeAway({ kind: 'lock', lock }, now)
  const order: LockOrder = { lock, actor: doer.actor, by: doer.loginId }
  await parts.deeds.commitTakingAway({ name: 'lock.add', input: { ...order } }, adding(order))
  return present(lock)
}

function adding({ lock, actor, by }: LockOrder): (tx: Tx, now: number) => Promise<Deed<null>> {
  return async (tx) => {
    await tx
      .insertInto('locks')
      .values({ ...lock, event_id: '' })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute()
    return { result: null, events: [lockEvent('lock.create', { actor, loginId: by }, lock)] }
  }
}

/** For DeedLog.registerReplay('lock.add', ...). */
export function replayAddLock(input: Readonly<Record<string, unknown>>): (tx: Tx, now: number) => Promise<Deed<null>> {
  return adding(LockOrder.parse(input))
}

/** Gives power back. Throws Refused('not_found'). */
export async function removeLock(parts: StoreParts, doer: Doer, id: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const lock = await tx
        .selectFrom('locks')
        .selectAll()
        .where('id', '=', id)
        .where('removed_at', 'is', null)
        .executeTakeFirst()
      if (!lock) throw new Refused('not_found', 'there is no such lock', 'run: sallyctl lock ls')
      await tx.updateTable('locks').set({ removed_at: now }).where('id', '=', id).execute()
      return { result: null, events: [lockEvent('lock.delete', doer, lock)] }
    }),
  )
}

/** Those in force. */
export async function listLocks(database: Database, now: number): Promise<Lock[]> {
  const rows = await database.reads
    .selectFrom('locks')
    .selectAll()
    .where('removed_at', 'is', null)
    .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
    .orderBy('created_at')
    .execute()
  return rows.map(present)
}

function present(lock: LockRow): Lock {
  return {
    id: lock.id,
    target: { kind: lock.target_kind, id: lock.target_id, name: lock.target_name },
    message: lock.message,
    createdBy: lock.created_by,
    createdAt: lock.created_at,
    expiresAt: lock.expires_at,
  }
}

function lockEvent(type: 'lock.create' | 'lock.delete', doer: Doer, lock: LockRow): NewEvent {
  const { id, target_kind: kind, target_id: target, target_name: name, message, expires_at: expiresAt } = lock
  return {
    type,
    actor: doer.actor,
    login: doer.loginId,
    request: kind === 'request' ? target : null,
    outcome: 'success',
    details: { lock: id, kind, target, name, message, expiresAt },
    rows: [{ table: 'locks', id }],
  }
}

const NAMED = { user: 'users', role: 'roles', node: 'nodes', database: 'databases' } as const

/** By id, or by name for users, roles, nodes and databases; deleted ones are not found by name. */
async function findTarget(
  database: Database,
  kind: LockRow['target_kind'],
  target: string,
): Promise<{ id: string; name: string }> {
  const found =
    kind === 'request' || kind === 'login'
      ? await findById(database, kind === 'request' ? 'access_requests' : 'login_sessions', target)
      : await findNamed(database, NAMED[kind], target)
  if (!found) throw new Refused('not_found', `there is no ${kind} "${target}"`)
  return found
}

async function findById(database: Database, table: 'access_requests' | 'login_sessions', id: string) {
  const row = await database.reads.selectFrom(table).select('id').where('id', '=', id).executeTakeFirst()
  return row && { id: row.id, name: row.id }
}

async function findNamed(database: Database, table: 'users' | 'roles' | 'nodes' | 'databases', target: string) {
  return await database.reads
    .selectFrom(table)
    .select(['id', 'name'])
    .where('deleted_at', 'is', null)
    .where((where) => where.or([where('id', '=', target), where('name', '=', target.toLowerCase())]))
    .executeTakeFirst()
}
