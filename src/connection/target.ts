import type { RefusalCode } from '../contract/errors.ts'
import type { Narrowing } from '../contract/request.ts'
import type { DatabaseRow, NodeFacts, Snapshot, UserFacts } from '../grants/snapshot.ts'
import {
  databaseAccess,
  resolveDatabase,
  type DatabaseGift,
  type DatabaseResolution,
  type WantedInDatabase,
} from '../identity/database-access.ts'
import { resolveJustInTime, type JustInTimeResolution } from '../identity/just-in-time-access.ts'
import { matchesAny } from '../identity/patterns.ts'
import { nodeAccess, resolveLogin, type LoginResolution, type WorkingRole } from '../identity/node-access.ts'
import { rememberAccess } from '../identity/remembered-access.ts'
import { absentResource, type ResourceFacts } from '../resources/resource.ts'

export interface WantedNode {
  readonly protocol: 'ssh'
  readonly node: string
  /** null: none named */
  readonly login: string | null
}

export type WantedDatabase = WantedInDatabase & { readonly database: string }

export type Wanted = WantedNode | WantedDatabase

/** What is opened: the one thing that the protocols have different. */
export type Opened =
  | { readonly protocol: 'ssh'; readonly node: NodeFacts; readonly login: string }
  | {
      readonly protocol: 'postgres' | 'mysql'
      readonly database: DatabaseRow
      readonly dbUser: string
      readonly dbName: string | null
      /** Database roles of a user that is made for it; null: the db user is there */
      readonly dbRoles: readonly string[] | null
    }

export type Resolved =
  | {
      readonly ok: true
      readonly roles: readonly WorkingRole[]
      /** What the access is made of, each part with the roles that give it: it is over when one part is */
      readonly parts: readonly (readonly WorkingRole[])[]
      readonly opened: Opened
    }
  | {
      readonly ok: false
      readonly code: RefusalCode
      /** Something of it is given, though not what was wanted */
      readonly isKnown: boolean
      /** Why, and what to do about it at once; null: nothing of it is given */
      readonly why: readonly [string, ...string[]] | null
    }

type TargetUser = Pick<UserFacts, 'id' | 'name'>

/** What a connection wants to get at, for the rule of authorize(), which is the same for all protocols. */
export interface Target {
  readonly kind: 'node' | 'database'
  readonly name: string
  /** Undefined: there is none of this name */
  readonly resource: ResourceFacts | undefined
  /** As the rules see it: an absent resource takes the same path as one that nobody gives */
  readonly place: ResourceFacts
  /** Login or db user; null: none named */
  readonly account: string | null
  /** `logins`, `db users` */
  readonly accountWord: string
  /** `deploy@db-box`, `app on orders` */
  readonly text: string
  /** What a request for this one resource is narrowed to */
  readonly narrowing: Narrowing | null
  /** The same as an option of `sally request create`; empty: none */
  readonly narrowingOption: string
  /** The command that lists what there is */
  readonly list: string
  resolve(roles: readonly WorkingRole[], user: TargetUser): Resolved
  /** Whether this role gives what is wanted, beside others that may deny it */
  isGivenBy(role: WorkingRole, others: readonly WorkingRole[]): boolean
}

const nodeAccessNow = rememberAccess(nodeAccess, ({ logins }) => logins.size > 0)
const databaseAccessNow = rememberAccess(databaseAccess, (gifts) => gifts.length > 0)

export function targetOf(view: Snapshot, wanted: Wanted): Target {
  return wanted.protocol === 'ssh' ? nodeTarget(view, wanted) : databaseTarget(view, wanted)
}

function nodeTarget(view: Snapshot, { node: name, login }: WantedNode): Target {
  const node = view.nodeNamed(name)
  const place = node ?? absentResource('node', name)
  return {
    kind: 'node',
    name,
    resource: node,
    place,
    account: login,
    accountWord: 'logins',
    text: login === null ? name : `${login}@${name}`,
    narrowing: login === null ? null : { login },
    narrowingOption: login === null ? '' : `--login=${login}`,
    list: 'sally ls',
    resolve(given, user) {
      const resolved = resolveLogin(nodeAccessNow(given, place), login, user.name)
      if (!resolved.ok || !node) return { ok: false, ...noLogin(resolved, name, login, user.name) }
      const { roles } = resolved
      return { ok: true, roles, parts: [roles], opened: { protocol: 'ssh', node, login: resolved.login } }
    },
    isGivenBy(role, others) {
      const { logins } = nodeAccess([...others, role], place)
      return [...logins].some(([each, giving]) => (login === null || login === each) && giving.includes(role))
    },
  }
}

type Unresolved = Omit<Extract<Resolved, { ok: false }>, 'ok'>
const NOTHING: Unresolved = { code: 'access_denied', isKnown: false, why: null }

function noLogin(resolved: LoginResolution, node: string, login: string | null, user: string): Unresolved {
  if (resolved.ok || resolved.code === 'access_denied') return NOTHING
  const logins = resolved.logins.join(', ')
  const why: readonly [string, ...string[]] =
    resolved.code === 'login_ambiguous'
      ? [`${node} has several logins for ${user}: ${logins}`, `  Name one: ssh ${resolved.logins[0]}@${node}`]
      : [`${user} may not use ${login ?? ''}@${node}; allowed logins: ${logins}`]
  return { code: resolved.code, isKnown: true, why }
}

function databaseTarget(view: Snapshot, wanted: WantedDatabase): Target {
  const { database: name, dbUser, dbName, protocol } = wanted
  const found = view.databaseNamed(name)
  // One that speaks another protocol is not what was asked for.
  const database = found?.protocol === protocol ? found : undefined
  const place = database ?? absentResource('database', name)
  const named = dbName === null ? name : `${name}/${dbName}`
  // Who is made on connect is nobody that could be asked for.
  const account = database?.isJustInTime ? null : dbUser
  return {
    kind: 'database',
    name,
    resource: database,
    place,
    account,
    accountWord: 'db users',
    text: account === null ? named : `${account} on ${named}`,
    narrowing: account === null ? null : { dbUser: account },
    narrowingOption: account === null ? '' : `--db-user=${account}`,
    list: 'sally db ls',
    resolve(given, user) {
      const gifts = databaseAccessNow(given, place)
      if (database?.isJustInTime) return madeOnConnect(database, gifts, wanted, user)
      // A session whose user was made keeps to what it was given: as somebody else it is over.
      if (wanted.dbRoles !== undefined) return { ok: false, ...NOTHING }
      const resolved = resolveDatabase(gifts, wanted, user.name)
      if (!resolved.ok || !database) return { ok: false, ...noDbUser(resolved, wanted, user.name) }
      const lacking = passwordLacking(database, resolved.dbUser)
      if (lacking) return { ok: false, code: 'upstream_refused', isKnown: true, why: lacking }
      const { roles } = resolved
      const opened = { protocol, database, dbUser: resolved.dbUser, dbName: resolved.dbName, dbRoles: null }
      return { ok: true, roles, parts: [roles], opened }
    },
    isGivenBy(role, others) {
      const gift = databaseAccess([...others, role], place).find((each) => each.role === role)
      return gift !== undefined && (account === null ? namesGiven(gift.names, dbName) : gift.permits(account, dbName))
    },
  }
}

function madeOnConnect(
  database: DatabaseRow,
  gifts: readonly DatabaseGift[],
  wanted: WantedDatabase,
  user: TargetUser,
): Resolved {
  const resolved = resolveJustInTime(gifts, wanted, { databaseId: database.id, user })
  if (!resolved.ok) return { ok: false, ...notMade(resolved, wanted, user.name) }
  const { roles, parts, dbUser, dbName, dbRoles } = resolved
  return { ok: true, roles, parts, opened: { protocol: wanted.protocol, database, dbUser, dbName, dbRoles } }
}

function notMade(
  resolved: Extract<JustInTimeResolution, { ok: false }>,
  wanted: WantedDatabase,
  user: string,
): Unresolved {
  if (resolved.code === 'db_role_lost')
    return { code: 'access_denied', isKnown: true, why: [`the database role ${resolved.lost} is not given any more`] }
  if (resolved.code !== 'db_user_not_allowed') return noDbUser(resolved, wanted, user)
  const { database, dbUser } = wanted
  return {
    code: resolved.code,
    isKnown: true,
    why: [
      `${user} may not use ${dbUser ?? ''} on ${database}: users are made there on connect`,
      `  Connect as ${user}: sally db login ${database} sets it`,
    ],
  }
}

/** Where the proxy signs in by stored passwords, it can do so as nobody else. */
function passwordLacking(database: DatabaseRow, dbUser: string): readonly [string, string] | null {
  if (database.auth_kind === 'certificate') return null
  if ((JSON.parse(database.password_users_json) as string[]).includes(dbUser)) return null
  const edit = `sallyctl edit database/${database.name}`
  return [`no password of ${dbUser} is stored for ${database.name}`, `  Tell the operators: ${edit}`]
}

const namesGiven = (names: readonly string[], dbName: string | null): boolean =>
  dbName === null || matchesAny(names, dbName)

function noDbUser(resolved: DatabaseResolution, wanted: WantedDatabase, user: string): Unresolved {
  if (resolved.ok || resolved.code === 'access_denied') return NOTHING
  const { code } = resolved
  const allowed = resolved.allowed.slice(0, MOST_NAMED).join(', ')
  return { code, isKnown: true, why: whyNoDbUser(code, allowed, wanted, user) }
}

const MOST_NAMED = 20

function whyNoDbUser(
  code: Exclude<Extract<DatabaseResolution, { ok: false }>['code'], 'access_denied'>,
  allowed: string,
  { database, dbUser, dbName }: WantedDatabase,
  user: string,
): readonly [string, ...string[]] {
  const login = `sally db login ${database}`
  switch (code) {
    case 'db_user_ambiguous':
      return [`${database} has several db users for ${user}: ${allowed}`, `  Name one: ${login} --db-user=...`]
    case 'db_name_ambiguous':
      return [`${database} holds several databases for ${user}: ${allowed}`, `  Name one: ${login} --db-name=...`]
    case 'db_user_not_allowed':
      return [`${user} may not use ${dbUser ?? ''} on ${database}; allowed db users: ${allowed}`]
    case 'db_name_not_allowed':
      return [`${user} may not use the database ${dbName ?? ''} of ${database}; allowed: ${allowed}`]
  }
}
