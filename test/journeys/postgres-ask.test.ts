// A refused psql asks within its connection and waits, with a real daemon and real reviewers: how each waiting ends, and what psql
// prints of it.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { approve } from '../support/granted.ts'
import { needProgram } from '../support/need-program.ts'
import { PASSWORD, secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { start, type RunningProgram } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { TestAuthority } from '../support/test-authority.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let server: PostgresServer
let bob: Account

beforeAll(async () => {
  ;[sallyport, server] = await Promise.all([
    startSallyport({ config: { ask_wait: '2m', limits: { waiting_per_user: 3 } } }),
    PostgresServer.start(),
  ])
  const { certificatePem } = await secureServer(server, (await TestAuthority.make('nobody')).certificatePem)
  await sallyport.document({
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
  const role = (name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  await role('dba', { db_labels: { env: 'prod' }, db_users: ['app'], db_names: ['shop'] })
  const asks = { request: { roles: ['dba'], max_duration: '4h' } }
  await role('engineer', asks, { request_on_denied: true })
  await role('quiet', asks)
  const reason = { mode: 'required', prompt: 'Ticket' }
  await role('careful', { request: { roles: ['dba'], max_duration: '4h', reason } }, { request_on_denied: true })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await sallyport.user('bob', ['reviewer'])
  bob = await sallyport.signIn('bob')
}, 120_000)

afterAll(async () => {
  await sallyport?.stop()
  await server?.stop()
})

/** A new person with these roles, whose psql knows the service orders. */
async function person(name: string, roles: readonly string[] = ['engineer']): Promise<Account> {
  await sallyport.user(name, roles)
  const account = await sallyport.signIn(name)
  const login = await account.sally('db', 'login', 'orders', '--db-user=app', '--db-name=shop')
  expect(login.code, login.stderr).toBe(0)
  return account
}

function psql(account: Account, env: Readonly<Record<string, string>> = {}): RunningProgram {
  const args = ['-X', '-A', '-t', '-c', 'select 6 * 7', 'service=orders']
  return start(needProgram('psql'), args, {
    env: { HOME: account.home, PGSERVICEFILE: `${account.home}/.pg_service.conf`, ...env },
  })
}

const REQUEST = /\breq_[0-9a-f-]{36}\b/
const WAITING = /Waiting: 0 of 1 approvals for dba \(any reviewer\); can answer: admin, bob/

async function asked(client: RunningProgram): Promise<string> {
  await client.prints(WAITING)
  return REQUEST.exec(client.stderr())?.[0] ?? ''
}

const linesOf = (stderr: string): string[] =>
  stderr.trimEnd().replaceAll(new RegExp(REQUEST, 'g'), 'REQUEST').split('\n')

const refusal = (name: string): string[] => [
  `sallyport: ${name} may not use app on orders/shop`,
  '  This role would help: dba (app; up to 4h)',
  '  Ask for it:',
  '    sally request create --roles=dba --reason="why you need it" --duration=1h',
]

const backends = () => server.query('postgres', `select pid from pg_stat_activity where usename = 'app'`)
const requests = async (): Promise<number> => (await sallyport.events({ type: 'access_request.create' })).length

test('psql waits, a reviewer approves by command, the query runs; the server is not connected to before', async () => {
  const alice = await person('alice')
  const client = psql(alice)
  const request = await asked(client)
  expect(await backends()).toEqual([])
  expect(await sallyport.sessions()).toEqual([])
  const second = psql(alice)
  await second.prints(new RegExp(`you have asked already \\(${request}\\)`))
  await approve(bob, request)
  const [first, joined] = await Promise.all([client.finished, second.finished])
  expect([first.code, first.stdout, joined.code, joined.stdout]).toEqual([0, '42\n', 0, '42\n'])
  const [why, ...more] = refusal('alice')
  expect(linesOf(first.stderr)).toEqual([
    `NOTICE:  ${why}`,
    ...more,
    'sallyport: asked for dba for 1h (REQUEST)',
    'Seeking request approval... (Ctrl-C leaves the request open)',
    'NOTICE:    Waiting: 0 of 1 approvals for dba (any reviewer); can answer: admin, bob',
    'NOTICE:    bob approved dba: "go ahead"',
    'sallyport: request approved by bob, for 1h',
  ])
  const [created] = await sallyport.events({ type: 'access_request.create', request })
  expect(created).toMatchObject({ actor: { name: 'alice' }, details: { via: 'postgres', reason: '' } })
  expect((await sallyport.sessions()).map((session) => session.requests)).toEqual([[request], [request]])
  expect((await psql(alice).finished).stderr).toBe('')
})

test('a denial ends the waiting with the words of who denied; asking again at once is refused in a line', async () => {
  const carol = await person('carol')
  const client = psql(carol)
  const request = await asked(client)
  expect((await bob.sally('request', 'review', request, '--deny', '--reason=not on a Friday')).code).toBe(0)
  const { code, stdout, stderr } = await client.finished
  expect([code, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/FATAL: {4}bob denied dba: "not on a Friday"\nsallyport: request denied by bob\n/)
  const again = await psql(carol).finished
  expect(again.code).toBe(2)
  expect(again.stderr).toContain('sallyport: this was denied a moment ago; it may be asked for again in')
})

test('a request that its own person cancels ends the waiting', async () => {
  const dave = await person('dave')
  const client = psql(dave)
  const request = await asked(client)
  expect((await dave.sally('request', 'cancel', request)).code).toBe(0)
  const { code, stderr } = await client.finished
  expect(code).toBe(2)
  expect(stderr).toContain('FATAL:  sallyport: request cancelled')
})

test('a lost laptop ends the waiting, and nothing that is approved afterwards lets it in', async () => {
  const erin = await person('erin')
  const client = psql(erin)
  await asked(client)
  expect((await sallyport.admin('lock', 'add', '--user=erin', '--message=laptop lost')).code).toBe(0)
  expect((await client.finished).stderr).toContain('FATAL:  sallyport: the account erin is locked: laptop lost')
  expect(await backends()).toEqual([])
})

test('Ctrl-C and a killed psql leave the request open; the same command waits for it again', async () => {
  const frank = await person('frank')
  const first = psql(frank)
  const request = await asked(first)
  first.child.kill('SIGINT')
  await first.finished
  const second = psql(frank)
  await second.prints(new RegExp(`you have asked already \\(${request}\\)`))
  await second.prints(WAITING)
  second.child.kill('SIGKILL')
  await second.finished
  await approve(bob, request)
  expect(await psql(frank).finished).toMatchObject({ code: 0, stdout: '42\n', stderr: '' })
})

test('three connections of a person wait; the fourth is told so, and there is a place again when one has left', async () => {
  const gina = await person('gina')
  const waiting = [psql(gina), psql(gina), psql(gina)]
  for (const client of waiting) await client.prints(WAITING)
  const fourth = await psql(gina).finished
  expect([fourth.code, fourth.stdout]).toEqual([2, ''])
  expect(fourth.stderr).toContain('FATAL:  sallyport: 3 connections of yours wait for access already')
  waiting[0]?.child.kill('SIGKILL')
  let fifth = psql(gina)
  await until('a place to be free', async () => {
    if (fifth.stderr().match(WAITING)) return true
    if (fifth.child.exitCode !== null) fifth = psql(gina)
    return false
  })
  await approve(bob, await asked(fifth))
  const done = await Promise.all([waiting[1], waiting[2], fifth].map((client) => client?.finished))
  expect(done.map((each) => each?.stdout)).toEqual(['42\n', '42\n', '42\n'])
})

test('a reason that is required comes with the connection; without one psql says how to give it, and nothing is asked', async () => {
  const hugo = await person('hugo', ['careful'])
  const before = await requests()
  const without = await psql(hugo).finished
  expect(without.code).toBe(2)
  expect(without.stderr).toMatch(/NOTICE|FATAL/)
  expect(without.stderr).toContain('a reason is required')
  expect(without.stderr).toContain(String.raw`PGOPTIONS='-c sallyport.reason=why\ you\ need\ it' psql ...`)
  expect(await requests()).toBe(before)
  const client = psql(hugo, { PGOPTIONS: String.raw`-c sallyport.reason=ticket\ 7` })
  const request = await asked(client)
  await approve(bob, request)
  expect((await client.finished).stdout).toBe('42\n')
  const [created] = await sallyport.events({ type: 'access_request.create', request })
  expect(created).toMatchObject({ details: { reason: 'ticket 7' } })
})

test('where the role does not say request_on_denied, the refusal is all there is, and nothing is asked', async () => {
  const ida = await person('ida', ['quiet'])
  const before = await requests()
  const { code, stderr } = await psql(ida).finished
  expect(code).toBe(2)
  expect(stderr).toContain(refusal('ida').join('\n'))
  expect(stderr).not.toContain('NOTICE')
  expect(await requests()).toBe(before)
})

test('nobody decides in time: psql is told how to go on, the request stays, and the same command works once approved', async () => {
  const jack = await person('jack')
  await sallyport.kill()
  await sallyport.restart({ ask_wait: '3s' })
  const client = psql(jack)
  const { code, stderr } = await client.finished
  expect(code).toBe(2)
  const request = REQUEST.exec(stderr)?.[0] ?? ''
  expect(stderr).toContain('FATAL:  sallyport: nobody has decided within 3s; the request stays open')
  expect(stderr).toContain(`    sally request show ${request} --wait`)
  await approve(bob, request)
  expect((await psql(jack).finished).stdout).toBe('42\n')
})
