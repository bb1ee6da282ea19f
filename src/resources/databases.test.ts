import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DatabaseDocument } from '../contract/database.ts'
import { identityStore, type IdentityStore } from '../../test/support/identity-store.ts'
import { TestAuthority } from '../../test/support/test-authority.ts'
import { databasePassword } from './database-passwords.ts'
import { listDatabaseDocuments, putDatabase, removeDatabase } from './databases.ts'

let store: IdentityStore
beforeEach(() => {
  store = identityStore()
})
afterEach(() => store.close())

const doer = { actor: { kind: 'local-admin', id: null, name: 'local-admin' }, loginId: null } as const
const document = (spec: object = {}, name = 'orders'): DatabaseDocument =>
  DatabaseDocument.parse({
    kind: 'database',
    metadata: { name, labels: { env: 'prod' } },
    spec: { protocol: 'postgres', address: 'db.internal:5432', ...spec },
  })
const withPasswords = (users: object[], more: object = {}): DatabaseDocument =>
  document({ auth: { kind: 'password', users }, ...more })
const put = (given: DatabaseDocument, replace = false) => putDatabase(store, doer, given, replace)
const passwordOf = async (id: string, user: string): Promise<string> =>
  databasePassword({ sealer: store.sealer, reads: store.database.reads }, id, user)

test('a database is written, changed under its id, and gone for good when removed', async () => {
  const { id } = await put(document())
  expect(await listDatabaseDocuments(store.database)).toEqual([document()])
  await expect(put(document())).rejects.toMatchObject({ code: 'exists' })
  expect(await put(document({ address: 'db2.internal:5432' }), true)).toEqual({ id, created: false })
  await removeDatabase(store, doer, 'orders')
  await expect(removeDatabase(store, doer, 'orders')).rejects.toMatchObject({ code: 'not_found' })
  expect((await put(document())).id).not.toBe(id)
  expect(await store.eventTypes()).toEqual([
    ...['resource.create', 'resource.update', 'resource.delete', 'resource.create'],
  ])
})

describe('passwords', () => {
  test('are sealed, come back in no document and in no event, and are given for their own db user alone', async () => {
    const { id } = await put(withPasswords([{ name: 'app', password: 'hunter2!' }]))
    expect(await passwordOf(id, 'app')).toBe('hunter2!')
    await expect(passwordOf(id, 'root')).rejects.toMatchObject({ code: 'upstream_refused' })
    await expect(passwordOf(id, 'constructor')).rejects.toMatchObject({ code: 'upstream_refused' })
    const [read] = await listDatabaseDocuments(store.database)
    expect(read?.spec.auth).toEqual({ kind: 'password', users: [{ name: 'app' }] })
    const rows = [
      await store.database.reads.selectFrom('databases').selectAll().execute(),
      await store.database.reads.selectFrom('audit_events').selectAll().execute(),
    ]
    expect(JSON.stringify(rows)).not.toContain('hunter2!')
  })

  test('that a change leaves out stay as they were, and those of others go', async () => {
    const { id } = await put(
      withPasswords([
        { name: 'app', password: 'a' },
        { name: 'ro', password: 'b' },
      ]),
    )
    await put(withPasswords([{ name: 'app' }, { name: 'new', password: 'c' }]), true)
    expect([await passwordOf(id, 'app'), await passwordOf(id, 'new')]).toEqual(['a', 'c'])
    await expect(passwordOf(id, 'ro')).rejects.toThrow()
    await removeDatabase(store, doer, 'orders')
    await expect(passwordOf(id, 'app')).rejects.toThrow()
  })

  test.each<[string, object]>([
    ['another address', { address: 'evil.example:5432' }],
    ['another port', { address: 'db.internal:5433' }],
    ['another name in the certificate', { tls: { server_name: 'evil.example' } }],
    ['a weaker check of the certificate', { tls: { mode: 'verify-ca' } }],
    ['no TLS', { tls: { mode: 'insecure-disable' } }],
  ])('are not kept for %s: whoever moves a database does not learn them', async (_what, change) => {
    const { id } = await put(withPasswords([{ name: 'app', password: 'a' }]))
    await expect(put(withPasswords([{ name: 'app' }], change), true)).rejects.toMatchObject({
      code: 'malformed',
      message: expect.stringContaining('the server is another one now'),
    })
    expect(await passwordOf(id, 'app')).toBe('a')
    await put(withPasswords([{ name: 'app', password: 'new' }], change), true)
    expect(await passwordOf(id, 'app')).toBe('new')
  })

  test('may be proven by MD5 where that is said, of a server that asks for it', async () => {
    const users = [{ name: 'app', password: 'a' }]
    const allowed = (allow_md5: boolean, protocol = 'postgres') =>
      document({ protocol, auth: { kind: 'password', allow_md5, users } })
    await put(allowed(true))
    const auth = async () => (await listDatabaseDocuments(store.database))[0]?.spec.auth
    expect(await auth()).toEqual({ kind: 'password', allow_md5: true, users: [{ name: 'app' }] })
    await put(allowed(false), true)
    expect(await auth()).toEqual({ kind: 'password', users: [{ name: 'app' }] })
    await expect(
      putDatabase(store, doer, { ...allowed(true, 'mysql'), metadata: { name: 'shop', labels: {} } }, false),
    ).rejects.toMatchObject({ code: 'malformed', message: expect.stringContaining('allow_md5') })
  })

  test('are needed for every db user, once', async () => {
    await expect(put(withPasswords([{ name: 'app' }]))).rejects.toThrow('a password of app is needed')
    const twice = [
      { name: 'app', password: 'a' },
      { name: 'app', password: 'b' },
    ]
    await expect(put(withPasswords(twice))).rejects.toThrow('app stands twice')
  })
})

test.each<[string, object]>([
  ['an address that is none', { address: 'db' }],
  ['a CA that is none', { tls: { ca: 'hello' } }],
  ['a CA that cannot be read', { tls: { ca: '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' } }],
  ['a CA where nothing is checked', { tls: { mode: 'insecure-disable', server_name: 'x' } }],
  ['a certificate without TLS', { tls: { mode: 'insecure-disable' } }],
])('%s is refused', async (_what, spec) => {
  await expect(put(document(spec))).rejects.toMatchObject({ code: 'malformed' })
})

test('a database stays what it is: it does not begin to speak another protocol', async () => {
  await put(document())
  await expect(put(document({ protocol: 'mysql' }), true)).rejects.toMatchObject({ code: 'malformed' })
})

test('authorities are kept as certificates and nothing else', async () => {
  const { certificatePem: ca } = await TestAuthority.make('db ca')
  await put(document({ tls: { ca: `Bag Attributes\n${ca}trailing\n${ca}` } }))
  const [read] = await listDatabaseDocuments(store.database)
  expect(read?.spec.tls.ca).toBe(ca + ca)
})

test.each([
  { unknown: 1 },
  { auth: { kind: 'certificate', users: [] } },
  { auth: { kind: 'password', users: [] } },
  { tls: { mode: 'prefer' } },
  { protocol: 'oracle' },
])('the document knows no %j', (spec) => {
  expect(() => document(spec)).toThrow()
})

describe('users that are made on connect', () => {
  const made = { just_in_time: { admin_user: 'adm', on_end: 'drop' } }

  test('stand in the document as they were written', async () => {
    await put(document(made))
    expect(await listDatabaseDocuments(store.database)).toEqual([document(made)])
  })

  test.each<[string, object, string]>([
    [
      'an admin whose password is not there',
      { auth: { kind: 'password', users: [{ name: 'app', password: 'x' }] } },
      'no password of adm',
    ],
    ['a server without TLS', { tls: { mode: 'insecure-disable' } }, 'over TLS alone'],
  ])('are refused with %s', async (_what, more, text) => {
    await expect(put(document({ ...made, ...more }))).rejects.toMatchObject({
      ...{ code: 'malformed', message: expect.stringContaining(text) },
    })
  })
})
