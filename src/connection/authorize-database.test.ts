import { createSecretKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { rowTrouble } from '../audit/check-row.ts'
import { spkiFingerprint } from '../formats/x509/read-user-certificate.ts'
import { silentLog } from '../foundation/log.ts'
import { createSealer } from '../identity/sealing.ts'
import { tlsAuthorityCertificate } from '../identity/tls-certificates.ts'
import { userX509Certificate, type UserX509Input } from '../identity/x509-certificates.ts'
import { databaseFacts } from './authorization.ts'
import type { DatabaseSignIn, EndNotice } from './control-plane.ts'
import { databaseSignInTrouble } from './database-sign-in.ts'
import { LocalControlPlane } from './local-control-plane.ts'

const HOUR = 3_600_000
const PROD = { env: 'prod' }
const INSTALLATION = 'ins_1'

const authorityKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const clientKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
const fingerprint = spkiFingerprint(clientKey)

let store: SeededStore
let control: LocalControlPlane
let authorityPem: string
let trusted: string[]
let certificate: Uint8Array

beforeEach(async () => {
  store = await seededStore()
  authorityPem = await tlsAuthorityCertificate(authorityKey, 'users', store.clock.now())
  trusted = [authorityPem]
  control = controlOver()
  store.afterCommit(() => control.live.recheckAll())
  await store.role('dba', { allow: { db_labels: PROD, db_users: ['app', 'report'], db_names: ['shop'] } })
  await store.role('reader', {
    options: { db: { read_only: true, statement_timeout: '30s', deny_statements: ['ddl'] } },
    allow: { db_labels: PROD, db_users: ['ro'], db_names: ['*'] },
  })
  await store.role('engineer', {
    allow: { request: { roles: ['dba'], search_as_roles: ['reader'], max_duration: '4h' } },
  })
  await store.user('ada', ['engineer'])
  await store.login('ada', { x509_fingerprint: fingerprint })
  await store.postgres('orders', PROD)
  certificate = await signedFor()
})
afterEach(() => store.database.close())

async function signedFor(changes: Partial<UserX509Input> = {}): Promise<Uint8Array> {
  const now = store.clock.now()
  const order = { publicKey: clientKey, userId: 'usr_ada', userName: 'ada', loginId: 'lgn_ada', database: 'orders' }
  const signer = { privateKey: authorityKey, certificatePem: authorityPem }
  const pem = userX509Certificate(signer, INSTALLATION, { ...order, now, until: now + 12 * HOUR, ...changes })
  return new X509Certificate(pem).raw
}

const minted: object[] = []
const controlOver = (): LocalControlPlane =>
  new LocalControlPlane({
    deeds: store.deeds,
    snapshot: store.snapshot,
    instanceId: null,
    catchUp: () => Promise.resolve(),
    sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
    credentials: {
      onwardCertificate: () => Promise.resolve(new Uint8Array([1])),
      databaseCertificate: (order) => {
        minted.push(order)
        return Promise.resolve(new Uint8Array([2]))
      },
      databasePassword: (id, dbUser) => Promise.resolve(`secret of ${dbUser} at ${id}`),
    },
    reportAuthFailure: () => {},
    recordingsDir: '/var/lib/sallyport/recordings',
    offlineGraceMs: 60_000,
    checkSignIn: (input) =>
      input.protocol === 'ssh'
        ? 'wrong'
        : databaseSignInTrouble(input, { authorities: trusted, installation: INSTALLATION, now: store.clock.now() }),
    checkRow: (ref) => rowTrouble(store.database, ref),
    clock: store.clock,
    log: silentLog,
  })

const ask = (changes: Partial<DatabaseSignIn> = {}): DatabaseSignIn => ({
  protocol: 'postgres',
  loginSessionId: 'lgn_ada',
  userId: 'usr_ada',
  keyFingerprint: fingerprint,
  certificate,
  database: 'orders',
  dbUser: 'app',
  dbName: 'shop',
  address: '127.0.0.1',
  ...changes,
})

async function letIn(changes: Partial<DatabaseSignIn> = {}) {
  const answer = await control.authorize(ask(changes))
  if (!answer.ok) throw new Error(answer.lines.join('\n'))
  const facts = databaseFacts(structuredClone(answer.facts))
  const notices: EndNotice[] = []
  control.watchEnd(facts.sessionId, (notice) => notices.push(notice))
  return { facts, ended: () => notices.find(({ kind }) => kind === 'end')?.text ?? null }
}
async function refused(changes: Partial<DatabaseSignIn> = {}): Promise<string> {
  const answer = await control.authorize(ask(changes))
  return answer.ok ? 'let in' : [answer.code, ...answer.lines].join('\n')
}
const eventTypes = async (): Promise<string[]> =>
  (await store.database.reads.selectFrom('audit_events').select('type').orderBy('seq').execute()).map(
    ({ type }) => type,
  )

describe('who may use a database', () => {
  test('nobody without a role: the refusal names the role and the command that asks for it', async () => {
    expect(await refused()).toBe(
      [
        'access_denied',
        'sallyport: ada may not use app on orders/shop',
        '  This role would help: dba (app, report; up to 4h)',
        '  Ask for it:',
        '    sally request create --roles=dba --reason="why you need it" --duration=1h',
      ].join('\n'),
    )
    expect(await refused({ dbUser: 'ro', dbName: 'stock' })).toContain(
      'sally request create --resource=database/orders --db-user=ro --reason=',
    )
    expect(await refused({ dbUser: 'root' })).toContain('db users that may be asked for: app, report, ro')
    expect(await refused({ dbName: 'secrets' })).not.toContain('dba (app')
  })

  test('an absent database, one of others and one that speaks another protocol get the same answer', async () => {
    await store.postgres('hidden', { env: 'hidden' })
    const answers = await Promise.all([
      refused({ database: 'absent' }),
      refused({ database: 'hidden' }),
      refused({ database: 'orders', protocol: 'mysql' }),
    ])
    expect(answers.map((text) => text.replace(/absent|hidden|orders/, 'X'))).toEqual([
      answers[0]?.replace('absent', 'X'),
      answers[0]?.replace('absent', 'X'),
      answers[0]?.replace('absent', 'X'),
    ])
    expect(answers[0]).toContain('resource_unknown\nsallyport: there is no database absent that ada may use or ask for')
  })

  test('a grant lets in, with what the worker needs and no secret; its start is stored before the answer', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    expect(facts).toMatchObject({
      ...{ protocol: 'postgres', dbUser: 'app', dbName: 'shop', credential: 'certificate', grants: ['grt_1'] },
      allowsMd5: false,
      database: { id: 'dtb_orders', name: 'orders', host: 'db.internal', port: 5432 },
      tls: { mode: 'verify-full', authorities: null, serverName: 'db.internal' },
      options: { readOnly: false, statementTimeoutMs: null, deniedStatements: [], recordParameters: true },
    })
    const row = await store.database.reads.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
    expect(row).toMatchObject({ protocol: 'postgres', node_name: 'orders', login: 'app', db_name: 'shop' })
    expect(await eventTypes()).toContain('db.session.start')
    await control.endSession(facts.sessionId, { reason: 'exit', head: null, complete: true, contents: [] })
    expect(await eventTypes()).toContain('db.session.end')
  })

  test('options of the role come along, and one that has become stricter ends the session', async () => {
    await store.user('ada', ['engineer', 'reader'])
    const strict = await letIn({ dbUser: 'ro' })
    expect(strict.facts.options).toMatchObject({
      readOnly: true,
      statementTimeoutMs: 30_000,
      deniedStatements: ['ddl'],
    })
    await store.grant('2', 'ada', 'dba', HOUR)
    const loose = await letIn()
    const dba = { allow: { db_labels: PROD, db_users: ['app'], db_names: ['shop'] } }
    await store.role('dba', { ...dba, options: { db: { read_only: true } } }, 2)
    expect([loose.ended(), strict.ended()]).toEqual(['writing is not permitted any more', null])
  })

  test('a database whose passwords are stored is used as those db users and no others', async () => {
    await store.postgres('orders', PROD, { auth_kind: 'password', password_users_json: '["app"]' })
    await store.grant('1', 'ada', 'dba', HOUR)
    expect(await refused({ dbUser: 'report' })).toContain('no password of report is stored for orders')
    const { facts } = await letIn()
    expect(facts).toMatchObject({ credential: 'password', allowsMd5: false })
    const publicKey = new Uint8Array()
    await expect(
      control.mint({ kind: 'x509-certificate', authorizationId: facts.id, publicKey }),
    ).rejects.toMatchObject({ code: 'not_allowed' })
    const { facts: again } = await letIn()
    const order = { kind: 'password', authorizationId: again.id } as const
    expect(await control.mint(order)).toEqual({ kind: 'password', password: 'secret of app at dtb_orders' })
    await expect(control.mint(order)).rejects.toThrow('used before')
  })

  test('the worker is told that a password may be proven by MD5', async () => {
    await store.postgres('orders', PROD, { auth_kind: 'password_md5', password_users_json: '["app"]' })
    await store.grant('1', 'ada', 'dba', HOUR)
    expect((await letIn()).facts).toMatchObject({ credential: 'password', allowsMd5: true })
  })
})

describe('what ends a session', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    ['the end of its grant', () => store.grant('1', 'ada', 'dba', HOUR, { state: 'ended', ended_at: 1 }), 'was ended'],
    [
      'the removal of the database',
      () => store.postgres('orders', PROD, { deleted_at: 1 }),
      'nothing gives this access',
    ],
    ['another label', () => store.postgres('orders', { env: 'dev' }), 'nothing gives this access any more'],
    ['a lock on the database', () => store.lock('database', 'dtb_orders', 'audit'), 'orders is locked: audit'],
    [
      'the end of the login session',
      () => store.login('ada', { x509_fingerprint: fingerprint, ended_at: 1 }),
      'your login session was ended',
    ],
    ['a new key', () => store.login('ada', { x509_fingerprint: 'SHA256:new' }), 'run: sally db login orders'],
    ['a role that gives other db users', () => role({ db_users: ['report'] }), 'nothing gives this access any more'],
    ['a role that gives other db names', () => role({ db_names: ['stock'] }), 'nothing gives this access any more'],
  ])('%s', async (_what, change, text) => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { ended } = await letIn()
    expect(ended()).toBeNull()
    await change()
    expect(ended()).toContain(text)
    expect(await refused()).not.toBe('let in')
  })

  test('the clock: an hour later it is over', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { ended } = await letIn()
    store.clock.advance(HOUR + 1)
    expect(ended()).toBe('your access (dba) has expired')
  })

  const role = (changes: object): Promise<unknown> =>
    store.role('dba', { allow: { db_labels: PROD, db_users: ['app'], db_names: ['shop'], ...changes } }, 2)
})

describe('whom a worker may name', () => {
  test.each<[string, () => Promise<Partial<DatabaseSignIn>>]>([
    ['a certificate of another user', async () => ({ certificate: await signedFor({ userId: 'usr_eve' }) })],
    ['another user than the certificate says', async () => ({ userId: 'usr_eve' })],
    ['a certificate of another login session', async () => ({ certificate: await signedFor({ loginId: 'lgn_old' }) })],
    ['another login session than the certificate says', async () => ({ loginSessionId: 'lgn_old' })],
    ['another key than that of the certificate', async () => ({ keyFingerprint: 'SHA256:other' })],
    ['an expired certificate', async () => ({ certificate: await signedFor({ until: store.clock.now() }) })],
    [
      'a certificate of tomorrow',
      async () => ({ certificate: await signedFor({ now: store.clock.now() + 24 * HOUR }) }),
    ],
    ['no certificate', async () => ({ certificate: new Uint8Array() })],
  ])('%s: not let in, whatever is granted', async (_what, change) => {
    await store.grant('1', 'ada', 'dba', HOUR)
    expect(await refused()).toBe('let in')
    expect(await refused(await change())).toContain('not_signed_in')
  })

  test('nobody once the authority is no longer trusted', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    trusted = []
    expect(await refused()).toContain('not_signed_in')
  })

  test('a key that is not the newest of its login session is told how to go on', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    await store.login('ada', { x509_fingerprint: null })
    expect(await refused()).toContain('login_ended\nsallyport: this certificate is not the newest')
  })

  test('a certificate made for one database is a route and no right: others are used by their own grants', async () => {
    await store.postgres('billing', PROD)
    expect(await refused({ database: 'billing' })).toContain('access_denied')
    await store.grant('1', 'ada', 'dba', HOUR)
    expect(await refused({ database: 'billing' })).toBe('let in')
  })
})

describe('the certificate for the server', () => {
  const order = (authorizationId: string) =>
    ({ kind: 'x509-certificate', authorizationId, publicKey: new Uint8Array([9]) }) as const

  test('is minted once, for the db user that was decided', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    minted.length = 0
    await control.mint(order(facts.id))
    expect(minted).toEqual([{ publicKey: new Uint8Array([9]), dbUser: 'app', sessionId: facts.sessionId }])
    await expect(control.mint(order(facts.id))).rejects.toThrow('used before')
  })

  test('is not minted for a session that is over, after 30 s, or of the kind for ssh', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    minted.length = 0
    const [over, late, ssh] = [await letIn(), await letIn(), await letIn()]
    const key = { publicKey: new Uint8Array(), sourceAddress: null }
    const forSsh = { kind: 'ssh-certificate', authorizationId: ssh.facts.id, ...key } as const
    await expect(control.mint(forSsh)).rejects.toMatchObject({ code: 'not_allowed' })
    const [session] = control.live.all()
    if (session) control.live.end(session, 'terminated', 'enough')
    await expect(control.mint(order(over.facts.id))).rejects.toMatchObject({ code: 'access_denied' })
    store.clock.advance(30_001)
    await expect(control.mint(order(late.facts.id))).rejects.toThrow()
    expect(minted).toEqual([])
  })

  test('of MySQL is minted once more to kill the session, over or not, and for no other session', async () => {
    await store.postgres('sales', PROD, { protocol: 'mysql' })
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn({ protocol: 'mysql', database: 'sales' })
    const other = await letIn()
    const toEnd = (authorizationId: string) => ({ ...order(authorizationId), toEnd: true }) as const
    minted.length = 0
    await expect(control.mint(toEnd(other.facts.id))).rejects.toMatchObject({ code: 'not_allowed' })
    await expect(control.mint(toEnd('aut_unknown'))).rejects.toMatchObject({ code: 'not_allowed' })
    await control.mint(order(facts.id))
    const session = control.live.all().find((one) => one.facts.sessionId === facts.sessionId)
    if (session) control.live.end(session, 'terminated', 'enough')
    await control.mint(toEnd(facts.id))
    await expect(control.mint(toEnd(facts.id))).rejects.toMatchObject({ code: 'not_allowed' })
    const once = { publicKey: new Uint8Array([9]), dbUser: 'app', sessionId: facts.sessionId }
    expect(minted).toEqual([once, once])
  })
})
