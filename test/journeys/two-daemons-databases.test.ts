// Two daemons on one PostgreSQL store, and a database that both stand in front of: access is approved at one and used at the other.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPair, type DaemonPair } from '../support/daemon-pair.ts'
import { databaseClient } from '../support/database-client.ts'
import { needProgram } from '../support/need-program.ts'
import { secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run, start, type Finished } from '../support/run.ts'
import type { Account, Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let pair: DaemonPair
let server: PostgresServer
let alice: Account
let bob: Account
let env: Readonly<Record<string, string>>
let request = ''

beforeAll(async () => {
  ;[pair, server] = await Promise.all([startPair(), PostgresServer.start()])
  const { a, b } = pair
  const { items } = await a.api.listAuthorities({})
  const authority = items.find(({ kind }) => kind === 'database-x509')?.public ?? ''
  const { certificatePem } = await secureServer(server, authority)
  await a.document({
    kind: 'database',
    version: 'v1',
    metadata: { name: 'orders', labels: { env: 'prod' } },
    spec: {
      protocol: 'postgres',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { mode: 'verify-full', ca: certificatePem, server_name: 'localhost' },
    },
  })
  const role = (name: string, allow: Record<string, unknown>): Promise<void> =>
    a.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('dba', { db_labels: { env: 'prod' }, db_users: ['bycert'], db_names: ['shop'] })
  await role('engineer', { request: { search_as_roles: ['dba'], roles: ['dba'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await a.user('alice', ['engineer'])
  await b.user('bob', ['reviewer'])
  ;[alice, bob] = [await a.signIn('alice'), await b.signIn('bob')]
  const files = await databaseClient(alice, 'orders')
  const both = join(alice.home, 'both.pem')
  const others = await b.api.ping({})
  writeFileSync(both, `${(await a.api.ping({})).tlsAuthority}\n${others.tlsAuthority}\n`)
  env = {
    ...{ PGHOST: '127.0.0.1', PGUSER: 'bycert', PGDATABASE: 'shop', PGSSLMODE: 'verify-ca', PGSSLROOTCERT: both },
    ...{ PGSSLCERT: files.certificateFile, PGSSLKEY: files.keyFile },
  }
})
afterAll(async () => {
  await pair?.stop()
  await server?.stop()
})

const words = (sql: string): readonly string[] => ['-X', '-A', '-t', '-c', sql]
const at = (daemon: Sallyport) => ({ env: { ...env, PGPORT: String(daemon.port) } })
const psql = (daemon: Sallyport, sql: string): Promise<Finished> => run(needProgram('psql'), words(sql), at(daemon))
const backends = () => server.query('postgres', "select query from pg_stat_activity where usename = 'bycert'")

test('1: asked for at A, approved at B: psql works at both at once', async () => {
  const { a, b } = pair
  expect((await psql(a, 'select 1')).stderr).toContain('alice may not use bycert on orders/shop')
  const asked = await alice.sally(
    ...['request', 'create', '--resource=database/orders', '--db-user=bycert', '--reason=ticket #1', '--nowait'],
  )
  request = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? ''
  expect(await bob.sally('request', 'review', request, '--approve', '--reason=go ahead')).toMatchObject({ code: 0 })
  for (const daemon of [b, a]) {
    await until('the approval to be known', async () => (await psql(daemon, 'select 1')).code === 0)
    expect((await psql(daemon, 'select current_user')).stdout).toBe('bycert\n')
  }
})

test('2: revoked at B while a statement runs through A: it ends there, and is gone from the server within a second', async () => {
  const { a, b } = pair
  const client = start(needProgram('psql'), words('select pg_sleep(600)'), at(a))
  await until('it to run', async () => (await backends()).length === 1)
  expect(await b.admin('request', 'revoke', request, '--reason=enough')).toMatchObject({ code: 0 })
  const { stderr, code } = await client.finished
  expect(code).not.toBe(0)
  expect(stderr).toContain('FATAL:  your access (dba on database/orders) was revoked by local-admin: enough')
  await until('no backend to remain', async () => (await backends()).length === 0)
  const [revoke] = await a.events({ type: 'grant.revoke', request })
  const end = await until('the end to be stored', async () =>
    (await b.events({ type: 'db.session.end', request })).find(({ time }) => time >= (revoke?.time ?? Infinity)),
  )
  expect(end.time - (revoke?.time ?? 0)).toBeLessThanOrEqual(1000)
})

test('3: after it neither lets anybody in, and a login session that is ended at B is worth nothing at A', async () => {
  const { a, b } = pair
  for (const daemon of [a, b]) expect((await psql(daemon, 'select 1')).stderr).toContain('may not use bycert')
  await b.admin('users', 'end-logins', 'alice')
  await until('the certificate to be worth nothing', async () =>
    /login session|signed in|sally login/.test((await psql(a, 'select 1')).stderr),
  )
})
