import type { NewEvent, Tx } from '../../audit/deed.ts'
import type { DatabaseRow } from '../../grants/snapshot.ts'
import type { JustInTimeUsersTable } from '../../foundation/database/tables.ts'
import { newId } from '../../foundation/ids.ts'
import { oneTimePassword } from '../../identity/one-time-password.ts'
import type { Sealer } from '../../identity/sealing.ts'
import { justInTimeOf } from '../../resources/database-facts.ts'
import { justInTimeServer } from './just-in-time-server.ts'

/** Clocks differ by so much */
const SKEW_MS = 60_000
/** Where nothing ends a session by itself */
const LONGEST_MS = 12 * 3_600_000

export interface WantedUser {
  readonly database: DatabaseRow
  /** On the server */
  readonly dbUser: string
  readonly dbRoles: readonly string[]
  readonly user: { readonly id: string; readonly name: string }
  /** Of the session */
  readonly endsAt: number | null
}

export interface UserWanted {
  readonly id: string
  /** The row was written: an event must name it */
  readonly isWritten: boolean
  /** Null: it is open already */
  readonly event: Pick<NewEvent, 'type' | 'details'> | null
}

export const passwordPlace = (id: string) => ({
  ...{ table: 'just_in_time_users', row: id, column: 'password_sealed' },
})

/**
 * In the transaction that stores the session, before anything is done on the server: whatever happens from here on, the row
 * says that there may be a user to lock.
 */
export async function wantUser(tx: Tx, wanted: WantedUser, sealer: Sealer, now: number): Promise<UserWanted> {
  const { database, dbUser } = wanted
  const before = await tx
    .selectFrom('just_in_time_users')
    .selectAll()
    .where('database_id', '=', database.id)
    .where('name', '=', dbUser)
    .executeTakeFirst()
  const until = (wanted.endsAt ?? now + LONGEST_MS) + SKEW_MS
  const reach = {
    database_name: database.name,
    server_json: JSON.stringify(justInTimeServer(database)),
    on_end: justInTimeOf(database)?.on_end ?? 'lock',
  } as const
  if (before?.state === 'open') return await keepOpen(tx, before, { ...reach, valid_until: until })
  const id = before?.id ?? newId('just_in_time_user', now)
  const opened = {
    ...reach,
    ...{ state: 'open' as const, valid_until: until, changed_at: now, trouble: null, trouble_at: null },
    user_name: wanted.user.name,
    password_sealed:
      database.auth_kind !== 'certificate' ? sealer.seal(passwordPlace(id), Buffer.from(oneTimePassword())) : null,
  }
  if (before) await tx.updateTable('just_in_time_users').set(opened).where('id', '=', id).execute()
  else
    await tx
      .insertInto('just_in_time_users')
      .values({
        ...{ id, event_id: '', database_id: database.id, user_id: wanted.user.id, name: dbUser },
        ...{ db_roles_json: JSON.stringify(wanted.dbRoles), created_at: now },
        ...opened,
      })
      .execute()
  const type = before?.state === 'locked' ? 'db.user.unlock' : 'db.user.create'
  return { id, isWritten: true, event: { type, details: { dbUser, dbRoles: wanted.dbRoles, until } } }
}

type Kept = Pick<JustInTimeUsersTable, 'database_name' | 'server_json' | 'on_end' | 'valid_until'>

/** Several sessions share it: the one that ends last counts. */
async function keepOpen(tx: Tx, before: JustInTimeUsersTable, wanted: Kept): Promise<UserWanted> {
  const kept = { ...wanted, valid_until: Math.max(before.valid_until, wanted.valid_until) }
  const isSame = (Object.keys(kept) as (keyof Kept)[]).every((key) => kept[key] === before[key])
  if (!isSame) await tx.updateTable('just_in_time_users').set(kept).where('id', '=', before.id).execute()
  return { id: before.id, isWritten: !isSame, event: null }
}
