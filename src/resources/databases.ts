import { confirmed } from '../audit/confirmation.ts'
import { X509Certificate } from 'node:crypto'
import type { DeedLog, Tx } from '../audit/deed.ts'
import type { DatabaseDocument, DbAuth } from '../contract/database.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { DatabasesTable } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import { checkAddress } from './address.ts'
import { databaseIdentity, justInTimeOf } from './database-facts.ts'
import { sealPasswords, unsealPasswords, type Passwords, type PasswordSealer } from './database-passwords.ts'
import { alreadyThere, notThere, resourceEvent, type ResourceDoer } from './resource-deed.ts'

interface Parts {
  readonly database: Database
  readonly deeds: DeedLog
  readonly sealer: PasswordSealer
}

/**
 * Writes a database. Passwords are sealed; one that is left out in a change stays as it was, unless the server is another
 * one now. `created` false: it was there before. Errors: Refused('malformed' | 'exists').
 */
export async function putDatabase(
  parts: Parts,
  doer: ResourceDoer,
  document: DatabaseDocument,
  replace: boolean,
): Promise<{ id: string; created: boolean }> {
  const columns = columnsOf(document)
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const before = await findNamed(tx, columns.name)
      if (before && !replace) throw alreadyThere('database', columns.name)
      if (before && before.protocol !== columns.protocol)
        throw new Refused(
          'malformed',
          `spec.protocol: ${columns.name} speaks ${before.protocol}, and stays what it is`,
          `for another kind of server: sallyctl rm database/${columns.name}, then make it anew`,
        )
      const id = before?.id ?? newId('database', now)
      const passwords = passwordsFor(parts.sealer, document.spec.auth, before, columns)
      const users = Object.keys(passwords).sort()
      const row = {
        ...columns,
        password_users_json: JSON.stringify(users),
        passwords_sealed: users.length === 0 ? null : sealPasswords(parts.sealer, id, passwords),
      }
      if (before) await tx.updateTable('databases').set(row).where('id', '=', id).execute()
      else
        await tx
          .insertInto('databases')
          .values({ id, event_id: '', ...row, created_at: now, deleted_at: null })
          .execute()
      const type = before ? 'resource.update' : 'resource.create'
      const event = resourceEvent(
        type,
        doer,
        { kind: 'database', id, name: columns.name },
        { ...columns, passwordsOf: users },
      )
      return { result: { id, created: !before }, events: [event] }
    }),
  )
}

/** The id never comes back. Errors: Refused('not_found'). */
export async function removeDatabase(parts: Omit<Parts, 'sealer'>, doer: ResourceDoer, name: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const found = await findNamed(tx, name)
      if (!found) throw notThere('database', name)
      const gone = { deleted_at: now, passwords_sealed: null, password_users_json: '[]' }
      await tx.updateTable('databases').set(gone).where('id', '=', found.id).execute()
      return {
        result: null,
        events: [resourceEvent('resource.delete', doer, { ...found, kind: 'database' }, {})],
        evenIfAltered: true,
      }
    }),
  )
}

/** As `create` takes them, without the passwords. */
export async function listDatabaseDocuments(database: Database): Promise<DatabaseDocument[]> {
  const rows = await database.reads
    .selectFrom('databases')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute()
  return rows.map(documentOf)
}

function documentOf(row: DatabasesTable): DatabaseDocument {
  const { tls_mode: mode, tls_authorities: ca, tls_server_name: serverName } = row
  const justInTime = justInTimeOf(row)
  return {
    kind: 'database',
    version: 'v1',
    metadata: { name: row.name, labels: JSON.parse(row.labels_json) as Record<string, string> },
    spec: {
      protocol: row.protocol,
      address: row.address,
      tls: {
        mode,
        ...(ca === null ? {} : { ca }),
        ...(serverName === null ? {} : { server_name: serverName }),
      },
      auth: authOf(row),
      ...(justInTime === null ? {} : { just_in_time: justInTime }),
    },
  }
}

function authOf({ auth_kind: kind, password_users_json: users }: DatabasesTable): DbAuth {
  if (kind === 'certificate') return { kind }
  const md5 = kind === 'password_md5' ? { allow_md5: true } : {}
  return { kind: 'password', ...md5, users: (JSON.parse(users) as string[]).map((name) => ({ name })) }
}

const findNamed = (tx: Tx, name: string): Promise<DatabasesTable | undefined> =>
  tx.selectFrom('databases').selectAll().where('name', '=', name).where('deleted_at', 'is', null).executeTakeFirst()

function columnsOf({ metadata, spec }: DatabaseDocument) {
  const { mode, ca, server_name: serverName } = spec.tls
  if (mode === 'insecure-disable' && (ca !== undefined || serverName !== undefined))
    throw new Refused('malformed', 'spec.tls: with insecure-disable nothing is checked', 'leave out ca and server_name')
  if (mode === 'insecure-disable' && spec.just_in_time)
    throw new Refused('malformed', 'spec.just_in_time: an admin signs in over TLS alone', 'give another spec.tls.mode')
  if (mode === 'insecure-disable' && spec.auth.kind === 'certificate')
    throw new Refused('malformed', 'spec.auth: signing in by certificate needs TLS', 'give another spec.tls.mode')
  return {
    name: metadata.name,
    protocol: spec.protocol,
    address: checkAddress(spec.address),
    labels_json: JSON.stringify(metadata.labels),
    tls_mode: mode,
    tls_authorities: ca === undefined ? null : checkAuthorities(ca),
    tls_server_name: serverName ?? null,
    auth_kind: authKind(spec),
    just_in_time_json: spec.just_in_time === undefined ? null : JSON.stringify(checkJustInTime(spec)),
  }
}

function authKind({ auth, protocol }: DatabaseDocument['spec']): DatabasesTable['auth_kind'] {
  if (auth.kind === 'certificate' || auth.allow_md5 !== true) return auth.kind
  if (protocol === 'postgres') return 'password_md5'
  throw new Refused('malformed', `spec.auth.allow_md5: no server that speaks ${protocol} asks for MD5`, 'leave it out')
}

/** The admin is somebody whom the proxy can sign in as. */
function checkJustInTime({
  just_in_time: made,
  auth,
}: DatabaseDocument['spec']): DatabaseDocument['spec']['just_in_time'] {
  if (made && auth.kind === 'password' && !auth.users.some(({ name }) => name === made.admin_user))
    throw new Refused(
      'malformed',
      `spec.just_in_time.admin_user: no password of ${made.admin_user} is among spec.auth.users`,
      'give its password there: on this database nobody else can use it',
    )
  return made
}

const PEM = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g

/** The certificates in it, one after the other, and nothing else. */
function checkAuthorities(text: string): string {
  const found = text.match(PEM) ?? []
  if (found.length === 0)
    throw new Refused('malformed', 'spec.tls.ca: holds no certificate', 'give PEM: -----BEGIN CERTIFICATE----- ...')
  try {
    return found.map((pem) => new X509Certificate(pem).toString()).join('')
  } catch {
    throw new Refused('malformed', 'spec.tls.ca: a certificate in it cannot be read')
  }
}

/** What was stored for one server is never sent to another: whoever may move a database must not learn its passwords. */
function passwordsFor(
  sealer: PasswordSealer,
  auth: DbAuth,
  before: DatabasesTable | undefined,
  columns: ReturnType<typeof columnsOf>,
): Passwords {
  if (auth.kind === 'certificate') return {}
  const isSame =
    before !== undefined && databaseIdentity(before) === databaseIdentity(columns) && before.address === columns.address
  const stored = isSame ? unsealPasswords(sealer, before.id, before.passwords_sealed) : {}
  const entries = auth.users.map(({ name, password }): [string, string] => {
    const kept = Object.hasOwn(stored, name) ? stored[name] : undefined
    const taken = password ?? kept
    if (taken !== undefined) return [name, taken]
    const why = before && !isSame ? 'the server is another one now' : 'none is stored'
    throw new Refused('malformed', `spec.auth.users: a password of ${name} is needed: ${why}`)
  })
  const names = entries.map(([name]) => name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Refused('malformed', `spec.auth.users: ${twice} stands twice`)
  return Object.fromEntries(entries)
}
