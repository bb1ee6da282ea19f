// A refused ssh asks within the connection, with the stock client in a real terminal; approvals come from another process.
import { readFileSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { approve } from '../support/granted.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import type { Terminal } from '../support/terminal.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account

beforeAll(async () => {
  sallyport = await startSallyport({ config: { ask_wait: '1m' } })
  await sallyport.startNode('db-box', { service: 'database' })
  const role = (name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  const reason = { mode: 'required', prompt: 'Ticket, and what you will do' }
  await role('engineer', { request: { roles: ['dba'], max_duration: '4h', reason } }, { request_on_denied: true })
  await role('web', { logins: [sallyport.login], node_labels: { service: 'web' } })
  await role('web-admin', { logins: [sallyport.login, 'root2'], node_labels: { service: 'web' } })
  const search = { search_as_roles: ['web', 'web-admin'], max_duration: '30m' }
  await role('web-engineer', { request: search }, { request_on_denied: true })
  await role('reviewer', { review_requests: { roles: ['dba', 'web*'] } })
  await sallyport.startNode('web-box', { service: 'web' })
  await sallyport.user('gina', ['web-engineer'])
  await sallyport.user('alice', ['engineer'])
  for (const name of ['carol', 'dave', 'erin', 'frank']) await sallyport.user(name, ['engineer'])
  await sallyport.user('bob', ['reviewer'])
  ;[alice, bob] = (await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob')])) as [Account, Account]
})
afterAll(() => sallyport?.stop())

const PROMPT = /Ticket, and what you will do:$/m
const REQUEST = /\breq_[0-9a-f-]{36}\b/

/** Answers the question of a refused ssh; gives the id of the request. */
async function giveReason(terminal: Terminal, reason: string): Promise<string> {
  await terminal.shows(PROMPT)
  await terminal.type(`${reason}\r`)
  const [id] = await terminal.shows(REQUEST)
  await terminal.shows(/Waiting: 0 of 1 approvals for dba \(any reviewer\); can answer: admin, bob$/m)
  return id
}

async function inShell(terminal: Terminal): Promise<void> {
  await terminal.type("PS1=; stty -echo; echo SHE''LL on $SALLYPORT_TEST_NODE\r")
  await terminal.shows(/SHELL on db-box/)
}

const stateOf = async (id: string): Promise<unknown> =>
  JSON.parse((await alice.sally('request', 'show', id, '--format=json')).stdout).state

const deny = (id: string) => bob.sally('request', 'review', id, '--deny', '--reason=not today\nsallyport: all is well')

const lines = async (terminal: Terminal): Promise<string[]> =>
  (await terminal.history())
    .trim()
    .replaceAll(sallyport.login, 'LOGIN')
    .replaceAll(new RegExp(REQUEST, 'g'), 'REQUEST')
    .split('\n')

const REFUSAL = [
  'sallyport: alice may not use db-box',
  '  This role would help: dba (LOGIN; up to 4h)',
  '  Ask for it:',
  '    sally request create --roles=dba --reason="why you need it" --duration=1h',
]
const INVITATION = 'sallyport: to ask for dba for 1h right here, give the reason (Ctrl-C: do not ask)'
const QUESTION = '(+db-box@sallyport) Ticket, and what you will do:'

test('the person is asked why, waits, is told who answers, and is in; a second connection joins and is not asked', async () => {
  await using first = await alice.terminal('ssh', 'db-box')
  const request = await giveReason(first, 'ticket 7: slow query')
  await using second = await alice.terminal('ssh', 'db-box')
  await second.shows(new RegExp(`sallyport: you have asked already \\(${request}\\)`))
  await second.shows(/can answer: admin, bob$/m)
  expect(await second.history()).not.toMatch(PROMPT)
  expect(await sallyport.sessions()).toEqual([])

  await approve(bob, request)
  await Promise.all([inShell(first), inShell(second)])
  expect((await lines(first)).slice(0, 11)).toEqual([
    ...REFUSAL,
    INVITATION,
    `${QUESTION} ticket 7: slow query`,
    'sallyport: asked for dba for 1h (REQUEST)',
    'Seeking request approval... (Ctrl-C leaves the request open)',
    '  Waiting: 0 of 1 approvals for dba (any reviewer); can answer: admin, bob',
    '  bob approved dba: "go ahead"',
    'sallyport: request approved by bob, for 1h',
  ])

  const [created] = await sallyport.events({ type: 'access_request.create', request })
  expect(created).toMatchObject({ actor: { name: 'alice' }, details: { via: 'ssh', reason: 'ticket 7: slow query' } })
  expect(created?.login).toMatch(/^lgn_/)
  const order = (await sallyport.events()).map((event) => event.type)
  expect(order.indexOf('session.start')).toBeGreaterThan(order.indexOf('access_request.approve'))
  const sessions = await sallyport.sessions()
  expect(sessions.map((session) => session.requests)).toEqual([[request], [request]])

  expect((await alice.sally('request', 'return', request)).code).toBe(0)
  expect(await first.exitStatus()).toBe(255)
})

test('Ctrl-C leaves the request open; the same command waits for it again, and ends when it is cancelled', async () => {
  await using first = await alice.terminal('ssh', 'db-box', 'true')
  const request = await giveReason(first, 'ticket 8')
  await first.press('C-c')
  expect(await first.exitStatus()).toBe(130)
  expect(await stateOf(request)).toBe('pending')

  await using second = await alice.terminal('ssh', 'db-box', 'true')
  await second.shows(/you have asked already/)
  await second.shows(/can answer: admin, bob$/m)
  expect((await alice.sally('request', 'cancel', request)).code).toBe(0)
  expect(await second.exitStatus()).toBe(255)
  await second.shows(/^sallyport: request cancelled/m)
  await second.shows(/^Received disconnect from .*:14: sallyport: request cancelled/m)
})

test('a lost login ends the waiting, and nothing that was approved afterwards lets it in', async () => {
  await using terminal = await alice.terminal('ssh', 'db-box', 'true')
  const request = await giveReason(terminal, 'ticket 9')
  const lock = await sallyport.admin('lock', 'add', '--user=alice', '--message=laptop lost', '--format=json')
  expect(await terminal.exitStatus()).toBe(255)
  await terminal.shows(/^sallyport: the account alice is locked: laptop lost$/m)
  const { id } = JSON.parse(lock.stdout) as { readonly id: string }
  expect((await sallyport.admin('lock', 'rm', id)).code).toBe(0)
  expect((await alice.sally('request', 'cancel', request)).code).toBe(0)
})

test.each<[string, readonly string[]]>([
  ['BatchMode', ['-o', 'BatchMode=yes']],
  ['PreferredAuthentications=publickey', ['-o', 'PreferredAuthentications=publickey']],
  ['KbdInteractiveAuthentication=no, as ansible says', ['-o', 'KbdInteractiveAuthentication=no']],
])('%s in a terminal: the plain refusal, and nothing is asked', async (_name, options) => {
  const before = (await sallyport.events({ type: 'access_request.create' })).length
  await using terminal = await alice.terminal('ssh', ...options, 'db-box', 'true')
  expect(await terminal.exitStatus()).toBe(255)
  expect((await lines(terminal)).slice(0, 5)).toEqual([
    ...REFUSAL,
    expect.stringMatching(/Permission denied \(keyboard-interactive\)\.$/),
  ])
  expect(await sallyport.events({ type: 'access_request.create' })).toHaveLength(before)
})

test('without a terminal nobody can be asked: the plain refusal, and nothing is asked or hangs', async () => {
  const before = (await sallyport.events({ type: 'access_request.create' })).length
  const done = await alice.ssh('db-box', 'true')
  expect(done.code).toBe(255)
  expect(done.stderr).toContain('sally request create --roles=dba')
  expect(done.stderr).toContain('sallyport: nothing was asked')
  expect(await sallyport.events({ type: 'access_request.create' })).toHaveLength(before)
})

test('a denial ends the waiting with the words of who denied; asking again at once is refused in a line', async () => {
  await using terminal = await alice.terminal('ssh', 'db-box')
  const request = await giveReason(terminal, 'ticket 10')
  expect((await deny(request)).code).toBe(0)
  expect(await terminal.exitStatus()).toBe(255)
  // What the reviewer wrote has no line of its own.
  await terminal.shows(/^ {2}bob denied dba: "not today sallyport: all is well"$/m)
  await terminal.shows(/^sallyport: request denied by bob$/m)

  await using again = await alice.terminal('ssh', 'db-box')
  await again.shows(PROMPT)
  await again.type('please\r')
  expect(await again.exitStatus()).toBe(255)
  await again.shows(/^sallyport: this was denied a moment ago; it may be asked for again in/m)
})

test('stock scp in a terminal asks, waits and copies; its output is its own', async () => {
  const frank = await sallyport.signIn('frank')
  const target = `/tmp/sallyport-copied-${process.pid}`
  await using terminal = await frank.terminal('scp', '/etc/hostname', `db-box:${target}`)
  const request = await giveReason(terminal, 'ticket 14')
  await approve(bob, request)
  expect(await terminal.exitStatus()).toBe(0)
  expect(readFileSync(target, 'utf8')).toBe(readFileSync('/etc/hostname', 'utf8'))
  rmSync(target)
})

test('where only the server itself may be asked for, that is what is asked, for the login that was named', async () => {
  const gina = await sallyport.signIn('gina')
  await using terminal = await gina.terminal('ssh', `${sallyport.login}@web-box`, 'echo on $SALLYPORT_TEST_NODE')
  await terminal.shows(/^sallyport: to ask for node\/web-box for 30m right here/m)
  await terminal.shows(/Others that would help: node\/web-box by web-admin/)
  await terminal.shows(/Reason \(- for none\):$/m)
  await terminal.type('-\r')
  const [request] = await terminal.shows(REQUEST)
  await approve(bob, request)
  await terminal.shows(/^on web-box$/m)
  expect(await terminal.exitStatus()).toBe(0)
  const shown = JSON.parse((await gina.sally('request', 'show', request, '--format=json')).stdout)
  expect(shown).toMatchObject({
    kind: 'resource',
    reason: '',
    roles: ['web'],
    resources: [{ kind: 'node', name: 'web-box' }],
    narrowing: { login: sallyport.login },
  })
})

test('sally ssh in a terminal asks by itself, shows who can answer, and runs ssh when it is approved', async () => {
  const dave = await sallyport.signIn('dave')
  await using terminal = await dave.terminal('sally', 'ssh', 'db-box')
  await terminal.shows(/Ask for dba \(\S+; up to 4h\)\?/)
  await terminal.press('y')
  await terminal.shows(/Ticket, and what you will do/)
  await terminal.type('ticket 12\r')
  await terminal.shows(/For how long\? Up to 4h; Enter for 1h/)
  await terminal.type('2h\r')
  const [, request = ''] = await terminal.shows(/Seeking request approval\.\.\. \((req_[0-9a-f-]{36})\)/)
  await terminal.shows(/^\d:\d\d {2}0 of 1 approvals for dba \(any reviewer\); can answer: admin, bob$/m)
  // Drawn in its place: the second that has passed does not make a second line.
  await terminal.shows(/^0:0[2-9] {2}0 of 1/m)
  expect((await terminal.history()).match(/0 of 1 approvals/g)).toHaveLength(1)
  await approve(bob, request)
  await terminal.shows(/^Request approved: approved by bob$/m)
  await inShell(terminal)
  await terminal.type('exit 3\r')
  expect(await terminal.exitStatus()).toBe(3)
  const [created] = await sallyport.events({ type: 'access_request.create', request })
  expect(created).toMatchObject({ details: { via: 'api', durationMs: 7_200_000 } })
  expect((await dave.sally('request', 'return', request)).code).toBe(0)
})

test('sally ssh: Ctrl-C leaves the request open; the same command waits for it, and a denial ends it', async () => {
  const dave = await sallyport.signIn('dave')
  await using first = await dave.terminal('sally', 'ssh', '--reason=ticket 13', '--duration=1h', 'db-box', 'true')
  await first.shows(/Ask for dba/)
  await first.press('y')
  const [, request = ''] = await first.shows(/Seeking request approval\.\.\. \((req_[0-9a-f-]{36})\)/)
  await first.shows(/can answer: admin, bob$/m)
  await first.press('C-c')
  await first.shows(/the request stays open\. To go on: sally ssh db-box true$/m)
  expect(await first.exitStatus()).not.toBe(0)

  await using second = await dave.terminal('sally', 'ssh', 'db-box', 'true')
  await second.shows(new RegExp(`you have asked already: ${request}`))
  expect((await deny(request)).code).toBe(0)
  expect(await second.exitStatus()).toBe(3)
  await second.shows(/^Request denied: denied by bob$/m)
})

test('sally scp --request without a terminal asks, waits in plain lines and copies', async () => {
  const erin = await sallyport.signIn('erin')
  const target = `/tmp/sallyport-asked-${process.pid}`
  const copying = erin.start('sally', 'scp', '--request', '--reason=nightly', '/etc/hostname', `db-box:${target}`)
  const [, request = ''] = await copying.prints(/Seeking request approval\.\.\. \((req_[0-9a-f-]{36})\)/)
  await approve(bob, request)
  const done = await copying.finished
  rmSync(target, { force: true })
  expect(done).toMatchObject({ code: 0, stdout: '' })
  expect(done.stderr).toContain('bob approved dba: "go ahead"\n')
  expect(done.stderr).not.toContain('\u001b')
})

test('nobody decides in time: the connection ends, the request stays, and the same command works once it is approved', async () => {
  await sallyport.kill()
  await sallyport.restart({ ask_wait: '3s' })
  const carol = await sallyport.signIn('carol')
  await using terminal = await carol.terminal('ssh', 'db-box', 'true')
  const request = await giveReason(terminal, 'ticket 11')
  expect(await terminal.exitStatus()).toBe(255)
  await terminal.shows(/^sallyport: nobody has decided within 3s; the request stays open$/m)
  await terminal.shows(new RegExp(`^ {4}sally request show ${request} --wait$`, 'm'))
  await approve(bob, request)
  expect((await carol.ssh('db-box', 'true')).code).toBe(0)
})
