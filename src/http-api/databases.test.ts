import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { identityWorld, type IdentityWorld } from '../../test/support/identity-world.ts'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { AccessCheck } from '../contract/access-check.ts'
import { DatabaseCertificate, VisibleDatabase } from '../contract/database.ts'
import { checkUserCertificate } from '../formats/x509/check-user-certificate.ts'
import { silentLog } from '../foundation/log.ts'
import { databaseHandlers } from './databases.ts'
import type { CallContext, HandlerInput } from './handler.ts'

const HOUR = 3_600_000
const PROD = { env: 'prod' }
const newKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .publicKey.export({ type: 'spki', format: 'der' })
    .toString('base64')

let store: SeededStore
let world: IdentityWorld
let mysqlPort: number | null

beforeEach(async () => {
  store = await seededStore()
  world = await identityWorld()
  mysqlPort = 3306
  await store.role('dba', { allow: { db_labels: PROD, db_users: ['app', 'ro_*'], db_names: ['shop'] } })
  await store.role('engineer', { allow: { request: { search_as_roles: ['dba'], max_duration: '4h' } } })
  await store.user('ada', ['engineer'])
  await store.login('ada')
  await store.postgres('orders', PROD)
  await store.postgres('shop', PROD, { protocol: 'mysql' })
  await store.postgres('hidden', { env: 'hidden' })
})
afterEach(async () => {
  await store.database.close()
  await world.close()
})

const handlers = () =>
  databaseHandlers({
    identity: { ...world.services, database: store.database, deeds: store.deeds, clock: store.clock },
    snapshot: store.snapshot,
    requests: { pendingFor: () => Promise.resolve(null) },
    mysqlPort: () => mysqlPort,
  })
const context: CallContext = {
  actor: { kind: 'user', id: 'usr_ada', name: 'ada' },
  login: { id: 'lgn_ada', userId: 'usr_ada', secondFactorAt: null },
  local: false,
  address: '127.0.0.1',
  signal: new AbortController().signal,
  requireOperator: () => Promise.resolve(),
  requireFresh: () => Promise.resolve(null),
  confirmation: null,
  log: silentLog,
}
async function issue(name: string, publicKey = newKey()): Promise<DatabaseCertificate> {
  const input = { params: { name }, query: undefined, body: { publicKey } }
  return DatabaseCertificate.parse(await handlers().issueDatabaseCertificate?.(context, input))
}
async function list(): Promise<VisibleDatabase[]> {
  const answer = (await handlers().listDatabases?.(context, NOTHING)) as { items: unknown[] }
  return answer.items.map((item) => VisibleDatabase.parse(item))
}
const NOTHING: HandlerInput<'listDatabases'> = { params: {}, query: undefined, body: undefined }
async function check(name: string, query: { dbUser?: string; dbName?: string } = {}): Promise<AccessCheck> {
  const input = { params: { name }, query, body: undefined }
  return AccessCheck.parse(await handlers().checkDatabaseAccess?.(context, input))
}
const loginRow = () =>
  store.database.reads.selectFrom('login_sessions').selectAll().where('id', '=', 'lgn_ada').executeTakeFirstOrThrow()
const events = () =>
  store.database.reads.selectFrom('audit_events').selectAll().where('type', '=', 'cert.create').orderBy('seq').execute()

describe('a certificate for the client of a database', () => {
  test('says who, until the login session ends; its key becomes the one key of the login session', async () => {
    const key = newKey()
    const issued = await issue('orders', key)
    expect(issued).toMatchObject({
      database: { name: 'orders', protocol: 'postgres' },
      port: null,
      serverName: 'sallyport',
    })
    expect(issued.expiresAt).toBe(store.clock.now() + 12 * HOUR)
    const verdict = checkUserCertificate(new X509Certificate(issued.certificate).raw, {
      authorities: world.services.authorities.trustedPems('user-x509'),
      installation: 'test',
      now: store.clock.now(),
    })
    expect(verdict).toMatchObject({ user: { userId: 'usr_ada', loginSessionId: 'lgn_ada', database: 'orders' } })
    const { x509_fingerprint: fingerprint, event_id: eventId } = await loginRow()
    expect(verdict).toMatchObject({ user: { keyFingerprint: fingerprint } })
    const [event] = await events()
    expect(event?.id).toBe(eventId)
    await issue('shop', key)
    expect((await loginRow()).event_id).toBe(eventId)
    await issue('orders')
    expect((await loginRow()).x509_fingerprint).not.toBe(fingerprint)
    expect(await events()).toHaveLength(3)
  })

  test('is made for whoever may ask, too, and for nothing that one may not know of: absent or hidden, it is the same', async () => {
    await expect(issue('hidden')).rejects.toMatchObject({ code: 'resource_unknown' })
    await expect(issue('absent')).rejects.toMatchObject({ code: 'resource_unknown' })
    await expect(issue('../x')).rejects.toMatchObject({ code: 'malformed' })
    expect(await events()).toEqual([])
  })

  test('is not made for a login session that has ended, nor for anything but a P-256 key', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'der' })
    await expect(issue('orders', rsa.toString('base64'))).rejects.toMatchObject({ code: 'malformed' })
    await expect(issue('orders', 'AAAA')).rejects.toMatchObject({ code: 'malformed' })
    await store.login('ada', { ended_at: store.clock.now() })
    await expect(issue('orders')).rejects.toMatchObject({ code: 'login_ended' })
    expect(await events()).toEqual([])
  })

  test('tells the port for MySQL, and that there is none', async () => {
    expect((await issue('shop')).port).toBe(3306)
    mysqlPort = null
    await expect(issue('shop')).rejects.toMatchObject({ code: 'not_found' })
  })
})

test('the list shows what works and what may be asked for, and nothing else', async () => {
  expect(await list()).toMatchObject([
    { name: 'orders', protocol: 'postgres', dbUsers: [], searchRoles: ['dba'], requestableRoles: [] },
    { name: 'shop', protocol: 'mysql', dbUsers: [] },
  ])
  await store.user('ada', ['engineer', 'dba'])
  expect(await list()).toMatchObject([
    { name: 'orders', dbUsers: ['app', 'ro_*'], dbNames: ['shop'], accessUntil: null },
    { name: 'shop' },
  ])
})

test('whether it may be used is told before a certificate was ever made, with what to ask for', async () => {
  expect(await check('orders', { dbUser: 'ro_x' })).toMatchObject({
    ok: false,
    code: 'access_denied',
    ways: [
      {
        roles: ['dba'],
        resources: [{ kind: 'database', name: 'orders' }],
        narrowing: { dbUser: 'ro_x' },
        logins: ['app', 'ro_*'],
      },
    ],
  })
  expect(await check('hidden')).toMatchObject({ ok: false, code: 'resource_unknown', ways: [] })
  await store.user('ada', ['dba'])
  expect(await check('orders', { dbUser: 'ro_x' })).toMatchObject({ ok: true, login: 'ro_x' })
  expect(await check('orders', { dbUser: 'root' })).toMatchObject({ ok: false, code: 'db_user_not_allowed' })
})
