import { X509Certificate } from 'node:crypto'
import type { Clock } from '../../foundation/clock.ts'
import { Refused } from '../../foundation/errors.ts'
import { nativePasswordHash } from '../../identity/one-time-password.ts'
import { MariadbConnection, StatementRefused, type Rows } from './mariadb-connection.ts'
import { quotedAccount, quotedName, quotedText } from './quote-mariadb.ts'
import { writingGrant } from './read-only-grants.ts'
import {
  MARKER,
  type AdminAccess,
  type AdminCredential,
  type CloseOrder,
  type Closed,
  type OpenOrder,
  type ServerUsers,
} from './server-users.ts'

const LOCK_SECONDS = 5
/** ER_NO_SUCH_THREAD: it has gone by itself */
const NO_SUCH_THREAD = 1094

/**
 * Users of a MariaDB server. A user can have one default role alone, so each has a role of its own name, which holds the roles
 * that are handed out; that role, a member of the marker and administered by our admin, says that the user is ours. Nothing here is a transaction: each step
 * is written so that a daemon that dies behind it has made nobody who can sign in with more than was meant, and the next one
 * goes on from there. One does it at a time, by a lock on the server itself.
 */
export function mariadbUsers(clock: Clock): ServerUsers {
  return {
    open: (admin, order) => asAdmin(admin, clock, (connection) => openUser(connection, admin, order, clock)),
    close: (admin, order) => asAdmin(admin, clock, (connection) => closeUser(connection, order)),
  }
}

async function asAdmin<T>(
  { server, credential }: AdminAccess,
  clock: Clock,
  work: (connection: MariadbConnection) => Promise<T>,
): Promise<T> {
  const { databaseName, adminUser } = server
  try {
    return await MariadbConnection.use(server, adminUser, credential, clock, work)
  } catch (error) {
    if (error instanceof Refused) throw error
    const code = error instanceof StatementRefused ? 'upstream_refused' : 'upstream_unreachable'
    const text = error instanceof Error ? error.message : String(error)
    throw new Refused(code, `its users cannot be managed as ${adminUser} on ${databaseName}: ${text}`)
  }
}

interface Scene {
  readonly connection: MariadbConnection
  /** Of the admin's own account: what it may come from, its users may come from, too */
  readonly host: string
  readonly name: string
}

async function sceneOf(connection: MariadbConnection, name: string): Promise<Scene> {
  const [[account, version, locked] = []] = await connection.ask(
    `select current_user(), version(), get_lock(${quotedText(`sallyport/${name}`)}, ${LOCK_SECONDS})`,
  )
  if (!/mariadb/i.test(version ?? ''))
    throw new Refused(
      'upstream_refused',
      'users are made on connect on PostgreSQL and MariaDB, and this server is neither',
    )
  if (locked !== '1') throw new Refused('upstream_unreachable', `its user ${name} is being changed by somebody else`)
  const at = (account ?? '').lastIndexOf('@')
  return { connection, name, host: (account ?? '').slice(at + 1) }
}

async function openUser(
  connection: MariadbConnection,
  { server, credential }: AdminAccess,
  order: OpenOrder,
  clock: Clock,
): Promise<boolean> {
  const scene = await sceneOf(connection, order.name)
  if (!(await order.isWanted())) return false
  const found = await findUser(scene)
  if (found.isForeign)
    throw new Refused(
      'upstream_refused',
      `there is a user ${order.name} on it that Sallyport did not make: it is left alone`,
    )
  const role = quotedName(order.name)
  const account = quotedAccount(order.name, scene.host)
  if (!found.hasRole) await connection.ask(`create role ${role}`)
  await giveExactly(scene, order.dbRoles)
  const means = meansOf(order, credential)
  if (!found.hasUser) await connection.ask(`create user ${account} ${means} account lock`)
  await connection.ask(`grant ${role} to ${account}`)
  // From here on somebody can sign in.
  await connection.ask(`alter user ${account} ${means} account unlock`)
  if (!found.isDefault || order.isReadOnly) {
    const own = await order.ownCredential()
    await MariadbConnection.use(server, order.name, own, clock, (itself) => settle(itself, order))
  }
  return true
}

/** What others may set for somebody only with the rights of root, everybody may set for oneself. */
async function settle(itself: MariadbConnection, { name, isReadOnly }: OpenOrder): Promise<void> {
  await itself.ask(`set default role ${quotedName(name)}`)
  if (!isReadOnly) return
  // What a role permits is listed while it is in force.
  await itself.ask(`set role ${quotedName(name)}`)
  const grants = [...(await itself.ask('show grants')), ...(await itself.ask('show grants for public'))]
  const writing = writingGrant(grants.map(([grant]) => grant ?? ''))
  if (writing !== null)
    throw new Refused(
      'upstream_refused',
      `your access is read-only, and its roles permit more on the server: ${writing}`,
    )
}

/** A certificate of our authority and no password, or a password that is told as its hash. */
function meansOf({ name, password }: OpenOrder, credential: AdminCredential): string {
  if (password !== null)
    return `identified via mysql_native_password using ${quotedHash(nativePasswordHash(password))} require ssl`
  if (credential.kind === 'password')
    throw new Refused('upstream_refused', 'its users have neither password nor certificate')
  const issuer = slashed(new X509Certificate(credential.certificatePem).issuer)
  return `identified via mysql_native_password using '' require subject ${plainText(`/CN=${name}`)} and issuer ${plainText(issuer)}`
}

/** Where the server takes no other way of writing a text: nothing in it has a meaning within quotes. */
function plainText(text: string): string {
  if (!/^[\w/=., +:@-]+$/.test(text))
    throw new Refused('upstream_refused', 'the name of our authority cannot be written into an account of this server')
  return `'${text}'`
}

/** `*` and 40 hexadecimal digits. */
function quotedHash(hash: string): string {
  if (!/^\*[0-9A-F]{40}$/.test(hash)) throw new Refused('malformed', 'that is no hash of a password')
  return `'${hash}'`
}

/** A name of X.509 as the server compares it: `/O=...` in the order of the certificate. */
const slashed = (name: string): string =>
  name
    .split('\n')
    .map((part) => `/${part}`)
    .join('')

async function closeUser(connection: MariadbConnection, { name, wish, isUnwanted }: CloseOrder): Promise<Closed> {
  const scene = await sceneOf(connection, name)
  if (!(await isUnwanted())) return { kind: 'wanted_again' }
  const found = await findUser(scene)
  if (found.isForeign) return { kind: 'not_ours' }
  if (!found.hasRole && !found.hasUser) return { kind: 'absent' }
  const account = quotedAccount(name, scene.host)
  if (found.hasUser)
    await connection.ask(`alter user ${account} identified via mysql_native_password using 'invalid' account lock`)
  if (found.hasRole) await giveExactly(scene, [])
  const threads = await connection.ask(`select id from information_schema.processlist where user = ${quotedText(name)}`)
  for (const [id] of threads) await endThread(connection, id ?? '')
  if (wish === 'lock' && found.hasUser) return { kind: 'locked', kept: null }
  if (found.hasUser) await connection.ask(`drop user ${account}`)
  if (found.hasRole) await connection.ask(`drop role ${quotedName(name)}`)
  return { kind: 'dropped' }
}

async function endThread(connection: MariadbConnection, id: string): Promise<void> {
  if (!/^\d{1,20}$/.test(id)) return
  try {
    await connection.ask(`kill connection ${id}`)
  } catch (error) {
    if (!(error instanceof StatementRefused && error.code === NO_SUCH_THREAD)) throw error
  }
}

interface FoundUser {
  readonly hasUser: boolean
  readonly hasRole: boolean
  /** Its own role is what it begins a session with */
  readonly isDefault: boolean
  /** Something has its name, and not all of it is ours */
  readonly isForeign: boolean
}

async function findUser({ connection, name, host }: Scene): Promise<FoundUser> {
  const text = quotedText(name)
  const entries = await connection.ask(`select Host, is_role, default_role from mysql.user where binary User = ${text}`)
  const hasRole = entries.some(([, isRole]) => isRole === 'Y')
  const users = entries.filter(([, isRole]) => isRole !== 'Y')
  const mine = users.find(([where]) => where === host)
  const isMarked = hasRole && (await isOurs(connection, text))
  return {
    hasUser: mine !== undefined,
    hasRole,
    isDefault: mine?.[2] === name,
    isForeign: entries.length > 0 && (!isMarked || users.length > (mine ? 1 : 0)),
  }
}

/** The marker may be missing where a daemon died between two steps: then our admin administers the role all the same. */
async function isOurs(connection: MariadbConnection, text: string): Promise<boolean> {
  const rows = await connection.ask(
    `select 1 from mysql.roles_mapping where
       (binary User = ${text} and Host = '' and Role = ${quotedText(MARKER)})
       or (binary Role = ${text} and Admin_option = 'Y' and concat(User, '@', Host) = current_user()) limit 1`,
  )
  return rows.length > 0
}

/** To its role, and with it to whoever signs in as it: these and the marker, which gives nothing. */
async function giveExactly({ connection, name }: Scene, dbRoles: readonly string[]): Promise<void> {
  const wanted = [...dbRoles, MARKER]
  const role = quotedName(name)
  const given = async (): Promise<readonly string[]> => names(await connection.ask(membershipsOf(name)))
  const before = await given()
  for (const each of before) if (!wanted.includes(each)) await connection.ask(`revoke ${quotedName(each)} from ${role}`)
  for (const each of wanted) if (!before.includes(each)) await connection.ask(`grant ${quotedName(each)} to ${role}`)
  const after = await given()
  if (after.length !== wanted.length || !wanted.every((each) => after.includes(each)))
    throw new Refused('upstream_refused', `its user ${name} has not exactly the roles that it should have`)
}

const membershipsOf = (name: string): string =>
  `select Role from mysql.roles_mapping where binary User = ${quotedText(name)} and Host = ''`

const names = (rows: Rows): string[] => rows.flatMap(([name]) => name ?? [])
