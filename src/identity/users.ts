import { confirmed, confirmedTaking } from '../audit/confirmation.ts'
import type { Deed, NewEvent, RowRef, Tx } from '../audit/deed.ts'
import { z } from 'zod'
import { Actor } from '../contract/audit.ts'
import type { User, UserDocument } from '../contract/user.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { UsersTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Limiter } from './attempt-limiter.ts'
import type { Doer, StoreParts } from './doer.ts'
import { invite, INVITATION_MS, voidInvitations } from './invitations.ts'
import type { NewInvitation } from './invitations.ts'
import { endRows } from './login-sessions.ts'
import type { Reader } from './people.ts'
import { roleIdsOf } from './roles.ts'
import { removeTokenRows, tokensOf } from './token-rows.ts'

/** After an admin's reset, votes do not count for a day. */
const RESET_VOTES_MS = 24 * 3_600_000

export interface UserFields {
  readonly name: string
  readonly email?: string | undefined
  readonly roles: readonly string[]
  readonly traits: Readonly<Record<string, readonly string[]>>
}

/** Makes a user and an invitation. Throws Refused: exists, role_unknown. */
export async function addUser(
  parts: StoreParts,
  doer: Doer,
  fields: UserFields,
  lifeMs = INVITATION_MS,
): Promise<{ readonly id: string; readonly invitation: NewInvitation }> {
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const { row, event } = await insertUser(tx, doer, { ...fields, disabled: false }, now)
      const invitation = await invite(tx, doer, row, lifeMs, now)
      return { result: { id: row.id, invitation }, events: [event, invitation.event] }
    }),
  )
}

/**
 * Writes a user's document. Without `replace` a user of that name must not be there. Disabling ends login sessions in memory
 * first and is never refused for a full disk: then the rest of the document is not written. Throws Refused: exists, role_unknown.
 */
export async function putUser(
  parts: StoreParts,
  doer: Doer,
  document: UserDocument,
  replace: boolean,
): Promise<{ id: string; created: boolean }> {
  const fields = { name: document.metadata.name, ...document.spec }
  const work = async (tx: Tx, now: number): Promise<Deed<{ id: string; created: boolean }>> => {
    const before = await findUser(tx, fields.name)
    if (!before || !replace) {
      const { row, event } = await insertUser(tx, doer, fields, now)
      return { result: { id: row.id, created: true }, events: [event] }
    }
    const events = await updateUser(tx, doer, before, fields, now)
    return { result: { id: before.id, created: false }, events }
  }
  const known = replace && fields.disabled ? await findUser(parts.database.reads, fields.name) : undefined
  if (!known || known.disabled === 1) return await parts.deeds.commitDeed(confirmed(doer, work))
  await roleIdsOf(parts.database.reads, fields.roles)
  const order = await takeLogins(parts, doer, known.id)
  const result = await parts.deeds.commitTakingAway(
    { name: 'user.disable', input: { ...order } },
    confirmedTaking(doer, work),
  )
  return result === 'spilled' ? { id: known.id, created: false } : result
}

/** What is taken from a user: their login sessions in memory at once, the rest by a deed that may have to wait. */
export const UserOrder = z.object({
  userId: z.string(),
  /** Ids of the login sessions that were open */
  logins: z.array(z.string()).default([]),
  /** Ids of the service tokens that were good */
  tokens: z.array(z.string()).default([]),
  actor: Actor,
  by: z.string().nullable(),
})
type UserOrder = z.infer<typeof UserOrder>

async function takeLogins(parts: StoreParts, doer: Doer, userId: string): Promise<UserOrder> {
  const open = await parts.database.reads
    .selectFrom('login_sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where('ended_at', 'is', null)
    .execute()
  const now = parts.clock.now()
  for (const { id } of open) parts.takeAway({ kind: 'login', id }, now)
  const tokens = await tokensOf(parts.database.reads, userId)
  for (const id of tokens) parts.takeAway({ kind: 'service_token', id }, now)
  return { userId, logins: open.map(({ id }) => id), tokens, actor: doer.actor, by: doer.loginId }
}

/** For DeedLog.registerReplay('user.disable', ...). */
export function replayDisableUser(
  input: Readonly<Record<string, unknown>>,
): (tx: Tx, now: number) => Promise<Deed<null>> {
  const { userId, actor, by } = UserOrder.parse(input)
  const doer: Doer = { actor, loginId: by }
  return async (tx, now) => {
    const user = await tx.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirstOrThrow()
    await tx.updateTable('users').set({ disabled: 1, disabled_at: now }).where('id', '=', userId).execute()
    const event = userEvent('user.update', doer, user, { disabled: true }, [userId])
    return { result: null, events: [event, ...(await endAll(tx, doer, userId, 'account disabled', now))] }
  }
}

async function insertUser(
  tx: Tx,
  doer: Doer,
  fields: UserFields & { readonly disabled: boolean; readonly ownerId?: string },
  now: number,
): Promise<{ row: UsersTable; event: NewEvent }> {
  if (await findUser(tx, fields.name))
    throw new Refused('exists', `there is a user "${fields.name}"`, `to change it: sallyctl edit user/${fields.name}`)
  const row: UsersTable = {
    id: newId('user', now),
    event_id: '',
    name: fields.name,
    ...(await columns(tx, fields)),
    password_hash: null,
    deleted_at: null,
    created_at: now,
    votes_count_from: null,
    disabled_at: fields.disabled ? now : null,
    service_owner_id: fields.ownerId ?? null,
  }
  await tx.insertInto('users').values(row).execute()
  const owner = row.service_owner_id === null ? {} : { owner: row.service_owner_id }
  return { row, event: userEvent('user.create', doer, row, { ...described(fields), ...owner }, [row.id]) }
}

/** A user without a password, whom nobody invites. Throws Refused: exists, role_unknown. */
export function insertServiceAccount(
  tx: Tx,
  doer: Doer,
  fields: UserFields & { readonly ownerId: string },
  now: number,
): Promise<{ row: UsersTable; event: NewEvent }> {
  return insertUser(tx, doer, { ...fields, disabled: false }, now)
}

/** A service account changes hands. */
export async function giveToOwner(
  tx: Tx,
  doer: Doer,
  account: UsersTable,
  owner: { readonly id: string; readonly name: string },
): Promise<{ row: UsersTable; event: NewEvent }> {
  await tx.updateTable('users').set({ service_owner_id: owner.id }).where('id', '=', account.id).execute()
  const event = userEvent('user.update', doer, account, { owner: owner.id, ownerName: owner.name }, [account.id])
  return { row: { ...account, service_owner_id: owner.id }, event }
}

async function updateUser(
  tx: Tx,
  doer: Doer,
  before: UsersTable,
  fields: UserFields & { readonly disabled: boolean },
  now: number,
): Promise<readonly [NewEvent, ...NewEvent[]]> {
  await tx
    .updateTable('users')
    .set({ ...(await columns(tx, fields)), ...(fields.disabled ? { disabled_at: now } : {}) })
    .where('id', '=', before.id)
    .execute()
  const event = userEvent('user.update', doer, before, { ...described(fields) }, [before.id])
  if (!fields.disabled) return [event]
  return [event, ...(await endAll(tx, doer, before.id, 'account disabled', now))]
}

async function columns(tx: Tx, fields: UserFields & { readonly disabled: boolean }) {
  return {
    email: fields.email ?? null,
    role_ids_json: JSON.stringify(await roleIdsOf(tx, fields.roles)),
    traits_json: JSON.stringify(fields.traits),
    disabled: fields.disabled ? (1 as const) : (0 as const),
  }
}

function described({ email, roles, traits, disabled }: UserFields & { readonly disabled: boolean }) {
  return { email: email ?? null, roles: [...roles], traits, disabled }
}

/**
 * Password and factors go, login sessions end, an invitation is made. An existing user's votes do not count for 24 hours.
 * Throws Refused: not_found; store_unavailable when the store cannot write: then all has ended and no invitation is made.
 */
export async function resetUser(
  parts: StoreParts & { readonly limiter: Limiter },
  doer: Doer,
  name: string,
): Promise<NewInvitation> {
  const { id, service_owner_id } = await mustFind(parts.database.reads, name)
  if (service_owner_id !== null)
    throw new Refused(
      'not_allowed',
      `${name} is a service account: it never signs in`,
      `take its tokens away: sallyctl tokens ls, sallyctl tokens rm ID`,
    )
  const order = await takeLogins(parts, doer, id)
  const made = await parts.deeds.commitTakingAway(
    { name: 'user.reset', input: { ...order } },
    confirmedTaking(doer, async (tx, now) => {
      const user = await mustFind(tx, name)
      const [reset, ...ended] = await resetEvents(tx, doer, user, now)
      const invitation = await invite(tx, doer, user, INVITATION_MS, now)
      return { result: invitation, events: [reset, invitation.event, ...ended] as const }
    }),
  )
  if (made === 'spilled')
    throw new Refused(
      'store_unavailable',
      `${name} can do nothing any more, which will be stored later; the store cannot take an invitation now`,
      `once it can, run again: sallyctl users reset ${name}`,
    )
  await parts.limiter.forgive(name)
  return made
}

async function resetEvents(
  tx: Tx,
  doer: Doer,
  user: UsersTable,
  now: number,
): Promise<readonly [NewEvent, ...NewEvent[]]> {
  const hadSecrets = user.password_hash !== null
  const votes_count_from = hadSecrets ? now + RESET_VOTES_MS : user.votes_count_from
  await tx.updateTable('users').set({ password_hash: null, votes_count_from }).where('id', '=', user.id).execute()
  const factors = await removeFactors(tx, user.id)
  const event = userEvent('user.reset', doer, user, { factors: factors.length }, [user.id], factors)
  return [event, ...(await endAll(tx, doer, user.id, 'account reset', now))]
}

/** For DeedLog.registerReplay('user.reset', ...): without an invitation, whose code nobody would have. */
export function replayResetUser(
  input: Readonly<Record<string, unknown>>,
): (tx: Tx, now: number) => Promise<Deed<null>> {
  const { userId, actor, by } = UserOrder.parse(input)
  return async (tx, now) => {
    const user = await tx.selectFrom('users').selectAll().where('id', '=', userId).executeTakeFirstOrThrow()
    return { result: null, events: await resetEvents(tx, { actor, loginId: by }, user, now) }
  }
}

async function removeFactors(tx: Tx, userId: string): Promise<RowRef[]> {
  const factors = await tx.selectFrom('factors').select('id').where('user_id', '=', userId).execute()
  await tx.deleteFrom('factors').where('user_id', '=', userId).execute()
  return factors.map(({ id }) => ({ table: 'factors', id }))
}

async function endAll(tx: Tx, doer: Doer, userId: string, reason: string, now: number): Promise<NewEvent[]> {
  const live = await tx
    .selectFrom('login_sessions')
    .select('id')
    .where('user_id', '=', userId)
    .where('ended_at', 'is', null)
    .execute()
  const by = { actor: doer.actor, by: doer.loginId }
  return [
    ...(await endRows(tx, { ids: live.map(({ id }) => id), reason, ...by }, now)),
    ...(await removeTokenRows(tx, { ids: await tokensOf(tx, userId), ...by }, now)),
  ]
}

/** The name is free again; the id never comes back. Login sessions end first, in memory. Throws Refused('not_found'). */
export async function removeUser(parts: StoreParts, doer: Doer, name: string): Promise<void> {
  const { id } = await mustFind(parts.database.reads, name)
  const order = await takeLogins(parts, doer, id)
  await parts.deeds.commitTakingAway(
    { name: 'user.remove', input: { ...order } },
    confirmedTaking(doer, removal(order)),
  )
}

function removal(order: UserOrder): (tx: Tx, now: number) => Promise<Deed<null>> {
  const doer: Doer = { actor: order.actor, loginId: order.by }
  return async (tx, now) => {
    const user = await tx.selectFrom('users').selectAll().where('id', '=', order.userId).executeTakeFirstOrThrow()
    const gone = { deleted_at: user.deleted_at ?? now, password_hash: null, disabled: 1 } as const
    await tx.updateTable('users').set(gone).where('id', '=', user.id).execute()
    const factors = await removeFactors(tx, user.id)
    const invitations = (await voidInvitations(tx, user.id, now)).map((id): RowRef => ({ table: 'invitations', id }))
    const ended = await endAll(tx, doer, user.id, 'user removed', now)
    return {
      result: null,
      events: [userEvent('user.delete', doer, user, {}, [user.id], [...factors, ...invitations]), ...ended],
    }
  }
}

/** For DeedLog.registerReplay('user.remove', ...). */
export function replayRemoveUser(
  input: Readonly<Record<string, unknown>>,
): (tx: Tx, now: number) => Promise<Deed<null>> {
  return removal(UserOrder.parse(input))
}

export async function listUsers(database: Database): Promise<User[]> {
  const rows = await database.reads
    .selectFrom('users')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute()
  const confirmed = await database.reads
    .selectFrom('factors')
    .select('user_id')
    .where('confirmed_at', 'is not', null)
    .execute()
  const roles = await database.reads
    .selectFrom('roles')
    .select(['id', 'name'])
    .where('deleted_at', 'is', null)
    .execute()
  const names = new Map(roles.map(({ id, name }) => [id, name]))
  const people = new Map(rows.map(({ id, name }) => [id, name]))
  const secured = new Set(confirmed.map(({ user_id }) => user_id))
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    email: row.email,
    disabled: row.disabled === 1,
    createdAt: row.created_at,
    roles: (JSON.parse(row.role_ids_json) as string[]).flatMap((id) => names.get(id) ?? []),
    traits: JSON.parse(row.traits_json) as User['traits'],
    secondFactor: secured.has(row.id),
    owner: row.service_owner_id === null ? null : (people.get(row.service_owner_id) ?? 'gone'),
  }))
}

export async function showUser(database: Database, userId: string): Promise<User> {
  const found = (await listUsers(database)).find(({ id }) => id === userId)
  if (!found) throw new Refused('not_found', 'there is no such user')
  return found
}

export async function userIdNamed(database: Database, name: string): Promise<string> {
  const row = await database.reads
    .selectFrom('users')
    .select('id')
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  if (!row) throw new Refused('not_found', `there is no user "${name}"`, 'run: sallyctl users ls')
  return row.id
}

async function findUser(tx: Reader, name: string): Promise<UsersTable | undefined> {
  return await tx
    .selectFrom('users')
    .selectAll()
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

async function mustFind(tx: Reader, name: string): Promise<UsersTable> {
  const user = await findUser(tx, name)
  if (!user) throw new Refused('not_found', `there is no user "${name}"`, 'run: sallyctl users ls')
  return user
}

function userEvent(
  type: 'user.create' | 'user.update' | 'user.delete' | 'user.reset',
  doer: Doer,
  user: { readonly id: string; readonly name: string },
  details: Record<string, unknown>,
  users: readonly string[],
  more: readonly RowRef[] = [],
): NewEvent {
  return {
    type,
    actor: doer.actor,
    login: doer.loginId,
    outcome: 'success',
    details: { user: user.id, name: user.name, ...details },
    rows: [...users.map((id): RowRef => ({ table: 'users', id })), ...more],
  }
}
