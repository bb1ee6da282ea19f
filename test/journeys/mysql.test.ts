// A MariaDB database by request: the stock client is refused, asks, works, and is stopped in the middle of a statement.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { databaseClient } from '../support/database-client.ts'
import { MariadbServer } from '../support/mariadb.ts'
import { needProgram } from '../support/need-program.ts'
import { run, start, type Finished, type RunningProgram } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

const PASSWORD = 'nobody types this'

let sallyport: Sallyport
let server: MariadbServer
let alice: Account
let bob: Account
let client: readonly string[]
let request = ''

beforeAll(async () => {
  ;[sallyport, server] = await Promise.all([
    startSallyport({ config: { mysql: { listen: '127.0.0.1:0' } } }),
    MariadbServer.start(),
  ])
  await server.sql(`create database shop; create table shop.orders (id int primary key, what text);
    insert into shop.orders values (1, 'bread'); create user app@'%' identified by '${PASSWORD}'; grant all on shop.* to app@'%';`)
  await sallyport.document({
    kind: 'database',
    version: 'v1',
    metadata: { name: 'orders', labels: { env: 'prod' } },
    spec: {
      protocol: 'mysql',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { mode: 'verify-full', ca: server.authority.certificatePem, server_name: 'localhost' },
      auth: { kind: 'password', users: [{ name: 'app', password: PASSWORD }] },
    },
  })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('shopkeeper', { db_labels: { env: 'prod' }, db_users: ['app'], db_names: ['shop'] })
  await role('engineer', { request: { roles: ['shopkeeper'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['shopkeeper'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['reviewer'])
  ;[alice, bob] = (await Promise.all(['alice', 'bob'].map((name) => sallyport.signIn(name)))) as [Account, Account]
  const files = await databaseClient(alice, 'orders')
  client = [
    ...['--no-defaults', '-h127.0.0.1', `-P${String(files.port)}`, '-uapp', '-N', '-B'],
    ...[`--ssl-ca=${files.authorityFile}`, `--ssl-cert=${files.certificateFile}`, `--ssl-key=${files.keyFile}`],
    '--ssl-verify-server-cert',
  ]
})

afterAll(async () => {
  await sallyport?.stop()
  await server?.stop()
})

const mysql = (...args: readonly string[]): Promise<Finished> => run(needProgram('mariadb'), [...client, ...args])
const startMysql = (...args: readonly string[]): RunningProgram => start(needProgram('mariadb'), [...client, ...args])

test('1: mysql is refused; what it prints names the role that would help and the command that asks for it', async () => {
  const { code, stderr } = await mysql('-e', 'select 1', 'shop')
  expect(code).toBe(1)
  expect(stderr).toBe(
    [
      'ERROR 1045 (28000): sallyport: alice may not use app on orders/shop',
      '  This role would help: shopkeeper (app; up to 4h)',
      '  Ask for it:',
      '    sally request create --roles=shopkeeper --reason="why you need it" --duration=1h\n',
    ].join('\n'),
  )
  expect(await server.threads('app')).toEqual([])
})

test('2: asked and approved, the same command works', async () => {
  const asked = await alice.sally('request', 'create', '--roles=shopkeeper', '--reason=an order is missing', '--nowait')
  request = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
  const reviewed = await bob.sally('request', 'review', request, '--approve', '--reason=go ahead')
  expect(reviewed).toMatchObject({ code: 0 })
  expect(await mysql('-e', 'select what from orders', 'shop')).toMatchObject({ code: 0, stdout: 'bread\n', stderr: '' })
})

test('3: another db user or database is not part of it', async () => {
  const other = await mysql('-e', 'select 1', 'mysql')
  expect(other).toMatchObject({ code: 1, stdout: '' })
  expect(other.stderr).toContain('ERROR 1045 (28000): sallyport:')
  const root = await run(needProgram('mariadb'), [
    ...client.filter((one) => one !== '-uapp'),
    '-uroot',
    '-e',
    'select 1',
    'shop',
  ])
  expect(root.stderr).toContain('ERROR 1045 (28000): sallyport:')
})

test('4: revoked while a statement runs: the client is told, and the server runs nothing of it any more', async () => {
  const sleeping = startMysql('-e', 'select sleep(60)', 'shop')
  await until('the statement runs', async () => (await server.running('app')).length === 1)
  const revoked = await sallyport.admin('request', 'revoke', request, '--reason=enough')
  expect(revoked).toMatchObject({ code: 0 })
  const { code, stderr } = await sleeping.finished
  expect(code).toBe(1)
  const said = 'sallyport: your access (shopkeeper) was revoked by local-admin: enough'
  expect(stderr).toContain(`ERROR 1927 (70100) at line 1: ${said}\n`)
  await until('no thread remains', async () => (await server.threads('app')).length === 0)
  const after = await mysql('-e', 'select 1', 'shop')
  expect(after.stderr).toContain('ERROR 1045 (28000): sallyport: alice may not use app on orders/shop')
})

test('5: the sessions stand in the audit log, and what was asked of the database in their recordings', async () => {
  const started = await sallyport.events({ type: 'db.session.start' })
  expect(started.length).toBe(2)
  await until('both ends are stored', async () => (await sallyport.events({ type: 'db.session.end' })).length === 2)
  const [session] = await sallyport.sessions({})
  const played = await alice.sally('play', session?.id ?? '', '--format=text')
  expect(played.stdout).toContain('select sleep(60)')
})
