// Users of a MariaDB server that are made when somebody connects and locked or dropped when nobody needs them: the stock
// client, a real server, the real daemon. The admin that makes them may manage users, end threads and see who has which role.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MariadbServer } from '../support/mariadb.ts'
import { needProgram } from '../support/need-program.ts'
import { run, start, type Finished, type RunningProgram } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

const PASSWORD = 'nobody types this'
const ADMIN = `sallyport_admin@'127.0.0.1'`

let sallyport: Sallyport
let server: MariadbServer
let alice: Account
let bob: Account
const clients = new Map<string, readonly string[]>()

beforeAll(async () => {
  sallyport = await startSallyport({ config: { mysql: { listen: '127.0.0.1:0' } } })
  const { items } = await sallyport.api.listAuthorities({})
  const authority = items.find(({ kind }) => kind === 'database-x509')?.public ?? ''
  server = await MariadbServer.start({ clientAuthorities: authority })
  await server.sql(`create database shop; create table shop.orders (id int primary key);
    insert into shop.orders values (1);
    create role sallyport_jit; create role reader; create role writer;
    grant select on shop.* to reader; grant insert on shop.* to writer;
    create user ${ADMIN} identified by '${PASSWORD}' require ssl;
    grant create user, process, connection admin on *.* to ${ADMIN};
    grant select (User, Host, is_role, default_role) on mysql.user to ${ADMIN};
    grant select on mysql.roles_mapping to ${ADMIN};
    grant sallyport_jit to ${ADMIN} with admin option;
    grant reader to ${ADMIN} with admin option;
    grant writer to ${ADMIN} with admin option;
    create user sallyport_certified@'127.0.0.1' require subject '/CN=sallyport_certified';
    grant create user, process, connection admin on *.* to sallyport_certified@'127.0.0.1';
    grant select (User, Host, is_role, default_role) on mysql.user to sallyport_certified@'127.0.0.1';
    grant select on mysql.roles_mapping to sallyport_certified@'127.0.0.1';
    grant sallyport_jit to sallyport_certified@'127.0.0.1' with admin option;
    grant reader to sallyport_certified@'127.0.0.1' with admin option;`)
  const database = (name: string, spec: Record<string, unknown>) =>
    sallyport.document({
      ...{ kind: 'database', version: 'v1', metadata: { name, labels: { env: 'prod', db: name } } },
      spec: {
        protocol: 'mysql',
        address: `127.0.0.1:${String(server.port)}`,
        tls: { mode: 'verify-full', ca: server.authority.certificatePem, server_name: 'localhost' },
        ...spec,
      },
    })
  const auth = { kind: 'password', users: [{ name: 'sallyport_admin', password: PASSWORD }] }
  await database('orders', { auth, just_in_time: { admin_user: 'sallyport_admin' } })
  await database('dropped', { auth, just_in_time: { admin_user: 'sallyport_admin', on_end: 'drop' } })
  await database('certified', { just_in_time: { admin_user: 'sallyport_certified' } })
  const role = (name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  await role('reading', { db_labels: { env: 'prod' }, db_names: ['shop'], db_roles: ['reader'] })
  await role('writing', { db_labels: { env: 'prod' }, db_names: ['shop'], db_roles: ['writer'] })
  const only = { db: { read_only: true } }
  await role('looking', { db_labels: { db: 'orders' }, db_names: ['shop'], db_roles: ['reader'] }, only)
  await role('pretending', { db_labels: { db: 'orders' }, db_names: ['shop'], db_roles: ['reader', 'writer'] }, only)
  await role('engineer', { request: { roles: ['writing'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['writing'] } })
  await sallyport.user('alice', ['engineer', 'reading'])
  await sallyport.user('bob', ['reviewer'])
  await sallyport.user('carol', ['looking'])
  await sallyport.user('dave', ['pretending'])
  ;[alice, bob] = (await Promise.all(['alice', 'bob'].map((name) => sallyport.signIn(name)))) as [Account, Account]
  for (const name of ['orders', 'dropped', 'certified']) await addClient(alice, 'alice', name)
})

afterAll(async () => {
  await sallyport?.stop()
  await server?.stop()
})

async function addClient(account: Account, name: string, database: string): Promise<void> {
  expect(await account.sally('db', 'login', database)).toMatchObject({ code: 0 })
  const options = [`--defaults-file=${account.home}/.my.cnf`, `--defaults-group-suffix=_${database}`]
  clients.set(`${name}/${database}`, [...options, '-N', '-B'])
}

const mysql = (who: string, sql: string): Promise<Finished> =>
  run(needProgram('mariadb'), [...(clients.get(who) ?? []), '-e', sql])
const startMysql = (who: string, sql: string): RunningProgram =>
  start(needProgram('mariadb'), [...(clients.get(who) ?? []), '-e', sql])

interface Made {
  readonly name: string
  readonly isLocked: boolean
}
const made = async (): Promise<Made[]> =>
  (
    await server.sql(`select User, json_value(Priv, '$.account_locked') from mysql.global_priv where Host <> ''
    and User regexp '^[a-z]+_[0-9a-f]{12}$' order by 1;`)
  )
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => ({ name: line.split('\t')[0] ?? '', isLocked: line.split('\t')[1] === '1' }))
const openOnes = async (): Promise<string[]> =>
  (await made()).filter(({ isLocked }) => !isLocked).map(({ name }) => name)
const nobodyOpen = () => until('every user to be locked', async () => (await openOnes()).length === 0)
const running = async (what: string): Promise<number> =>
  Number(await server.sql(`select count(*) from information_schema.processlist where info = '${what}';`))
const rolesOf = async (name: string): Promise<string[]> =>
  (await server.sql(`select Role from mysql.roles_mapping where User = '${name}' and Host = '' order by 1;`))
    .split('\n')
    .filter((line) => line !== '')

test('1: whoever connects is a user of the server that is made for it and may do what its roles may do', async () => {
  for (const database of ['orders', 'certified']) {
    const { code, stdout, stderr } = await mysql(
      `alice/${database}`,
      'select current_user(), current_role(); select * from shop.orders',
    )
    expect(stderr).toBe('')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^(alice_[0-9a-f]{12})@127\.0\.0\.1\t\1\n1\n$/)
    const refused = await mysql(`alice/${database}`, 'insert into shop.orders values (2)')
    expect(refused.stderr).toContain('INSERT command denied')
    await nobodyOpen()
    const name = stdout.split('@')[0] ?? ''
    expect(await made()).toContainEqual({ name, isLocked: true })
    expect(await rolesOf(name)).toEqual(['sallyport_jit'])
  }
})

test('2: a second session with more roles is another user, and revoking locks it within a second while the first goes on', async () => {
  const reading = startMysql('alice/orders', 'select sleep(600)')
  await until('the first statement to run', async () => (await running('select sleep(600)')) === 1)
  const asked = await alice.sally('request', 'create', '--roles=writing', '--reason=an order', '--nowait')
  const request = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
  expect(await bob.sally('request', 'review', request, '--approve', '--reason=fine')).toMatchObject({ code: 0 })
  const writing = startMysql('alice/orders', 'insert into shop.orders values (2); select sleep(601)')
  await until('the second statement to run', async () => (await running('select sleep(601)')) === 1)
  const open = await openOnes()
  expect((await Promise.all(open.map(rolesOf))).map(String).toSorted()).toEqual([
    'reader,sallyport_jit',
    'reader,sallyport_jit,writer',
  ])
  expect(await sallyport.admin('request', 'revoke', request, '--reason=enough')).toMatchObject({ code: 0 })
  expect((await writing.finished).stderr).toContain('was revoked by local-admin: enough')
  const [revoke] = await sallyport.events({ type: 'grant.revoke', request })
  const lock = await until('the second user to be locked', async () => {
    const locks = await sallyport.events({ type: 'db.user.lock' })
    return locks.find(({ time }) => time >= (revoke?.time ?? Infinity))
  })
  expect(lock.time - (revoke?.time ?? 0)).toBeLessThanOrEqual(1000)
  expect(await openOnes()).toHaveLength(1)
  expect(await running('select sleep(600)')).toBe(1)
  reading.child.kill('SIGKILL')
  await reading.finished
  await nobodyOpen()
})

test('3: dropped at the end, with its role', async () => {
  const { stdout } = await mysql('alice/dropped', 'select current_user()')
  const name = stdout.split('@')[0] ?? ''
  await until('it to be gone', async () => !(await made()).some((each) => each.name === name))
  expect(await server.sql(`select count(*) from mysql.global_priv where User = '${name}';`)).toBe('0\n')
  expect(await rolesOf(name)).toEqual([])
})

test('4: a user of that name who was not made by us is left alone, and the client says so', async () => {
  const { stdout } = await mysql('alice/dropped', 'select current_user()')
  const name = stdout.split('@')[0] ?? ''
  await until('it to be gone', async () => !(await made()).some((each) => each.name === name))
  await server.sql(`create user '${name}'@'%' identified by 'theirs';`)
  const refused = await mysql('alice/dropped', 'select 1')
  expect(refused.code).not.toBe(0)
  expect(refused.stderr).toContain(`there is a user ${name} on it that Sallyport did not make`)
  expect(await made()).toContainEqual({ name, isLocked: false })
  await server.sql(`drop user '${name}'@'%';`)
  expect(await mysql('alice/dropped', 'select 1')).toMatchObject({ code: 0 })
})

test('5: read-only access works where the roles of the server permit nothing but reading, and is refused where they permit more', async () => {
  await addClient(await sallyport.signIn('carol'), 'carol', 'orders')
  await addClient(await sallyport.signIn('dave'), 'dave', 'orders')
  expect(await mysql('carol/orders', 'select min(id) from shop.orders')).toMatchObject({ stdout: '1\n', stderr: '' })
  const refused = await mysql('dave/orders', 'select 1')
  expect(refused.stderr).toContain(
    'your access is read-only, and its roles permit more on the server: GRANT INSERT ON `shop`.*',
  )
  await nobodyOpen()
})

test('6: many connects and ends at once: each works, and in the end nobody is open', async () => {
  const rounds = await Promise.all(
    Array.from({ length: 10 }, async () => {
      const first = await mysql('alice/orders', 'select 1')
      const second = await mysql('alice/orders', 'select 2')
      return first.stderr + second.stderr
    }),
  )
  expect(rounds).toEqual(Array.from({ length: 10 }, () => ''))
  await nobodyOpen()
})

test('7: killed in the middle of a session, the daemon locks its user after the next start, and no thread remains', async () => {
  const client = startMysql('alice/orders', 'select sleep(600)')
  await until('the statement to run', async () => (await running('select sleep(600)')) === 1)
  await sallyport.kill('SIGKILL')
  await client.finished
  expect(await openOnes()).toHaveLength(1)
  await sallyport.restart()
  await nobodyOpen()
  await until('no thread remains', async () => (await running('select sleep(600)')) === 0)
  expect((await sallyport.admin('audit', 'verify')).stdout).toMatch(/^OK: /)
})
