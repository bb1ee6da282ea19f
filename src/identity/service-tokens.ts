import { confirmed } from '../audit/confirmation.ts'
import type { Deed, NewEvent, Tx } from '../audit/deed.ts'
import type { AddServiceTokenBody, ServiceScope, ServiceToken } from '../contract/service-token.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { ServiceTokensTable, UsersTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Doer, StoreParts } from './doer.ts'
import { goneAlready, removeTokenRows, tokenEvent, TokenOrder } from './token-rows.ts'
import { newToken } from './tokens.ts'
import { giveToOwner, insertServiceAccount } from './users.ts'

// Tokens of service accounts: what a program outside shows. An account is a row of `users` with an owner and without a
// password, so rules of own roles, locks and votes know it as any other.

const MOST_PER_ACCOUNT = 20

/**
 * Makes a token, and the account where there is none of that name. `mayCreateUser` is asked before an account is made or
 * changes hands. Throws Refused: not_found, exists (a person has the name), role_unknown, over_limit, malformed.
 */
export async function addServiceToken(
  parts: StoreParts,
  doer: Doer,
  body: AddServiceTokenBody,
  mayCreateUser: () => Promise<void>,
): Promise<{ readonly token: ServiceToken; readonly secret: string }> {
  const known = await findUser(parts.database.reads, body.account)
  const owner = known && (await ownerName(parts.database.reads, known))
  const handsOver = known !== undefined && (owner === null || (body.owner !== undefined && owner !== body.owner))
  if (!known || handsOver) await mayCreateUser()
  const { token: secret, hash } = newToken('service')
  const token = await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const account = await accountFor(tx, doer, body, now, known !== undefined && !handsOver)
      await refuseTooMany(tx, account.user.id, now)
      const row: ServiceTokensTable = {
        id: newId('service_token', now),
        event_id: '',
        user_id: account.user.id,
        token_hash: hash,
        scopes_json: JSON.stringify([...new Set(body.scopes)].toSorted()),
        note: body.note,
        created_at: now,
        created_by: doer.actor.name,
        expires_at: now + body.ttl,
        removed_at: null,
      }
      await tx.insertInto('service_tokens').values(row).execute()
      const event = tokenEvent('token.create', doer, row, { account: account.user.name, owner: account.owner })
      const shown = present({ ...row, account: account.user.name, owner: account.owner, last_seen_at: null })
      return { result: shown, events: [event, ...account.events] as const }
    }),
  )
  return { token, secret }
}

interface Account {
  readonly user: UsersTable
  readonly owner: string
  readonly events: readonly NewEvent[]
}

/** `asKnown`: what was found before the transaction began must still be there, with the owner it had. */
async function accountFor(
  tx: Tx,
  doer: Doer,
  body: AddServiceTokenBody,
  now: number,
  asKnown: boolean,
): Promise<Account> {
  const user = await findUser(tx, body.account)
  if (!user) {
    if (asKnown) throw changedMeanwhile()
    const owner = await findOwner(tx, doer, body.owner)
    const fields = { name: body.account, roles: body.roles ?? [], traits: body.traits ?? {}, ownerId: owner.id }
    const { row, event } = await insertServiceAccount(tx, doer, fields, now)
    return { user: row, owner: owner.name, events: [event] }
  }
  if (user.service_owner_id === null)
    throw new Refused('exists', `${body.account} is a person`, 'give the service account a name of its own')
  if (body.roles !== undefined || body.traits !== undefined)
    throw new Refused(
      'exists',
      `the service account ${body.account} is there already, with roles of its own`,
      `to change them: sallyctl edit user/${body.account}`,
    )
  const owner = await ownerName(tx, user)
  if (owner !== null && (body.owner === undefined || body.owner === owner)) return { user, owner, events: [] }
  if (asKnown) throw changedMeanwhile()
  const next = await findOwner(tx, doer, body.owner)
  const { row, event } = await giveToOwner(tx, doer, user, next)
  return { user: row, owner: next.name, events: [event] }
}

const changedMeanwhile = (): Refused =>
  new Refused('changed_meanwhile', 'the account was changed at the same time', 'try again')

/** A person who can sign in: a service account owns nothing. */
async function findOwner(tx: Tx, doer: Doer, named: string | undefined): Promise<UsersTable> {
  const name = named ?? (doer.actor.kind === 'user' ? doer.actor.name : undefined)
  if (name === undefined)
    throw new Refused('malformed', 'owner: a service account belongs to a person', 'name one: --owner=USER')
  const owner = await findUser(tx, name)
  if (!owner || owner.service_owner_id !== null || owner.disabled === 1)
    throw new Refused('not_found', `there is no person "${name}" to own it`, 'run: sallyctl users ls')
  return owner
}

async function refuseTooMany(tx: Tx, userId: string, now: number): Promise<void> {
  const live = await tx
    .selectFrom('service_tokens')
    .select('id')
    .where('user_id', '=', userId)
    .where('removed_at', 'is', null)
    .where('expires_at', '>', now)
    .execute()
  if (live.length >= MOST_PER_ACCOUNT)
    throw new Refused('over_limit', `a service account has at most ${MOST_PER_ACCOUNT} tokens`, 'remove some first')
}

/** Not removed, the newest first; those that have expired stay for a week. */
export async function listServiceTokens(database: Database, now: number): Promise<ServiceToken[]> {
  const rows = await database.reads
    .selectFrom('service_tokens')
    .innerJoin('users', 'users.id', 'service_tokens.user_id')
    .leftJoin('users as owners', 'owners.id', 'users.service_owner_id')
    .leftJoin('service_token_seen', 'service_token_seen.token_id', 'service_tokens.id')
    .selectAll('service_tokens')
    .select(['users.name as account', 'owners.name as owner', 'owners.deleted_at as owner_gone'])
    .select('service_token_seen.last_seen_at')
    .where('service_tokens.removed_at', 'is', null)
    .where('service_tokens.expires_at', '>', now - 7 * 86_400_000)
    .orderBy('service_tokens.created_at', 'desc')
    .execute()
  return rows.map((row) => present({ ...row, owner: row.owner_gone === null ? row.owner : null }))
}

interface Shown extends Omit<ServiceTokensTable, 'event_id' | 'token_hash'> {
  readonly account: string
  readonly owner: string | null
  readonly last_seen_at: number | null
}

function present(row: Shown): ServiceToken {
  return {
    id: row.id,
    account: row.account,
    owner: row.owner,
    scopes: JSON.parse(row.scopes_json) as ServiceScope[],
    note: row.note,
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at,
    lastSeenAt: row.last_seen_at,
  }
}

/** Refused from now on in memory, whether or not the store can write. Throws Refused('not_found'). */
export async function removeServiceToken(parts: StoreParts, doer: Doer, id: string): Promise<void> {
  const row = await parts.database.reads
    .selectFrom('service_tokens')
    .selectAll()
    .where('id', '=', id)
    .executeTakeFirst()
  if (!row || row.removed_at !== null)
    throw new Refused('not_found', 'there is no such token', 'run: sallyctl tokens ls')
  parts.takeAway({ kind: 'service_token', id }, parts.clock.now())
  const order: TokenOrder = { ids: [id], actor: doer.actor, by: doer.loginId }
  await parts.deeds.commitTakingAway({ name: 'token.remove', input: { ...order } }, removing(order))
}

function removing(order: TokenOrder): (tx: Tx, now: number) => Promise<Deed<null>> {
  return async (tx, now) => {
    const [first, ...others] = await removeTokenRows(tx, order, now)
    return { result: null, events: [first ?? goneAlready(order), ...others] }
  }
}

/** For DeedLog.registerReplay('token.remove', ...). */
export function replayRemoveToken(
  input: Readonly<Record<string, unknown>>,
): (tx: Tx, now: number) => Promise<Deed<null>> {
  return removing(TokenOrder.parse(input))
}

async function findUser(reader: Pick<Tx, 'selectFrom'>, name: string): Promise<UsersTable | undefined> {
  return await reader
    .selectFrom('users')
    .selectAll()
    .where('name', '=', name)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
}

/** null: gone */
async function ownerName(reader: Pick<Tx, 'selectFrom'>, { service_owner_id }: UsersTable): Promise<string | null> {
  const owner = await reader
    .selectFrom('users')
    .select('name')
    .where('id', '=', service_owner_id ?? '')
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  return owner?.name ?? null
}
