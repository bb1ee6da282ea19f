import type { Deed, NewEvent, SpilledOrder, Tx } from '../audit/deed.ts'
import { z } from 'zod'
import { Actor } from '../contract/audit.ts'
import type { LoginSession } from '../contract/login.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import type { Doer, StoreParts } from './doer.ts'
import { lockMessage } from './people.ts'
import type { Reader } from './people.ts'
import { hasConfirmedFactor } from './totp.ts'
import { tokenHash } from './tokens.ts'

const SIGN_IN = 'run: sally login'
const SEEN_EVERY_MS = 60_000
const MOST_SEEN = 20_000

export interface FoundLogin {
  readonly loginId: string
  readonly user: { readonly id: string; readonly name: string }
  readonly secondFactorAt: number | null
  readonly hasSecondFactor: boolean
}

/** Finds login sessions by their token and notes when they were last seen, at most once a minute each. */
export class LoginFinder {
  readonly #database: Database
  readonly #clock: Clock
  readonly #seen = new Map<string, number>()

  constructor(parts: { readonly database: Database; readonly clock: Clock }) {
    this.#database = parts.database
    this.#clock = parts.clock
  }

  /** Throws Refused: not_signed_in, login_ended, user_disabled, locked. */
  async find(token: string): Promise<FoundLogin> {
    const hash = tokenHash('login', token)
    const reads = this.#database.reads
    const row =
      hash === null
        ? undefined
        : await reads
            .selectFrom('login_sessions')
            .innerJoin('users', 'users.id', 'login_sessions.user_id')
            .select(['login_sessions.id', 'login_sessions.user_id', 'login_sessions.second_factor_at'])
            .select(['login_sessions.expires_at', 'login_sessions.ended_at'])
            .select(['users.name', 'users.disabled', 'users.deleted_at'])
            .where('login_sessions.token_hash', '=', hash)
            .executeTakeFirst()
    const now = this.#clock.now()
    if (!row) throw new Refused('not_signed_in', 'you are not signed in', SIGN_IN)
    if (row.ended_at !== null || row.expires_at <= now || row.deleted_at !== null)
      throw new Refused('login_ended', 'this sign-in has ended', SIGN_IN)
    if (row.disabled === 1) throw new Refused('user_disabled', 'your account is disabled')
    await refuseLocked(reads, row.user_id, row.id, now)
    await this.#note(row.id, now)
    return {
      loginId: row.id,
      user: { id: row.user_id, name: row.name },
      secondFactorAt: row.second_factor_at,
      hasSecondFactor: await hasConfirmedFactor(reads, row.user_id),
    }
  }

  async #note(loginId: string, now: number): Promise<void> {
    const last = this.#seen.get(loginId)
    if (last !== undefined && now - last < SEEN_EVERY_MS && now >= last) return
    if (this.#seen.size >= MOST_SEEN) this.#seen.clear()
    this.#seen.set(loginId, now)
    const seen = { login_id: loginId, last_seen_at: now }
    // A convenience: a store that cannot take it does not keep people from ending things.
    await this.#database
      .transact(async (tx) => {
        await tx
          .insertInto('login_seen')
          .values(seen)
          .onConflict((conflict) => conflict.column('login_id').doUpdateSet({ last_seen_at: now }))
          .execute()
      })
      .catch(() => {})
  }
}

/** Throws Refused('locked') when the user or the login session is. */
export async function refuseLocked(reader: Reader, userId: string, loginId: string | null, now: number): Promise<void> {
  const message =
    (await lockMessage(reader, 'user', userId, now)) ??
    (loginId === null ? null : await lockMessage(reader, 'login', loginId, now))
  if (message !== null) throw new Refused('locked', message === '' ? 'locked' : `locked: ${message}`)
}

/** Live and recently ended (a day) ones of a user, newest first. */
export async function listLogins(
  database: Database,
  userId: string,
  currentId: string | null,
  now: number,
): Promise<LoginSession[]> {
  const rows = await database.reads
    .selectFrom('login_sessions')
    .innerJoin('users', 'users.id', 'login_sessions.user_id')
    .leftJoin('login_seen', 'login_seen.login_id', 'login_sessions.id')
    .selectAll('login_sessions')
    .select(['users.name as user_name', 'login_seen.last_seen_at'])
    .where('login_sessions.user_id', '=', userId)
    .where((where) =>
      where.or([where('login_sessions.ended_at', 'is', null), where('login_sessions.ended_at', '>', now - 86_400_000)]),
    )
    .where('login_sessions.expires_at', '>', now - 86_400_000)
    .orderBy('login_sessions.created_at', 'desc')
    .limit(200)
    .execute()
  return rows.map((row) => ({
    id: row.id,
    user: row.user_name,
    device: row.device,
    factors: JSON.parse(row.factors_json) as LoginSession['factors'],
    keyFingerprint: row.key_fingerprint,
    address: row.address,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at ?? row.created_at,
    expiresAt: row.expires_at,
    endedAt: row.ended_at,
    current: row.id === currentId,
  }))
}

const EndOrder = z.object({ ids: z.array(z.string()), reason: z.string(), actor: Actor, by: z.string().nullable() })
type EndOrder = z.infer<typeof EndOrder>

/** Ends one login session: the user's own, or any by an operator (`userId` null). Throws Refused('not_found'). */
export async function endLogin(parts: StoreParts, doer: Doer, loginId: string, userId: string | null): Promise<void> {
  const row = await parts.database.reads
    .selectFrom('login_sessions')
    .select(['id', 'user_id', 'ended_at'])
    .where('id', '=', loginId)
    .executeTakeFirst()
  if (!row || (userId !== null && row.user_id !== userId))
    throw new Refused('not_found', 'there is no such login session', 'run: sally logins ls')
  const reason = doer.loginId === loginId ? 'signed out' : `ended by ${doer.actor.name}`
  await endLogins(parts, doer, [loginId], reason)
}

/** Ends all login sessions of a user. Returns how many there were. */
export async function endLoginsOf(parts: StoreParts, doer: Doer, userId: string, reason: string): Promise<number> {
  const rows = await parts.database.reads
    .selectFrom('login_sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where('ended_at', 'is', null)
    .execute()
  const ids = rows.map(({ id }) => id)
  if (ids.length > 0) await endLogins(parts, doer, ids, reason)
  return ids.length
}

/** Ends in memory first: what these logins opened closes now, whether or not the store can write. */
async function endLogins(parts: StoreParts, doer: Doer, ids: string[], reason: string): Promise<void> {
  const now = parts.clock.now()
  for (const id of ids) parts.takeAway({ kind: 'login', id }, now)
  const order: EndOrder = { ids, reason, actor: doer.actor, by: doer.loginId }
  await parts.deeds.commitTakingAway(orderOf(order), endingOf(order))
}

function orderOf(order: EndOrder): SpilledOrder {
  return { name: 'login.end', input: { ...order } }
}

function endingOf(order: EndOrder): (tx: Tx, now: number) => Promise<Deed<null>> {
  return async (tx, now) => {
    const events = await endRows(tx, order, now)
    return { result: null, events: [events[0] ?? endEvent(order, order.ids[0] ?? '', []), ...events.slice(1)] }
  }
}

/** For DeedLog.registerReplay('login.end', ...). */
export function replayEndLogins(
  input: Readonly<Record<string, unknown>>,
): (tx: Tx, now: number) => Promise<Deed<null>> {
  return endingOf(EndOrder.parse(input))
}

/** Ends rows inside another deed; one event each. Those that have ended stay as they are. */
export async function endRows(tx: Tx, order: EndOrder, now: number): Promise<NewEvent[]> {
  const events: NewEvent[] = []
  for (const id of order.ids) {
    const result = await tx
      .updateTable('login_sessions')
      .set({ ended_at: now, end_reason: order.reason })
      .where('id', '=', id)
      .where('ended_at', 'is', null)
      .executeTakeFirst()
    if (result.numUpdatedRows > 0n) events.push(endEvent(order, id, [id]))
  }
  // A lost laptop may have a page of a request open, where its user signed in a moment ago.
  if (order.ids.length > 0)
    await tx
      .deleteFrom('page_visits')
      .where('user_id', 'in', (of) => of.selectFrom('login_sessions').select('user_id').where('id', 'in', order.ids))
      .execute()
  return events
}

function endEvent(order: EndOrder, id: string, rows: readonly string[]): NewEvent {
  return {
    type: order.by === id ? 'user.logout' : 'login.end',
    actor: order.actor,
    login: order.by,
    outcome: 'success',
    details: { login: id, reason: order.reason },
    rows: rows.map((row) => ({ table: 'login_sessions', id: row })),
  }
}
