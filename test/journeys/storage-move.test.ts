// A house that began on SQLite moves to PostgreSQL: one command, and everybody goes on where they were.
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ask, approve } from '../support/granted.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

let server: PostgresServer
let sallyport: Sallyport
let alice: Account
let bob: Account
let request = ''
let target = ''
let events = 0

beforeAll(async () => {
  server = await PostgresServer.start()
  target = await server.database()
  sallyport = await startSallyport()
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await sallyport.startNode('db-box', { service: 'database' })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', { request: { roles: ['dba'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['reviewer'])
  alice = await sallyport.signIn('alice')
  bob = await sallyport.signIn('bob')
  request = await ask(alice, 'dba')
  await approve(bob, request)
  expect((await alice.ssh('db-box', 'true')).code).toBe(0)
})
afterAll(async () => {
  await sallyport?.stop()
  await server?.stop()
})

const move = (database: string) =>
  run(process.execPath, [
    ...[sallyport.programs.sallyport, 'storage', 'move', `--config=${sallyport.configFile}`],
    `--to=${server.url(database)}`,
  ])

test('a store that a daemon has open is not moved', async () => {
  const moved = await move(target)
  expect(moved.code).toBe(8)
  expect(moved.stderr).toContain('another Sallyport daemon')
})

test('nor is it into a database that holds one already; the old store stays as it was', async () => {
  await sallyport.kill('SIGTERM')
  const full = await server.database()
  const other = await startSallyport({ config: { storage: server.url(full) } })
  await other.stop()
  const moved = await move(full)
  expect(moved.code).toBe(8)
  expect(moved.stderr).toContain('is not empty')
  expect(existsSync(sallyport.database)).toBe(true)
})

test('nor is one that was edited', async () => {
  const { DatabaseSync } = await import('node:sqlite')
  const file = new DatabaseSync(sallyport.database)
  file.exec("update users set email = 'eve@example.com' where name = 'alice'")
  const moved = await move(target)
  expect(moved.code).toBe(9)
  expect(moved.stderr).toContain('not whole')
  file.exec("update users set email = null where name = 'alice'")
  file.close()
})

test('a stopped one is moved in one go, and the old file is kept read-only under another name', async () => {
  const moved = await move(target)
  expect(moved.stderr).toBe('')
  expect(moved.code).toBe(0)
  expect(moved.stdout).toContain('the chain is whole')
  events = Number(/with (\d+) events/.exec(moved.stdout)?.[1])
  expect(existsSync(sallyport.database)).toBe(false)
  expect(statSync(`${sallyport.database}.moved`).mode & 0o777).toBe(0o400)
  expect((await move(target)).stderr).toContain('was moved before')
})

test('the moved store is verified by its URL, against the checkpoints outside', async () => {
  const found = await run(process.execPath, [
    ...[sallyport.programs.sallyctl, 'audit', 'verify', `--database=${server.url(target)}`],
    ...[`--checkpoints=${sallyport.checkpointFile}`, `--recordings=${sallyport.recordingsDir}`],
  ])
  expect(found.stdout).toContain(`${String(events)} events`)
  expect(found.code).toBe(0)
})

test('a daemon on the old configuration does not begin a second history', async () => {
  const started = await sallyport.startBeside()
  expect(started.code).not.toBe(0)
  expect(started.stderr).toContain('this store was moved to postgres://sallyport@127.0.0.1')
})

test('the daemon goes on with it: logins, the grant and the chain are what they were', async () => {
  await sallyport.restart({ storage: server.url(target) })
  expect((await alice.ssh('db-box', 'true')).code).toBe(0)
  expect((await alice.sally('request', 'show', request)).stdout).toContain('approved')
  expect((await sallyport.admin('audit', 'verify')).code).toBe(0)
  expect((await bob.sallyctl('request', 'revoke', request, '--reason=enough')).code).toBe(0)
  expect((await alice.ssh('db-box', 'true')).code).not.toBe(0)
})

test('a move that was cut off between copy and end is found done by the next one', async () => {
  const name = await server.database()
  const second = await startSallyport()
  await second.user('carl')
  await second.kill('SIGTERM')
  const words = [
    second.programs.sallyport,
    'storage',
    'move',
    `--config=${second.configFile}`,
    `--to=${server.url(name)}`,
  ]
  expect((await run(process.execPath, words)).code).toBe(0)
  const { chmodSync, renameSync, rmSync } = await import('node:fs')
  renameSync(`${second.database}.moved`, `${second.database}.moving`)
  chmodSync(`${second.database}.moving`, 0o600)
  rmSync(`${second.database}.moved-to`)
  expect((await second.startBeside()).stderr).toContain('is being moved')
  expect((await run(process.execPath, words)).stderr).toContain('the earlier move had succeeded')
  expect(existsSync(`${second.database}.moved`)).toBe(true)
  // Cut off before the copy was kept: it begins anew.
  renameSync(`${second.database}.moved`, `${second.database}.moving`)
  chmodSync(`${second.database}.moving`, 0o600)
  writeFileSync(`${second.database}.moved-to`, '')
  const empty = await server.database()
  const again = await run(process.execPath, [...words.slice(0, -1), `--to=${server.url(empty)}`])
  expect(again.stderr).toBe('')
  expect(again.code).toBe(0)
  await second.stop()
})
