import { resolveName, type DatabaseGift, type DatabaseRefusal, type WantedInDatabase } from './database-access.ts'
import { justInTimeName, type JustInTimeOwner } from './just-in-time-name.ts'
import type { WorkingRole } from './node-access.ts'

export type JustInTimeResolution =
  | {
      readonly ok: true
      /** Name of the user on the server */
      readonly dbUser: string
      readonly dbName: string | null
      readonly dbRoles: readonly string[]
      readonly roles: readonly WorkingRole[]
      /** For each database role the roles that give it: when none of them does any more, the session is over */
      readonly parts: readonly (readonly WorkingRole[])[]
    }
  | DatabaseRefusal
  /** Of a live session: what it was given and would not be given now */
  | { readonly ok: false; readonly code: 'db_role_lost'; readonly lost: string }

/**
 * The user to make. It is given every database role that some role gives together with this database and this db name; what a
 * role gives under other db names is not added. A client can name no other user than the person: clients always name one.
 */
export function resolveJustInTime(
  gifts: readonly DatabaseGift[],
  { protocol, dbUser: wantedUser, dbName, dbRoles: held }: WantedInDatabase,
  owner: Pick<JustInTimeOwner, 'databaseId' | 'user'>,
): JustInTimeResolution {
  if (gifts.length === 0) return { ok: false, code: 'access_denied', allowed: [] }
  const { user } = owner
  if (held === undefined && wantedUser !== null && wantedUser !== user.name)
    return { ok: false, code: 'db_user_not_allowed', allowed: [user.name] }
  const named = resolveName(gifts, '', protocol, dbName)
  if (!named.ok) return named
  const given = new Set(named.giving.flatMap((gift) => gift.dbRoles ?? []))
  const lost = held?.find((role) => !given.has(role))
  if (lost !== undefined) return { ok: false, code: 'db_role_lost', lost }
  // More that is given meanwhile is for the next connection.
  const dbRoles = held ?? [...given].sort()
  const parts = dbRoles.map((each) =>
    named.giving.filter((gift) => gift.dbRoles?.includes(each)).map(({ role }) => role),
  )
  const roles = [...new Set(parts.flat())]
  return {
    ok: true,
    dbUser: justInTimeName({ ...owner, protocol, dbRoles }),
    dbName: named.dbName,
    dbRoles,
    roles,
    parts,
  }
}
