import { createSecretKey, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../../test/support/seeded-store.ts'
import { rowTrouble } from '../../audit/check-row.ts'
import { Refused } from '../../foundation/errors.ts'
import { silentLog } from '../../foundation/log.ts'
import { createSealer } from '../../identity/sealing.ts'
import { databaseFacts, type DatabaseFacts } from '../authorization.ts'
import { LocalControlPlane } from '../local-control-plane.ts'
import { JustInTimeUsers } from './just-in-time-users.ts'
import type { ServerUsers } from './server-users.ts'

const HOUR = 3_600_000
const PASSWORDS = { auth_kind: 'password', password_users_json: '["adm"]' } as const
const MADE = { just_in_time_json: '{"admin_user":"adm","admin_database":"postgres","on_end":"lock"}' }

let store: SeededStore
let server: FakeServer
let daemon: ReturnType<typeof daemonOver>

beforeEach(async () => {
  store = await seededStore()
  server = new FakeServer()
  daemon = daemonOver(null)
  store.afterCommit(() => daemon.control.live.recheckAll())
  await store.role('reading', { allow: { db_labels: { env: 'prod' }, db_names: ['shop'], db_roles: ['reader'] } })
  await store.role('writing', { allow: { db_labels: { env: 'prod' }, db_names: ['shop'], db_roles: ['writer'] } })
  await store.role('elsewhere', { allow: { db_labels: { env: 'prod' }, db_names: ['other'], db_roles: ['boss'] } })
  await store.user('ada', ['reading', 'elsewhere'])
  await store.login('ada', { x509_fingerprint: 'SHA256:key' })
  await store.postgres('orders', { env: 'prod' }, { ...PASSWORDS, ...MADE })
})
afterEach(() => store.database.close())

/** A server whose deeds on one user come one after the other, and that takes its time. */
class FakeServer implements ServerUsers {
  readonly open_ = new Map<string, readonly string[]>()
  readonly deeds: string[] = []
  away = false
  /** Waited for in the middle of each deed */
  pause: () => Promise<void> = () => Promise.resolve()
  #turn: Promise<unknown> = Promise.resolve()

  open: ServerUsers['open'] = (_admin, { name, dbRoles, isWanted }) =>
    this.#next(async () => {
      if (!(await isWanted())) return false
      await this.pause()
      this.open_.set(name, dbRoles)
      this.deeds.push('open')
      return true
    })

  close: ServerUsers['close'] = (_admin, { name, isUnwanted }) =>
    this.#next(async () => {
      if (!(await isUnwanted())) return { kind: 'wanted_again' }
      await this.pause()
      this.open_.delete(name)
      this.deeds.push('lock')
      return { kind: 'locked', kept: null }
    })

  #next<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(() => {
      if (this.away) throw new Refused('upstream_unreachable', 'nobody answers')
      return work()
    })
    this.#turn = mine.catch(() => {})
    return mine
  }
}

function daemonOver(instanceId: string | null) {
  const sealer = createSealer({ id: '0123456789abcdef', key: sealingKey })
  const credentials = {
    onwardCertificate: () => Promise.reject(new Error('not asked for')),
    databaseCertificate: () => Promise.reject(new Error('not asked for')),
    databasePassword: (_id: string, dbUser: string) => Promise.resolve(`secret of ${dbUser}`),
  }
  const { deeds, snapshot, clock, database } = store
  const users = new JustInTimeUsers({
    ...{ reads: database.reads, deeds, sealer, credentials, clock, log: silentLog },
    servers: { postgres: server, mysql: server },
    isLive: ({ id, instance_id: holder }) => holder !== instanceId || control.live.get(id) !== undefined,
  })
  const control: LocalControlPlane = new LocalControlPlane({
    ...{ deeds, snapshot, sealer, credentials, instanceId, clock, log: silentLog, justInTime: users },
    catchUp: () => Promise.resolve(),
    reportAuthFailure: () => {},
    recordingsDir: '/var/lib/sallyport/recordings',
    offlineGraceMs: 60_000,
    checkSignIn: () => null,
    checkRow: (ref) => rowTrouble(database, ref),
  })
  return { users, control }
}
const sealingKey = createSecretKey(randomBytes(32))

async function letIn({ control } = daemon, dbUser: string | null = 'ada'): Promise<DatabaseFacts> {
  const answer = await control.authorize({
    ...{ protocol: 'postgres', loginSessionId: 'lgn_ada', userId: 'usr_ada', keyFingerprint: 'SHA256:key' },
    ...{ certificate: new Uint8Array([1]), database: 'orders', dbUser, dbName: 'shop', address: '127.0.0.1' },
  })
  if (!answer.ok) throw new Error(answer.lines.join('\n'))
  return databaseFacts(structuredClone(answer.facts))
}
const mint = (facts: DatabaseFacts, { control } = daemon) =>
  control.mint({ kind: 'password', authorizationId: facts.id })
const leave = (facts: DatabaseFacts, { control } = daemon): Promise<void> =>
  control.endSession(facts.sessionId, { reason: 'client_left', head: null, complete: true, contents: [] })
/** Until nothing is under way: closing waits behind opening. */
const settled = ({ users } = daemon): Promise<void> => users.sweep()
const rows = () => store.database.reads.selectFrom('just_in_time_users').selectAll().execute()
const events = async (): Promise<string[]> =>
  (
    await store.database.reads
      .selectFrom('audit_events')
      .select('type')
      .where('type', 'like', 'db.%')
      .orderBy('seq')
      .execute()
  ).map(({ type }) => type)

test('it is stored as open before anything is done on the server, with the roles of this database alone', async () => {
  const facts = await letIn()
  expect(facts.justInTime?.dbRoles).toEqual(['reader'])
  expect(await rows()).toMatchObject([{ state: 'open', name: facts.dbUser, db_roles_json: '["reader"]' }])
  expect(await events()).toEqual(['db.session.start', 'db.user.create'])
  expect(server.deeds).toEqual([])
  expect(await mint(facts)).toMatchObject({ kind: 'password' })
  expect(server.open_.get(facts.dbUser)).toEqual(['reader'])
})

test('sessions with the same roles share it and its password, and the last one that ends locks it; the password is another one then', async () => {
  const first = await letIn()
  const second = await letIn()
  expect(second.dbUser).toBe(first.dbUser)
  const password = await mint(first)
  expect(await mint(second)).toEqual(password)
  await leave(first)
  await settled()
  expect(server.open_.has(first.dbUser)).toBe(true)
  await leave(second)
  await settled()
  expect(server.open_.size).toBe(0)
  expect(await rows()).toMatchObject([{ state: 'locked', password_sealed: null }])
  expect(await mint(await letIn())).not.toEqual(password)
  expect(await events()).toEqual([
    ...['db.session.start', 'db.user.create', 'db.session.start', 'db.session.end', 'db.session.end', 'db.user.lock'],
    ...['db.session.start', 'db.user.unlock'],
  ])
})

test('more that is approved meanwhile is another user; a session that loses one of its roles ends when its grant does', async () => {
  const reading = await letIn()
  await store.grant('g', 'ada', 'writing', HOUR)
  await store.role('engineer', { allow: { request: { roles: ['writing'] } } })
  await store.user('ada', ['reading', 'engineer'])
  const both = await letIn()
  expect(both.justInTime?.dbRoles).toEqual(['reader', 'writer'])
  expect(both.dbUser).not.toBe(reading.dbUser)
  expect(both.endsAt).toBe(store.clock.now() + HOUR)
  expect(reading.endsAt).toBe(store.clock.now() + 12 * HOUR)
  const ended: string[] = []
  for (const { sessionId } of [reading, both])
    daemon.control.watchEnd(sessionId, ({ kind, text }) => kind === 'end' && ended.push(`${sessionId} ${text}`))
  store.clock.advance(HOUR + 1)
  daemon.control.live.recheckAll()
  expect(ended).toEqual([`${both.sessionId} your access (writing) has expired`])
})

test('nobody else can be named, and one can leave the name out', async () => {
  await expect(letIn(daemon, 'postgres')).rejects.toThrow('users are made there on connect')
  expect((await letIn(daemon, null)).dbUser).toMatch(/^ada_/)
})

test('a session that ends while its user is being made leaves none open', async () => {
  const facts = await letIn()
  const { promise, resolve } = Promise.withResolvers<void>()
  const isIn = Promise.withResolvers<void>()
  server.pause = () => {
    isIn.resolve()
    return promise
  }
  const minting = mint(facts).catch((error: Error) => error.message)
  await isIn.promise
  await leave(facts)
  resolve()
  expect(await minting).toBe('this session is over')
  await settled()
  expect(server.open_.size).toBe(0)
  expect(await rows()).toMatchObject([{ state: 'locked' }])
})

test('a session that begins while its user is being locked has it open in the end', async () => {
  const first = await letIn()
  await mint(first)
  const { promise, resolve } = Promise.withResolvers<void>()
  const isIn = Promise.withResolvers<void>()
  server.pause = () => {
    isIn.resolve()
    return promise
  }
  await leave(first)
  await isIn.promise
  const second = await letIn()
  const minting = mint(second)
  resolve()
  await minting
  expect(server.deeds).toEqual(['open', 'lock', 'open'])
  expect(server.open_.has(second.dbUser)).toBe(true)
  expect(await rows()).toMatchObject([{ state: 'open' }])
})

test('a server that is away is tried again, later each time; the first failure of a kind is an event, and so is the end of it', async () => {
  const facts = await letIn()
  await mint(facts)
  server.away = true
  await leave(facts)
  for (let look = 0; look < 5; look++) await settled()
  expect(await rows()).toMatchObject([{ state: 'open', trouble: 'nobody answers' }])
  store.clock.advance(1001)
  await settled()
  server.away = false
  store.clock.advance(1001)
  await settled()
  expect(server.open_.size).toBe(1)
  store.clock.advance(1000)
  await settled()
  expect(server.open_.size).toBe(0)
  expect(await rows()).toMatchObject([{ state: 'locked', trouble: null, trouble_at: null }])
  expect((await events()).slice(-3)).toEqual(['db.session.end', 'db.user.fail', 'db.user.lock'])
})

test('the password of an admin is not told to the server that the database was before', async () => {
  const facts = await letIn()
  await mint(facts)
  await store.postgres('orders', { env: 'prod' }, { ...PASSWORDS, ...MADE, address: 'elsewhere.internal:5432' })
  await leave(facts)
  await settled()
  expect(await rows()).toMatchObject([{ state: 'open', trouble: expect.stringContaining('another server now') }])
  await store.postgres('orders', { env: 'prod' }, { ...PASSWORDS, ...MADE })
  store.clock.advance(5000)
  await settled()
  expect(await rows()).toMatchObject([{ state: 'locked' }])
})

test('what a daemon that died left open is locked by the next one, once its sessions are closed', async () => {
  const facts = await letIn()
  await mint(facts)
  const next = daemonOver(null)
  // Of a daemon alone on its store, what it does not know of is nobody's.
  await next.users.sweep()
  expect(server.open_.size).toBe(0)
})

test(
  'whatever two daemons do at once, whoever is in is let in, and nobody is open when everybody has left',
  { timeout: 20_000 },
  async () => {
    const other = daemonOver('ist_other')
    const steps = fc.array(fc.record({ isOther: fc.boolean(), waits: fc.nat(3) }), { minLength: 2, maxLength: 6 })
    await fc.assert(
      fc.asyncProperty(steps, fc.nat(3), async (comers, slow) => {
        server.pause = () => turns(slow)
        await Promise.all(
          comers.map(async ({ isOther, waits }) => {
            const at = isOther ? other : daemon
            await turns(waits)
            const facts = await letIn(at)
            await mint(facts, at)
            expect(server.open_.get(facts.dbUser)).toEqual(['reader'])
            await turns(waits)
            await leave(facts, at)
          }),
        )
        await Promise.all([settled(daemon), settled(other)])
        await settled(daemon)
        expect(server.open_.size).toBe(0)
        expect(await rows()).toMatchObject([{ state: 'locked' }])
      }),
      { numRuns: 8 },
    )
  },
)

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count * 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}
