// The end of access and the client's own cancel, against a real server that works on something.
import { afterAll, beforeAll, beforeEach, expect, suite, test } from 'vitest'
import { needProgram } from '../../support/need-program.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { fieldsOf, message } from '../../support/raw-postgres-client.ts'
import { start, type RunningProgram } from '../../support/run.ts'
import { SilentServer } from '../../support/silent-server.ts'
import { until } from '../../support/until.ts'

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())
  beforeEach(() => {
    lab.control.change = {}
  })

  async function psql(...args: readonly string[]): Promise<RunningProgram> {
    const env = await lab.environment()
    return start(needProgram('psql'), ['-X', ...args], { env: { ...process.env, ...env } })
  }

  const runs = (sql: string) => async (): Promise<boolean> =>
    (await lab.backends()).some((query) => query.includes(sql))

  const END = {
    kind: 'end',
    text: 'your access (dba) was revoked by bob: maintenance',
    endText: '',
    endsAt: null,
    budgetMs: null,
  } as const

  test('a statement that runs is stopped on the server, its client is told why, and no backend is left', async () => {
    const client = await psql('-c', 'select pg_sleep(600)')
    await until('the statement to run', runs('pg_sleep(600)'))
    lab.control.notify(END)
    const ended = await client.finished
    expect(ended.stderr).toContain('FATAL:  your access (dba) was revoked by bob: maintenance')
    expect(ended.code).not.toBe(0)
    await until('the backend to go', async () => (await lab.backends()).length === 0)
  })

  test('what was sent ahead of the end is not run after it', async () => {
    await lab.server.query('shop', 'create table ran (n int); grant all on ran to app')
    using client = await lab.raw()
    const query = (sql: string): Buffer => message('Q', `${sql}\0`)
    client.send(query('select pg_sleep(600)'), query('select pg_sleep(601)'), query('insert into ran values (1)'))
    await until('the statement to run', runs('pg_sleep(600)'))
    lab.control.notify(END)
    await client.closes()
    expect(fieldsOf(await client.gets('E'))).toMatchObject({ S: 'FATAL', C: '57P01', M: END.text })
    await until('the backend to go', async () => (await lab.backends()).length === 0)
    expect(await lab.server.query('shop', 'select * from ran')).toEqual([])
  })

  test('a session that waits in a transaction is ended, too, and its transaction is rolled back', async () => {
    await lab.server.query('shop', 'create table if not exists kept (n int); grant all on kept to app')
    const client = await psql('-A', '-t')
    client.write('begin; insert into kept values (1); select 6 * 7;\n')
    await client.prints(/42/)
    lab.control.notify(END)
    await until('the backend to go', async () => (await lab.backends()).length === 0)
    client.end('select 1;\n')
    expect((await client.finished).stderr).toContain('your access (dba) was revoked by bob')
    expect(await lab.server.query('shop', 'select * from kept')).toEqual([])
  })

  test('in the middle of a large result the client is cut off or told, and no backend is left', async () => {
    using client = await lab.raw()
    client.send(message('Q', "copy (select repeat('x', 100000) from generate_series(1, 1000000)) to stdout\0"))
    await client.gets('d', 10)
    client.socket.pause()
    lab.control.notify(END)
    await until('the backend to go', async () => (await lab.backends()).length === 0)
    client.socket.resume()
    await client.closes()
  })

  test('access that expires ends the session by the clock of the worker itself', async () => {
    lab.control.change = { endsAt: Date.now() + 1500, budgetMs: 1500, endText: 'your access (dba) has expired' }
    const ended = await (await psql('-c', 'select pg_sleep(600)')).finished
    expect(ended.stderr).toContain('FATAL:  your access (dba) has expired')
    await until('the backend to go', async () => (await lab.backends()).length === 0)
  })

  test('a session that is idle for too long is ended, and one whose statement runs is not idle', async () => {
    lab.control.change = { idleMs: 1000 }
    const busy = await (await psql('-A', '-t', '-c', "select pg_sleep(3), 'done'")).finished
    expect(busy.stdout).toContain('done')
    const idle = await psql('-A', '-t')
    idle.write('select 6 * 7;\n')
    await idle.prints(/42/)
    await until('the backend to go', async () => (await lab.backends()).length === 0)
    idle.end('select 1;\n')
    expect((await idle.finished).stderr).toContain('nothing was typed')
  })

  test("psql's ^C stops the statement on the server, and nothing else", async () => {
    const client = await psql('-A', '-t')
    client.write('select pg_sleep(600);\n')
    await until('the statement to run', runs('pg_sleep(600)'))
    client.child.kill('SIGINT')
    await client.prints(/canceling statement due to user request/)
    client.end()
    await client.finished
    await until('the session to end', () => lab.control.ends.has(lab.facts.sessionId))
    expect(lab.control.ends.get(lab.facts.sessionId)?.reason).toBe('client_left')
  })

  test('a client that is killed leaves no statement running', async () => {
    const client = await psql('-c', 'select pg_sleep(600)')
    await until('the statement to run', runs('pg_sleep(600)'))
    client.child.kill('SIGKILL')
    await client.finished
    await until('the backend to go', async () => (await lab.backends()).length === 0)
  })

  test('a client that leaves while the server says nothing is gone at once, and so is the connection to the server', async () => {
    await using silent = await SilentServer.start()
    const before = lab.control.facts.size
    lab.control.change = { database: { ...lab.facts.database, port: silent.port } }
    const client = await psql('-c', 'select 1')
    await until('the server is connected to', () => silent.connections.size === 1)
    expect(lab.control.facts.size).toBe(before + 1)
    client.child.kill('SIGKILL')
    await until('the end is stored', () => lab.control.ends.has(lab.facts.sessionId))
    expect(lab.control.ends.get(lab.facts.sessionId)?.reason).toBe('client_left')
    await until('the server is left', () => silent.connections.size === 0)
  })

  test('a notice about the end that comes near is shown', async () => {
    const client = await psql('-A', '-t')
    client.write('select 6 * 7;\n')
    await client.prints(/42/)
    lab.control.notify({ ...END, kind: 'tell', text: 'sallyport: your access (dba) ends in 5 minutes' })
    client.end('select 7 * 7;\n')
    const ended = await client.finished
    expect(ended.stderr).toContain('NOTICE:  sallyport: your access (dba) ends in 5 minutes')
    expect(ended.stdout).toContain('49')
  })
})
