// Two daemons on one PostgreSQL store behind one name: for a ^C the mysql client opens a connection of its own and says KILL
// QUERY with the id that it was greeted with, which may come to the daemon that does not have the session.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBalancer, type Balancer } from '../support/balancer.ts'
import { startPair, type DaemonPair } from '../support/daemon-pair.ts'
import { databaseClient, type DatabaseClientFiles } from '../support/database-client.ts'
import { PASSWORD } from '../support/database-lab.ts'
import { MariadbServer } from '../support/mariadb.ts'
import { needProgram } from '../support/need-program.ts'
import { run, start, type RunningProgram } from '../support/run.ts'
import type { Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let pair: DaemonPair
let server: MariadbServer
let balancer: Balancer
const files = new Map<string, DatabaseClientFiles>()

beforeAll(async () => {
  ;[pair, server] = await Promise.all([
    startPair({ config: { mysql: { listen: '127.0.0.1:0' } } }),
    MariadbServer.start(),
  ])
  balancer = await startBalancer(mysqlPort(pair.a))
  await server.sql(
    `create database shop; create user app@'%' identified by '${PASSWORD}'; grant all on shop.* to app@'%';`,
  )
  await pair.a.document({
    kind: 'database',
    version: 'v1',
    metadata: { name: 'orders', labels: { env: 'prod' } },
    spec: {
      protocol: 'mysql',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { ca: server.authority.certificatePem, server_name: 'localhost' },
      auth: { kind: 'password', users: [{ name: 'app', password: PASSWORD }] },
    },
  })
  const allow = { db_labels: { env: 'prod' }, db_users: ['app'], db_names: ['shop'] }
  await pair.a.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow } })
  for (const name of ['alice', 'mallory']) {
    await pair.a.user(name, ['dba'])
    files.set(name, await databaseClient(await pair.a.signIn(name), 'orders'))
  }
}, 120_000)

afterAll(async () => {
  await balancer?.[Symbol.asyncDispose]()
  await pair?.stop()
  await server?.stop()
})

function mysqlPort(daemon: Sallyport): number {
  const [port] = daemon.log().flatMap((line) => (typeof line['mysqlPort'] === 'number' ? [line['mysqlPort']] : []))
  if (port === undefined) throw new Error('the daemon does not say where it listens for MySQL')
  return port
}

function options(name: string): readonly string[] {
  const own = files.get(name)
  if (!own) throw new Error(`${name} has no certificate`)
  return [
    ...['--no-defaults', '-h127.0.0.1', `-P${String(balancer.port)}`, '-uapp', '-N', '-B'],
    ...[`--ssl-ca=${own.authorityFile}`, `--ssl-cert=${own.certificateFile}`, `--ssl-key=${own.keyFile}`],
  ]
}

/** Its first connection goes to this daemon. */
function mysql(daemon: Sallyport, sql: string): RunningProgram {
  balancer.to(mysqlPort(daemon))
  return start(needProgram('mariadb'), [...options('alice'), '-e', sql, 'shop'])
}

test.each<[string, () => readonly [Sallyport, Sallyport]]>([
  ['on A, its ^C comes to B', () => [pair.a, pair.b]],
  ['on B, its ^C comes to A', () => [pair.b, pair.a]],
])('the session is %s: the statement is stopped', async (_where, daemons) => {
  const [has, is] = daemons()
  const client = mysql(has, 'select sleep(600)')
  await until('the statement to run', async () => (await server.running('app')).length === 1)
  balancer.to(mysqlPort(is))
  client.child.kill('SIGINT')
  await until('it does not run any more', async () => (await server.running('app')).length === 0)
  const { stdout, stderr } = await client.finished
  expect(stdout + stderr).toMatch(/Ctrl-C -- query killed|Query execution was interrupted/)
})

test('a KILL of an id that nobody was greeted with stops nothing, and is answered on whichever daemon', async () => {
  const client = mysql(pair.a, 'select sleep(600), connection_id()')
  await until('the statement to run', async () => (await server.running('app')).length === 1)
  for (const daemon of [pair.a, pair.b]) {
    balancer.to(mysqlPort(daemon))
    const id = String(0x40000000 + 12_345)
    const { stderr } = await run(needProgram('mariadb'), [...options('mallory'), '-e', `kill query ${id}`, 'shop'])
    expect(stderr).toContain(`ERROR 1094 (HY000) at line 1: Unknown thread id: ${id}`)
  }
  expect((await server.running('app')).length).toBe(1)
  client.child.kill('SIGKILL')
  await until('it does not run any more', async () => (await server.running('app')).length === 0)
})
