// Two daemons on one PostgreSQL store behind one name: psql's cancel request is a connection of its own, which may come to the
// daemon that does not have the session.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBalancer, type Balancer } from '../support/balancer.ts'
import { startPair, type DaemonPair } from '../support/daemon-pair.ts'
import { needProgram } from '../support/need-program.ts'
import { PASSWORD, secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { packet, RawPostgresClient } from '../support/raw-postgres-client.ts'
import { start, type RunningProgram } from '../support/run.ts'
import type { Account, Sallyport } from '../support/sallyport.ts'
import { TestAuthority } from '../support/test-authority.ts'
import { until } from '../support/until.ts'

let pair: DaemonPair
let server: PostgresServer
let balancer: Balancer
let alice: Account

beforeAll(async () => {
  ;[pair, server] = await Promise.all([startPair(), PostgresServer.start()])
  balancer = await startBalancer(pair.a.port)
  const { certificatePem } = await secureServer(server, (await TestAuthority.make('nobody')).certificatePem)
  await pair.a.document({
    kind: 'database',
    version: 'v1',
    metadata: { name: 'orders', labels: { env: 'prod' } },
    spec: {
      protocol: 'postgres',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { ca: certificatePem, server_name: 'localhost' },
      auth: { kind: 'password', users: [{ name: 'app', password: PASSWORD }] },
    },
  })
  const allow = { db_labels: { env: 'prod' }, db_users: ['app'], db_names: ['shop'] }
  await pair.a.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow } })
  await pair.a.user('alice', ['dba'])
  alice = await pair.a.signIn('alice')
  const login = await alice.sally('db', 'login', 'orders', '--db-user=app', '--db-name=shop')
  expect(login.code, login.stderr).toBe(0)
}, 120_000)

afterAll(async () => {
  await balancer?.[Symbol.asyncDispose]()
  await pair?.stop()
  await server?.stop()
})

/** Its first connection goes to this daemon. */
function psql(daemon: Sallyport, sql: string): RunningProgram {
  balancer.to(daemon.port)
  return start(needProgram('psql'), ['-X', '-A', '-t', '-c', sql, `service=orders port=${String(balancer.port)}`], {
    env: { HOME: alice.home, PGSERVICEFILE: `${alice.home}/.pg_service.conf` },
  })
}

const running = async (): Promise<string[]> =>
  (await server.query('postgres', `select query from pg_stat_activity where usename = 'app'`)).map(({ query }) =>
    String(query),
  )

test.each<[string, () => readonly [Sallyport, Sallyport]]>([
  ['on A, its ^C comes to B', () => [pair.a, pair.b]],
  ['on B, its ^C comes to A', () => [pair.b, pair.a]],
])('the session is %s: the statement is stopped', async (_where, daemons) => {
  const [has, is] = daemons()
  const client = psql(has, 'select pg_sleep(600)')
  await until('the statement to run', async () => (await running()).includes('select pg_sleep(600)'))
  balancer.to(is.port)
  client.child.kill('SIGINT')
  expect((await client.finished).stderr).toContain('canceling statement due to user request')
  await until('the backend to go', async () => (await running()).length === 0)
})

test('a key that nobody gave out stops nothing, on any daemon', async () => {
  const client = psql(pair.a, "select pg_sleep(1), 'done'")
  await until('the statement to run', async () => (await running()).length === 1)
  using guess = await RawPostgresClient.plain(pair.b.port)
  guess.send(packet(80877102, Buffer.alloc(8, 1)))
  await guess.closes()
  expect(guess.bytes).toHaveLength(0)
  expect((await client.finished).stdout).toBe('|done\n')
})
