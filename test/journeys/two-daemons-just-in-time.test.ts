// One user of a PostgreSQL server that sessions on two daemons share: made once, locked when the last of them has ended,
// whichever daemon that was on, and when a daemon is killed without notice.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPair, type DaemonPair } from '../support/daemon-pair.ts'
import { needProgram } from '../support/need-program.ts'
import { secureServer } from '../support/postgres-lab.ts'
import { run, start, type Finished, type RunningProgram } from '../support/run.ts'
import type { Account, Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let pair: DaemonPair
let alice: Account

beforeAll(async () => {
  pair = await startPair({ config: { offline_grace: '2s' } })
  const { a, server } = pair
  const { items } = await a.api.listAuthorities({})
  const authority = items.find(({ kind }) => kind === 'database-x509')?.public ?? ''
  const { certificatePem } = await secureServer(server, authority)
  await server.query(
    'postgres',
    `create role sallyport_jit; create role sallyport_admin login createrole;
     grant pg_signal_backend to sallyport_admin; create role reader`,
  )
  const line = 'hostssl all sallyport_admin,+sallyport_jit 127.0.0.1/32 cert\n'
  appendFileSync(join(server.folder, 'data', 'pg_hba.conf'), line)
  await server.query('postgres', 'select pg_reload_conf()')
  await a.document({
    ...{ kind: 'database', version: 'v1', metadata: { name: 'orders', labels: { env: 'prod' } } },
    spec: {
      protocol: 'postgres',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { mode: 'verify-full', ca: certificatePem, server_name: 'localhost' },
      just_in_time: { admin_user: 'sallyport_admin' },
    },
  })
  const allow = { db_labels: { env: 'prod' }, db_names: ['shop'], db_roles: ['reader'] }
  await a.role({ kind: 'role', metadata: { name: 'reading' }, spec: { allow } })
  await a.user('alice', ['reading'])
  alice = await a.signIn('alice')
  expect(await alice.sally('db', 'login', 'orders', '--db-name=shop')).toMatchObject({ code: 0 })
})

afterAll(() => pair?.stop())

const through = ({ port }: Sallyport, sql: string): readonly [string[], { env: Record<string, string> }] => [
  ['-X', '-A', '-t', `service=orders port=${String(port)}`, '-c', sql],
  { env: { HOME: alice.home, PGSERVICEFILE: `${alice.home}/.pg_service.conf` } },
]
const psql = (daemon: Sallyport, sql: string): Promise<Finished> => run(needProgram('psql'), ...through(daemon, sql))
const startPsql = (daemon: Sallyport, sql: string): RunningProgram =>
  start(needProgram('psql'), ...through(daemon, sql))

const open = async (): Promise<number> =>
  (await pair.server.query('postgres', `select from pg_roles where rolname ~ '^alice_' and rolcanlogin`)).length
const running = (sql: string) =>
  until(`${sql} to run`, async () => {
    const rows = await pair.server.query('postgres', `select from pg_stat_activity where query = '${sql}'`)
    return rows.length === 1
  })

test('1: sessions on both daemons share one user; the end of one leaves it open, the end of the last locks it', async () => {
  const onA = startPsql(pair.a, 'select pg_sleep(600)')
  await running('select pg_sleep(600)')
  const { stdout, stderr } = await psql(pair.b, 'select current_user')
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^alice_/)
  await until('the end of the session on B', async () => (await pair.b.events({ type: 'db.session.end' })).length === 1)
  expect((await psql(pair.b, 'select 1')).stderr).toBe('')
  expect(await open()).toBe(1)
  onA.child.kill('SIGKILL')
  await onA.finished
  await until('it to be locked', async () => (await open()) === 0)
})

test('2: connecting and leaving on both at once, each is let in, and in the end it is locked', async () => {
  const rounds = await Promise.all(
    Array.from({ length: 12 }, async (_, index) => {
      const daemon = index % 2 === 0 ? pair.a : pair.b
      return (await psql(daemon, 'select 1')).stderr + (await psql(daemon, 'select 2')).stderr
    }),
  )
  expect(rounds).toEqual(Array.from({ length: 12 }, () => ''))
  await until('it to be locked', async () => (await open()) === 0)
})

test('3: a daemon is killed without notice: the other one locks what it left, and nothing of its own', async () => {
  const onA = startPsql(pair.a, 'select pg_sleep(601)')
  await running('select pg_sleep(601)')
  await pair.a.kill('SIGKILL')
  await onA.finished
  expect(await open()).toBe(1)
  const onB = startPsql(pair.b, 'select pg_sleep(602)')
  await running('select pg_sleep(602)')
  await until(
    'the session of the dead daemon to be closed',
    async () => (await pair.b.sessions()).some(({ endReason }) => endReason === 'its daemon is gone'),
    { within: 60_000 },
  )
  expect(await open()).toBe(1)
  onB.child.kill('SIGKILL')
  await onB.finished
  await until('it to be locked', async () => (await open()) === 0)
  expect((await pair.b.admin('audit', 'verify')).stdout).toMatch(/^OK: /)
})
