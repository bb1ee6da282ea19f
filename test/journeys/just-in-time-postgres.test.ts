// Users of a PostgreSQL server that are made when somebody connects and locked or dropped when nobody needs them: stock psql,
// a real server, the real daemon. The admin that makes them is no superuser.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needProgram } from '../support/need-program.ts'
import { PASSWORD, secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run, start, type Finished, type RunningProgram } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let server: PostgresServer
let alice: Account
let bob: Account

const SET_UP = `
  create role sallyport_jit;
  create role sallyport_admin login createrole password '${PASSWORD}';
  grant pg_signal_backend to sallyport_admin;
  create role reader; create role writer; create role maker;`

beforeAll(async () => {
  ;[sallyport, server] = await Promise.all([startSallyport(), PostgresServer.start()])
  const { items } = await sallyport.api.listAuthorities({})
  const authority = items.find(({ kind }) => kind === 'database-x509')?.public ?? ''
  const { certificatePem } = await secureServer(server, authority)
  await server.query('postgres', SET_UP)
  await server.query('postgres', 'create database other')
  await server.query(
    'shop',
    `create table orders as select 1 as id; grant select on orders to reader; grant insert on orders to writer;
     grant create on schema public to maker`,
  )
  const line = 'hostssl all sallyport_admin,+sallyport_jit 127.0.0.1/32 cert\n'
  appendFileSync(join(server.folder, 'data', 'pg_hba.conf'), line)
  await server.query('postgres', 'select pg_reload_conf()')
  const database = (name: string, spec: Record<string, unknown>) =>
    sallyport.document({
      ...{ kind: 'database', version: 'v1', metadata: { name, labels: { env: 'prod', db: name } } },
      spec: {
        protocol: 'postgres',
        address: `127.0.0.1:${String(server.port)}`,
        tls: { mode: 'verify-full', ca: certificatePem, server_name: 'localhost' },
        ...spec,
      },
    })
  await database('orders', { just_in_time: { admin_user: 'sallyport_admin' } })
  await database('dropped', { just_in_time: { admin_user: 'sallyport_admin', on_end: 'drop' } })
  await database('lost', { just_in_time: { admin_user: 'nobody_there' } })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  const given = { db_labels: { env: 'prod' }, db_names: ['shop'] }
  await role('reading', { ...given, db_roles: ['reader'] })
  await role('writing', { ...given, db_roles: ['writer'] })
  await role('making', { db_labels: { db: 'dropped' }, db_names: ['shop'], db_roles: ['maker'] })
  await role('elsewhere', { db_labels: { env: 'prod' }, db_names: ['other'], db_roles: ['maker'] })
  await role('engineer', { request: { roles: ['writing', 'making'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['writing', 'making'] } })
  await sallyport.user('alice', ['engineer', 'reading', 'elsewhere'])
  await sallyport.user('bob', ['reviewer'])
  ;[alice, bob] = (await Promise.all(['alice', 'bob'].map((name) => sallyport.signIn(name)))) as [Account, Account]
  for (const name of ['orders', 'dropped', 'lost']) {
    const login = await alice.sally('db', 'login', name, '--db-name=shop')
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

interface Made {
  readonly name: string
  readonly login: boolean
  readonly roles: string
}
const made = async (): Promise<Made[]> =>
  (await server.query(
    'postgres',
    `select u.rolname as name, u.rolcanlogin as login,
       (select string_agg(r.rolname, ',' order by r.rolname) from pg_auth_members m join pg_roles r on r.oid = m.roleid
        where m.member = u.oid) as roles
     from pg_roles u where pg_has_role(u.oid, 'sallyport_jit', 'member') and u.rolname <> 'sallyport_jit' and not u.rolsuper
     order by 1`,
  )) as unknown[] as Made[]
const openOnes = async (): Promise<Made[]> => (await made()).filter(({ login }) => login)
const backends = (): Promise<Record<string, unknown>[]> =>
  server.query('postgres', `select usename, query from pg_stat_activity where usename like 'alice%'`)
const nobodyOpen = () => until('every user to be locked', async () => (await openOnes()).length === 0)

async function approved(role: string): Promise<string> {
  const asked = await alice.sally('request', 'create', `--roles=${role}`, '--reason=an order', '--nowait')
  const request = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
  expect(await bob.sally('request', 'review', request, '--approve', '--reason=fine')).toMatchObject({ code: 0 })
  return request
}

test('1: whoever connects is a user of the server that is made for it, with the roles of this database and no others', async () => {
  const shown = await alice.sally('db', 'ls')
  expect(shown.stdout).toContain('alice, made on connect with')
  const { code, stdout, stderr } = await psql('orders', '-c', 'select current_user, id from orders')
  expect(stderr).toBe('')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^alice_[0-9a-f]{12}\|1\n$/)
  await nobodyOpen()
  expect(await made()).toEqual([{ name: stdout.split('|')[0], login: false, roles: 'sallyport_jit' }])
})

test('2: what she may do is what the role may do', async () => {
  const client = startPsql('orders', '-c', 'select pg_sleep(600)')
  await until('the statement to run', async () =>
    (await backends()).some(({ query }) => query === 'select pg_sleep(600)'),
  )
  expect(await openOnes()).toMatchObject([{ roles: 'reader,sallyport_jit' }])
  const refused = await psql('orders', '-c', 'insert into orders values (2)')
  expect(refused.stderr).toContain('permission denied for table orders')
  client.child.kill('SIGKILL')
  await client.finished
  await nobodyOpen()
})

test('3: a second session with more roles is another user: the first is lent nothing, and revoking ends one alone, within a second', async () => {
  const reading = startPsql('orders', '-c', 'select pg_sleep(600)')
  await until('the first statement to run', async () => (await backends()).length === 1)
  const request = await approved('writing')
  const writing = startPsql('orders', '-c', 'insert into orders values (2); select pg_sleep(601)')
  await until('the second statement to run', async () =>
    (await backends()).some(({ query }) => String(query).includes('pg_sleep(601)')),
  )
  expect((await openOnes()).map(({ roles }) => roles).toSorted()).toEqual([
    'reader,sallyport_jit',
    'reader,sallyport_jit,writer',
  ])
  expect(await sallyport.admin('request', 'revoke', request, '--reason=enough')).toMatchObject({ code: 0 })
  expect((await writing.finished).stderr).toContain('FATAL:  your access (writing) was revoked by local-admin: enough')
  const locked = await until('the second user to be locked', async () => {
    const locks = await sallyport.events({ type: 'db.user.lock' })
    const [revoke] = await sallyport.events({ type: 'grant.revoke', request })
    return locks.find(({ time }) => time >= (revoke?.time ?? Infinity)) && { locks, revoke }
  })
  const last = locked.locks.at(-1)
  expect((last?.time ?? 0) - (locked.revoke?.time ?? 0)).toBeLessThanOrEqual(1000)
  expect(await openOnes()).toMatchObject([{ roles: 'reader,sallyport_jit' }])
  expect(await backends()).toHaveLength(1)
  reading.child.kill('SIGKILL')
  await reading.finished
  await nobodyOpen()
})

test('4: dropped at the end; one who owns something is locked instead, and the event says why', async () => {
  expect((await psql('dropped', '-c', 'select 1')).stderr).toBe('')
  await until('the drop', async () => (await sallyport.events({ type: 'db.user.drop' })).length === 1)
  const before = (await made()).length
  const request = await approved('making')
  const owner = await psql('dropped', '-c', 'create table mine (id int); select current_user')
  expect(owner.stderr).toBe('')
  const name = owner.stdout.split('\n').at(-2) ?? ''
  const lock = await until('the lock', async () =>
    (await sallyport.events({ type: 'db.user.lock' })).find(({ details }) => details?.['dbUser'] === name),
  )
  expect(lock.details).toMatchObject({
    onEnd: 'drop',
    user: 'alice',
    kept: expect.stringContaining('objects depend on it'),
  })
  expect(await made()).toHaveLength(before + 1)
  // The same person with the same roles has what she made.
  expect((await psql('dropped', '-c', 'insert into mine values (1)')).stderr).toBe('')
  await server.query('shop', 'drop table mine')
  expect((await psql('dropped', '-c', 'select 1')).stderr).toBe('')
  await until('it to be dropped', async () => (await made()).length === before)
  await sallyport.admin('request', 'revoke', request, '--reason=done')
})

test('5: a user of that name who was not made by us is left alone, and psql says so', async () => {
  const name = (await psql('orders', '-c', 'select current_user')).stdout.trim()
  await nobodyOpen()
  await server.query('postgres', `revoke sallyport_jit from "${name}"; alter role "${name}" login`)
  const { code, stderr } = await psql('orders', '-c', 'select 1')
  expect(code).toBe(2)
  expect(stderr).toContain(`there is a user ${name} on it that Sallyport did not make: it is left alone`)
  const found = await server.query('postgres', `select rolcanlogin from pg_roles where rolname = '${name}'`)
  expect(found).toEqual([{ rolcanlogin: true }])
  await server.query('postgres', `grant sallyport_jit to "${name}"; alter role "${name}" nologin`)
  await until('the row to be closed', async () => (await psql('orders', '-c', 'select 1')).code === 0)
  await nobodyOpen()
})

test('6: nobody can be named but oneself, and an admin that cannot sign in is told by name', async () => {
  const other = await psql('orders user=sallyport_admin', '-c', 'select 1')
  expect(other.stderr).toContain('alice may not use sallyport_admin on orders: users are made there on connect')
  const lost = await psql('lost', '-c', 'select 1')
  expect(lost.code).toBe(2)
  expect(lost.stderr).toContain('its users cannot be managed as nobody_there on lost')
})

test('7: many connects and ends at once: each works, and in the end nobody is open', async () => {
  const rounds = await Promise.all(
    Array.from({ length: 12 }, async () => {
      const first = await psql('orders', '-c', 'select 1')
      const second = await psql('orders', '-c', 'select 2')
      return first.stderr + second.stderr
    }),
  )
  expect(rounds).toEqual(Array.from({ length: 12 }, () => ''))
  await nobodyOpen()
})

test('8: killed in the middle of a session, the daemon locks its user after the next start', async () => {
  const client = startPsql('orders', '-c', 'select pg_sleep(600)')
  await until('the statement to run', async () => (await backends()).length === 1)
  await sallyport.kill('SIGKILL')
  await client.finished
  expect(await openOnes()).toHaveLength(1)
  await sallyport.restart()
  await nobodyOpen()
  await until('no backend remains', async () => (await backends()).length === 0)
})

test('9: a server that is away at the end: the operators see it, and it is locked once it is back', async () => {
  const client = startPsql('orders', '-c', 'select pg_sleep(600)')
  await until('the statement to run', async () => (await backends()).length === 1)
  await server.kill()
  await client.finished
  const failed = await until('the failure to be stored', async () =>
    (await sallyport.events({ type: 'db.user.fail' })).find(({ resource }) => resource?.name === 'orders'),
  )
  expect(failed).toMatchObject({ outcome: 'failure', details: { user: 'alice', wanted: 'lock' } })
  expect((await sallyport.admin('status')).stdout).toContain('of database/orders could not be locked since')
  await server.restart()
  expect(await openOnes()).toHaveLength(1)
  await nobodyOpen()
  await until('status to be calm', async () => !(await sallyport.admin('status')).stdout.includes('database/orders'))
})

test('10: every user was made, locked and dropped with an event, and the chain is whole', async () => {
  const types = new Set((await sallyport.events({ type: 'db.user.*' })).map(({ type }) => type))
  expect([...types].toSorted()).toEqual([
    'db.user.create',
    'db.user.drop',
    'db.user.fail',
    'db.user.lock',
    'db.user.unlock',
  ])
  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.stdout).toMatch(/^OK: /)
})
