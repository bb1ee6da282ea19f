// The PostgreSQL server goes away under a real daemon, and comes back.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startFaultHouse, type FaultHouse } from '../support/fault-house.ts'
import { openShell, type Shell } from '../support/granted.ts'
import { PostgresServer } from '../support/postgres.ts'
import { until } from '../support/until.ts'

let server: PostgresServer
let house: FaultHouse
let shell: Shell
let name = ''

beforeAll(async () => {
  server = await PostgresServer.start()
  name = await server.database()
  house = await startFaultHouse({ config: { storage: server.url(name), offline_grace: '5s' } })
})
afterAll(async () => {
  await house?.sallyport.stop()
  await server?.stop()
})

test('a restart of the server within offline_grace costs no session, and the next deed has a new connection', async () => {
  shell = await openShell(house.alice, 'box')
  await server.kill('SIGINT')
  await server.restart()
  await until('the daemon to take deeds again', async () => (await house.alice.ssh('box', 'true')).code === 0)
  await shell.terminal.type("echo STILL''HERE\r")
  await shell.terminal.shows(/STILLHERE/)
})

test('while it is away new access is refused, and the live session ends after offline_grace', async () => {
  await server.kill('SIGQUIT')
  const refused = await house.alice.ssh('box', 'true')
  expect(refused.code).toBe(255)
  expect(refused.stderr).toContain('this access cannot be recorded now, so it is not given')
  await shell.terminal.shows(/the proxy has lost its store/)
  expect(await shell.terminal.exitStatus()).not.toBe(0)
  const listing = await house.sallyport.admin('request', 'ls')
  expect(listing.code).toBe(1)
  expect(listing.stderr).toContain('the database cannot be reached')
})

test('once it is back everything goes on, and what ended meanwhile is stored', async () => {
  await server.restart()
  await until('access to be given again', async () => (await house.alice.ssh('box', 'true')).code === 0)
  const ended = await until('the end of the session to be stored', async () =>
    (await house.sallyport.sessions()).find(({ endReason }) => endReason === 'the proxy has lost its store'),
  )
  expect(ended.endedAt).not.toBeNull()
  const found = await house.sallyport.admin('audit', 'verify')
  expect(found.stdout).toMatch(/^OK/)
})

test('a backend that an administrator ends, and a server made read-only, are told in a sentence', async () => {
  await server.query(
    'postgres',
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport'`,
  )
  await until('the daemon to go on', async () => (await house.alice.ssh('box', 'true')).code === 0)
  await server.query('postgres', `alter database ${name} set default_transaction_read_only to on`)
  await server.query(
    'postgres',
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport'`,
  )
  await until('the daemon to notice', async () => (await house.alice.ssh('box', 'true')).code === 255)
  const refused = await house.sallyport.admin('lock', 'add', '--node=box', '--message=hold')
  expect(`${refused.stdout}${refused.stderr}`).not.toContain('internal')
  await server.query('postgres', `alter database ${name} reset default_transaction_read_only`)
  await server.query(
    'postgres',
    `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'sallyport'`,
  )
  await until('the order to be stored', async () => (await house.sallyport.admin('lock', 'ls')).stdout.includes('hold'))
})
