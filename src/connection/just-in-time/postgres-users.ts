import { isIP } from 'node:net'
import { checkServerIdentity } from 'node:tls'
import { Client, DatabaseError, type ClientConfig } from 'pg'
import { Refused } from '../../foundation/errors.ts'
import { scramVerifier } from '../../identity/one-time-password.ts'
import type { JustInTimeServer } from './just-in-time-server.ts'
import { quotedName, quotedText } from './quote-postgres.ts'
import {
  MARKER,
  type AdminAccess,
  type CloseOrder,
  type Closed,
  type OpenOrder,
  type ServerUsers,
} from './server-users.ts'

const CONNECT_MS = 5000
const STATEMENT_MS = 5000
/** SQLSTATE */
const DEPENDED_ON = '2BP01'

/**
 * Users of a PostgreSQL server. Each deed is one transaction under an advisory lock on the server itself, so that daemons that
 * open and close the same user at once do it one after the other, and one that dies halfway has done nothing.
 */
export const postgresUsers: ServerUsers = {
  open: (admin, order) => asAdmin(admin, (client) => openUser(client, admin.server.databaseName, order)),
  close: (admin, order) =>
    asAdmin(
      admin,
      (client) => closeUser(client, order),
      // Who came in before the lock was there to be seen.
      (client, { kind }) => (kind === 'locked' ? endBackends(client, order.name) : Promise.resolve()),
    ),
}

async function asAdmin<T>(
  admin: AdminAccess,
  work: (client: Client) => Promise<T>,
  afterwards?: (client: Client, result: T) => Promise<void>,
): Promise<T> {
  const { databaseName, adminUser } = admin.server
  const client = new Client(clientConfig(admin))
  client.on('error', () => {})
  try {
    await client.connect()
    // Nothing that the admin or its database is set to changes how these statements are read.
    await client.query(
      "set search_path to pg_catalog; set standard_conforming_strings to on; set client_encoding to 'UTF8'",
    )
    await client.query('begin')
    const result = await work(client)
    await client.query('commit')
    await afterwards?.(client, result)
    return result
  } catch (error) {
    if (error instanceof Refused) throw error
    const text = error instanceof Error ? error.message : String(error)
    const code = error instanceof DatabaseError ? 'upstream_refused' : 'upstream_unreachable'
    throw new Refused(code, `its users cannot be managed as ${adminUser} on ${databaseName}: ${text}`)
  } finally {
    // Rolls back what is not committed.
    await client.end().catch(() => {})
  }
}

function clientConfig({ server, credential }: AdminAccess): ClientConfig {
  return {
    host: server.host,
    port: server.port,
    user: server.adminUser,
    database: server.adminDatabase,
    // undefined would let the driver look into PGPASSWORD and ~/.pgpass.
    password: credential.kind === 'password' ? credential.password : '',
    ssl: tlsConfig(server, credential),
    enableChannelBinding: true,
    application_name: 'sallyport just-in-time users',
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: STATEMENT_MS + 2000,
    statement_timeout: STATEMENT_MS,
    lock_timeout: STATEMENT_MS,
    idle_in_transaction_session_timeout: STATEMENT_MS,
  }
}

function tlsConfig({ tls }: JustInTimeServer, credential: AdminAccess['credential']): ClientConfig['ssl'] {
  if (tls.mode === 'insecure-disable') return false
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    // SNI takes no addresses.
    ...(isIP(tls.serverName) === 0 ? { servername: tls.serverName } : {}),
    ...(tls.authorities === null ? {} : { ca: tls.authorities }),
    // The driver puts the address in place of the name.
    checkServerIdentity: (_host, shown) =>
      tls.mode === 'verify-ca' ? undefined : checkServerIdentity(tls.serverName, shown),
    ...(credential.kind === 'certificate' ? { key: credential.keyPem, cert: credential.certificatePem } : {}),
  }
}

async function openUser(client: Client, databaseName: string, order: OpenOrder): Promise<boolean> {
  const { name, dbRoles } = order
  await lockName(client, name)
  if (!(await order.isWanted())) return false
  await checkRoles(client, databaseName, dbRoles)
  const found = await findUser(client, name)
  if (found && !found.isOurs)
    throw new Refused('upstream_refused', `there is a user ${name} on it that Sallyport did not make: it is left alone`)
  if (found?.isPowerful)
    throw new Refused(
      'upstream_refused',
      `its user ${name} was given more by somebody than Sallyport gives: look into it`,
    )
  const verifier = order.password === null ? 'null' : quotedText(await scramVerifier(order.password))
  const options = `login password ${verifier} valid until ${quotedText(new Date(order.validUntil).toISOString())}`
  if (found) await client.query(`alter role ${quotedName(name)} ${options}`)
  else await client.query(`create role ${quotedName(name)} ${options} in role ${quotedName(MARKER)}`)
  await giveExactly(client, name, [...dbRoles, MARKER])
  return true
}

async function closeUser(client: Client, { name, wish, isUnwanted }: CloseOrder): Promise<Closed> {
  await lockName(client, name)
  if (!(await isUnwanted())) return { kind: 'wanted_again' }
  const found = await findUser(client, name)
  if (!found) return { kind: 'absent' }
  if (!found.isOurs) return { kind: 'not_ours' }
  await client.query(`alter role ${quotedName(name)} nologin password null`)
  const left = await takeRoles(client, name)
  await endBackends(client, name)
  if (wish === 'lock') return { kind: 'locked', kept: left }
  await client.query('savepoint dropping')
  try {
    await client.query(`drop role ${quotedName(name)}`)
    return { kind: 'dropped' }
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== DEPENDED_ON) throw error
    await client.query('rollback to savepoint dropping')
    return { kind: 'locked', kept: `objects depend on it: ${(error.detail ?? '').slice(0, 500)}` }
  }
}

/** What cannot be taken back must not keep the user from being locked: why, then; null: all roles are gone. */
async function takeRoles(client: Client, name: string): Promise<string | null> {
  await client.query('savepoint taking')
  try {
    await giveExactly(client, name, [MARKER])
    return null
  } catch (error) {
    if (!(error instanceof Refused) && !(error instanceof DatabaseError)) throw error
    await client.query('rollback to savepoint taking')
    return `it keeps its roles: ${error.message}`
  }
}

/** A lock keeps nobody out who is in. */
async function endBackends(client: Client, name: string): Promise<void> {
  const { rows } = await client.query('select pid from pg_stat_activity where usename = $1', [name])
  for (const { pid } of rows as { pid: number }[]) await client.query('select pg_terminate_backend($1)', [pid])
}

/** Until the end of the transaction. */
async function lockName(client: Client, name: string): Promise<void> {
  await client.query('select pg_advisory_xact_lock(hashtextextended($1, 0))', [`sallyport just-in-time ${name}`])
}

async function checkRoles(client: Client, databaseName: string, dbRoles: readonly string[]): Promise<void> {
  const { rows } = await client.query(
    'select rolname as name, rolsuper as super from pg_roles where rolname = any($1)',
    [[...dbRoles, MARKER]],
  )
  const found = new Map((rows as { name: string; super: boolean }[]).map((row) => [row.name, row.super]))
  if (!found.has(MARKER))
    throw new Refused(
      'upstream_refused',
      `${databaseName} has no role ${MARKER}, which marks the users that Sallyport makes: it is not set up for them`,
    )
  const missing = dbRoles.find((role) => !found.has(role))
  if (missing !== undefined) throw new Refused('upstream_refused', `${databaseName} has no database role ${missing}`)
  const powerful = dbRoles.find((role) => found.get(role) === true)
  if (powerful !== undefined)
    throw new Refused('upstream_refused', `the database role ${powerful} is a superuser's, which is never handed out`)
}

interface FoundUser {
  readonly isOurs: boolean
  readonly isPowerful: boolean
}

async function findUser(client: Client, name: string): Promise<FoundUser | null> {
  const { rows } = await client.query(
    `select exists (select from pg_auth_members m join pg_roles r on r.oid = m.roleid
       where m.member = u.oid and r.rolname = $2) as ours,
       u.rolsuper or u.rolcreaterole or u.rolcreatedb or u.rolreplication or u.rolbypassrls as powerful
     from pg_roles u where u.rolname = $1`,
    [name, MARKER],
  )
  const [row] = rows as { ours: boolean; powerful: boolean }[]
  return row ? { isOurs: row.ours, isPowerful: row.powerful } : null
}

/** What somebody else has granted and we cannot take back is an error: then it is not opened, or it is tried again. */
async function giveExactly(client: Client, name: string, wanted: readonly string[]): Promise<void> {
  const user = quotedName(name)
  const before = await memberships(client, name)
  for (const { role, isAdmin } of before) {
    if (!wanted.includes(role)) await client.query(`revoke ${quotedName(role)} from ${user}`)
    else if (isAdmin) await client.query(`revoke admin option for ${quotedName(role)} from ${user}`)
  }
  for (const role of wanted)
    if (!before.some((each) => each.role === role)) await client.query(`grant ${quotedName(role)} to ${user}`)
  const after = await memberships(client, name)
  const extra = after.find(({ role, isAdmin }) => isAdmin || !wanted.includes(role))
  if (extra) throw new Refused('upstream_refused', `its user ${name} has the role ${extra.role} from somebody else`)
  if (new Set(after.map(({ role }) => role)).size !== new Set(wanted).size)
    throw new Refused('upstream_refused', `its user ${name} was not given all of its roles`)
}

async function memberships(client: Client, name: string): Promise<{ role: string; isAdmin: boolean }[]> {
  const { rows } = await client.query(
    `select r.rolname as role, bool_or(m.admin_option) as "isAdmin"
     from pg_auth_members m join pg_roles r on r.oid = m.roleid join pg_roles u on u.oid = m.member
     where u.rolname = $1 group by 1`,
    [name],
  )
  return rows as { role: string; isAdmin: boolean }[]
}
