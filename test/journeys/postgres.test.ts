// A PostgreSQL database by request, on the one port: stock clients are refused, ask, work, and are stopped in the middle of a
// statement. The server takes our certificates for one user and knows a stored password of another.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needProgram } from '../support/need-program.ts'
import { PASSWORD, secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run, start, type Finished, type RunningProgram } from '../support/run.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let server: PostgresServer
let alice: Account
let bob: Account
let request = ''

beforeAll(async () => {
  ;[sallyport, server] = await Promise.all([startSallyport(), PostgresServer.start()])
  const { items } = await sallyport.api.listAuthorities({})
  const authority = items.find(({ kind }) => kind === 'database-x509')?.public ?? ''
  const { certificatePem } = await secureServer(server, authority)
  await server.query(
    'shop',
    'create table orders as select 1 as id, $$bread$$::text as what; grant all on orders to app, bycert',
  )
  const database = (name: string, auth: Record<string, unknown>) =>
    sallyport.document({
      kind: 'database',
      version: 'v1',
      metadata: { name, labels: { env: 'prod' } },
      spec: {
        protocol: 'postgres',
        address: `127.0.0.1:${String(server.port)}`,
        tls: { mode: 'verify-full', ca: certificatePem, server_name: 'localhost' },
        auth,
      },
    })
  await database('orders', { kind: 'certificate' })
  await database('legacy', { kind: 'password', users: [{ name: 'app', password: PASSWORD }] })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('dba', { db_labels: { env: 'prod' }, db_users: ['app', 'bycert'], db_names: ['shop'] })
  await role('engineer', { request: { roles: ['dba'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['reviewer'])
  ;[alice, bob] = (await Promise.all(['alice', 'bob'].map((name) => sallyport.signIn(name)))) as [Account, Account]
  for (const [name, user] of [
    ['orders', 'bycert'],
    ['legacy', 'app'],
  ]) {
    const login = await alice.sally('db', 'login', name ?? '', `--db-user=${user ?? ''}`, '--db-name=shop')
    expect(login.code, login.stderr).toBe(0)
  }
})

afterAll(async () => {
  await sallyport?.stop()
  await server?.stop()
})

const env = () => ({ HOME: alice.home, PGSERVICEFILE: `${alice.home}/.pg_service.conf` })
const psql = (service: string, ...args: readonly string[]): Promise<Finished> =>
  run(needProgram('psql'), ['-X', '-A', '-t', `service=${service}`, ...args], { env: env() })
const startPsql = (service: string, ...args: readonly string[]): RunningProgram =>
  start(needProgram('psql'), ['-X', '-A', '-t', `service=${service}`, ...args], { env: env() })

const backends = (): Promise<Record<string, unknown>[]> =>
  server.query('postgres', `select query from pg_stat_activity where usename in ('app', 'bycert')`)

test('1: psql is refused; what it prints names the role that would help and the command that asks for it', async () => {
  const { code, stderr } = await psql('orders', '-c', 'select 1')
  expect(code).toBe(2)
  expect(stderr).toContain('FATAL:  sallyport: alice may not use bycert on orders/shop')
  expect(stderr).toContain('This role would help: dba (')
  expect(stderr).toContain('sally request create --roles=dba --reason="why you need it" --duration=1h')
  expect(await backends()).toEqual([])
})

test('2: asked and approved, the same command works, by certificate and by a password that alice never sees', async () => {
  const asked = await alice.sally('request', 'create', '--roles=dba', '--reason=an order is missing', '--nowait')
  request = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
  const reviewed = await bob.sally('request', 'review', request, '--approve', '--reason=go ahead')
  expect(reviewed).toMatchObject({ code: 0 })
  const select = ['-c', 'select current_user, what from orders'] as const
  expect(await psql('orders', ...select)).toMatchObject({ code: 0, stdout: 'bycert|bread\n', stderr: '' })
  expect(await psql('legacy', ...select)).toMatchObject({ code: 0, stdout: 'app|bread\n', stderr: '' })
})

test('3: another user of the server, another database in it and another resource are not part of it', async () => {
  for (const words of ['user=postgres', 'dbname=postgres', 'user=app+nowhere']) {
    const refused = await psql(`orders ${words}`, '-c', 'select 1')
    expect(refused.code, words).toBe(2)
    expect(refused.stderr).toContain('FATAL:  sallyport: ')
  }
  expect((await psql('orders user=app+legacy', '-c', 'select current_user')).stdout).toBe('app\n')
})

test("4: psql's ^C finds its session, whichever worker has it", async () => {
  for (let turn = 0; turn < 4; turn++) {
    const client = startPsql('legacy', '-c', 'select pg_sleep(600)')
    await until('the statement to run', async () =>
      (await backends()).some(({ query }) => query === 'select pg_sleep(600)'),
    )
    client.child.kill('SIGINT')
    expect((await client.finished).stderr).toContain('canceling statement due to user request')
  }
})

test('5: pg_dump and pg_restore go through', async () => {
  const dump = await run(needProgram('pg_dump'), ['-d', 'service=legacy', '-Fc', '-t', 'orders'], { env: env() })
  expect(dump.code, dump.stderr).toBe(0)
  await server.query('shop', 'alter table orders rename to before; grant create on schema public to app')
  const restored = await run(needProgram('pg_restore'), ['-d', 'service=legacy', '--no-owner', '--no-acl'], {
    ...{ env: env(), input: dump.bytes },
  })
  expect(restored.code, restored.stderr).toBe(0)
  expect((await psql('legacy', '-c', 'select what from orders')).stdout).toBe('bread\n')
})

test('6: revoked while a statement runs: the client is told why within a second, and no backend remains', async () => {
  const client = startPsql('orders', '-c', 'select pg_sleep(600)')
  await until('the statement to run', async () => (await backends()).length === 1)
  const revoked = await sallyport.admin('request', 'revoke', request, '--reason=enough')
  expect(revoked).toMatchObject({ code: 0 })
  const { code, stderr } = await client.finished
  expect(code).not.toBe(0)
  expect(stderr).toContain('FATAL:  your access (dba) was revoked by local-admin: enough')
  await until('no backend remains', async () => (await backends()).length === 0)
  // By the daemon's own clock, from the deed to the stored end.
  const [revoke] = await sallyport.events({ type: 'grant.revoke', request })
  const end = await until('the end is stored', async () => {
    const ends = await sallyport.events({ type: 'db.session.end', request })
    return ends.find(({ time }) => time >= (revoke?.time ?? Infinity))
  })
  expect(end.time - (revoke?.time ?? 0)).toBeLessThanOrEqual(1000)
  expect((await psql('orders', '-c', 'select 1')).stderr).toContain('alice may not use bycert on orders/shop')
})

test('7: the sessions stand in the audit log, what was asked of the database in their recordings, and the chain is whole', async () => {
  const [session] = await sallyport.sessions({})
  const played = await alice.sally('play', session?.id ?? '', '--format=text')
  expect(played.stdout, played.stderr).toContain('select pg_sleep(600)')
  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.stdout).toMatch(/^OK: /)
  expect(sallyport.workerPids().every(isAlive)).toBe(true)
})
