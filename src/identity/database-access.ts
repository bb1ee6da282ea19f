import type { RoleSpec } from '../contract/role.ts'
import type { RefusalCode } from '../contract/errors.ts'
import type { ResourceFacts } from '../resources/resource.ts'
import { deniesReach, labelsSeen, selectsEach, selectsOneOf, type WorkingRole } from './node-access.ts'
import { isPattern, matchesAny } from './patterns.ts'

/** What one role gives on a database by itself. Never empty: a role that gives nothing is not in the list. */
export interface DatabaseGift {
  readonly role: WorkingRole
  /** As the role names them, patterns included; sorted. Where users are made on connect, one entry that says so */
  readonly users: readonly string[]
  /** Of the server, for a user that is made on connect; sorted. Null: people use the db users that roles name */
  readonly dbRoles: readonly string[] | null
  readonly names: readonly string[]
  /** `name` null: no database inside the server is named */
  permits(user: string, name: string | null): boolean
}

/** Which db users and db names each single role gives, after all denies. Parts of roles never combine. */
export function databaseAccess(roles: readonly WorkingRole[], database: ResourceFacts): DatabaseGift[] {
  return roles.flatMap((role): DatabaseGift[] => {
    const seen = labelsSeen(role, database)
    const denying = roles
      .filter((other) => deniesReach(other.origin, role.origin))
      .flatMap((other) => other.specs.map(({ deny }) => deny))
    if (denying.some(({ db_labels: labels }) => labels !== undefined && selectsOneOf(labels, seen))) return []
    const given = role.specs.map(({ allow }) => allow)
    if (given.length === 0 || !given.every(({ db_labels: labels = {} }) => selectsEach(labels, seen))) return []
    const accounts = database.isJustInTime ? 'db_roles' : 'db_users'
    const users = new Names(lists(given, accounts), lists(denying, accounts).flat())
    const names = new Names(lists(given, 'db_names'), lists(denying, 'db_names').flat())
    return database.isJustInTime ? madeOnConnect(role, users, names) : giftOf(role, users, names)
  })
}

type Listed = 'db_users' | 'db_names' | 'db_roles'

const lists = (halves: readonly Pick<RoleSpec['allow'], Listed>[], key: Listed): (readonly string[])[] =>
  halves.map((half) => half[key] ?? [])

/** A request that was narrowed to a login or a db user was not for a user that is made. */
function madeOnConnect(role: WorkingRole, roles: Names, names: Names): DatabaseGift[] {
  const dbRoles = roles.shown()
  if (dbRoles.length === 0 || names.shown().length === 0 || (role.confinedTo?.narrowing ?? null) !== null) return []
  const permits = (_user: string, name: string | null): boolean => name === null || names.permits(name)
  return [{ role, users: [`made on connect (${dbRoles.join(', ')})`], dbRoles, names: names.shown(), permits }]
}

function giftOf(role: WorkingRole, users: Names, names: Names): DatabaseGift[] {
  const narrowing = role.confinedTo?.narrowing ?? null
  const only = narrowing?.dbUser
  // What was narrowed to a login is for nodes alone.
  if (narrowing !== null && only === undefined && narrowing.login !== undefined) return []
  const shown = only === undefined ? users.shown() : users.permits(only) ? [only] : []
  if (shown.length === 0 || names.shown().length === 0) return []
  const permits = (user: string, name: string | null): boolean =>
    (only === undefined || only === user) && users.permits(user) && (name === null || names.permits(name))
  return [{ role, users: shown, dbRoles: null, names: names.shown(), permits }]
}

/** Names that must stand in each of several lists of patterns and in none of those that deny. */
class Names {
  readonly #given: readonly (readonly string[])[]
  readonly #denied: readonly string[]

  constructor(given: readonly (readonly string[])[], denied: readonly string[]) {
    this.#given = given
    this.#denied = denied
  }

  permits(name: string): boolean {
    return this.#given.every((patterns) => matchesAny(patterns, name)) && !matchesAny(this.#denied, name)
  }

  /** For people: patterns stay patterns, so they may promise more than a deny leaves of them. */
  shown(): readonly string[] {
    const written = [...new Set(this.#given.flat())].sort()
    return written.filter((each) => (isPattern(each) ? this.#leaves(each) : this.permits(each)))
  }

  #leaves(pattern: string): boolean {
    if (this.#denied.includes(pattern) || this.#denied.includes('*')) return false
    return this.#given.every((patterns) => patterns.some((each) => each === pattern || isPattern(each)))
  }
}

export interface WantedInDatabase {
  readonly protocol: 'postgres' | 'mysql'
  /** null: none named */
  readonly dbUser: string | null
  readonly dbName: string | null
  /** Of a live session whose user was made for it: the database roles that it was given */
  readonly dbRoles?: readonly string[]
}

export type DatabaseResolution =
  | {
      readonly ok: true
      readonly dbUser: string
      readonly dbName: string | null
      readonly roles: readonly WorkingRole[]
    }
  | DatabaseRefusal

export type DatabaseRefusal = {
  readonly ok: false
  readonly code: Extract<
    RefusalCode,
    'access_denied' | 'db_user_not_allowed' | 'db_user_ambiguous' | 'db_name_not_allowed' | 'db_name_ambiguous'
  >
  /** Db users or db names that would be allowed */
  readonly allowed: readonly string[]
}

/**
 * The db user and db name to use. None named: the only db user, else the user's own name; the only db name. MySQL permits
 * a connection that names no database.
 */
export function resolveDatabase(
  gifts: readonly DatabaseGift[],
  { protocol, dbUser: wantedUser, dbName: wantedName }: WantedInDatabase,
  userName: string,
): DatabaseResolution {
  if (gifts.length === 0) return { ok: false, code: 'access_denied', allowed: [] }
  const users = allOf(gifts, 'users')
  const dbUser = wantedUser ?? onlyOne(users) ?? (gifts.some((gift) => gift.permits(userName, null)) ? userName : null)
  if (dbUser === null) return { ok: false, code: 'db_user_ambiguous', allowed: users }
  const giving = gifts.filter((gift) => gift.permits(dbUser, null))
  if (giving.length === 0) return { ok: false, code: 'db_user_not_allowed', allowed: users }
  const named = resolveName(giving, dbUser, protocol, wantedName)
  return named.ok ? { ok: true, dbUser, dbName: named.dbName, roles: named.giving.map(({ role }) => role) } : named
}

export type NameResolution =
  | { readonly ok: true; readonly dbName: string | null; readonly giving: readonly DatabaseGift[] }
  | DatabaseRefusal

/** The db name to use, and the gifts that give it. */
export function resolveName(
  gifts: readonly DatabaseGift[],
  dbUser: string,
  protocol: WantedInDatabase['protocol'],
  wanted: string | null,
): NameResolution {
  const names = allOf(gifts, 'names')
  const dbName = wanted ?? (protocol === 'mysql' ? null : onlyOne(names))
  if (dbName === null && protocol === 'postgres') return { ok: false, code: 'db_name_ambiguous', allowed: names }
  const giving = gifts.filter((gift) => gift.permits(dbUser, dbName))
  return giving.length === 0 ? { ok: false, code: 'db_name_not_allowed', allowed: names } : { ok: true, dbName, giving }
}

export const allOf = (gifts: readonly DatabaseGift[], key: 'users' | 'names'): string[] =>
  [...new Set(gifts.flatMap((gift) => gift[key]))].sort()

function onlyOne(names: readonly string[]): string | null {
  const [only] = names
  return only !== undefined && names.length === 1 && !isPattern(only) ? only : null
}
