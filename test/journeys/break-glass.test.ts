// An emergency at night: alice takes the role herself, everybody who would have been asked is told, and the next time waits.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openShell, type Shell } from '../support/granted.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account
let carol: Account
let request = ''
let shell: Shell

const words = ['request', 'break-glass', '--roles=dba', '--reason=orders are down']

beforeAll(async () => {
  sallyport = await startSallyport()
  await sallyport.startNode('db-box', { service: 'database' })
  await sallyport.role({
    kind: 'role',
    metadata: { name: 'dba' },
    spec: {
      options: { record_session: 'best_effort' },
      allow: { logins: [sallyport.login], node_labels: { service: 'database' } },
    },
  })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('oncall', { request: { break_glass: { roles: ['dba'], max_duration: '30m' } } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await role('keeper', { rules: [{ resources: ['lock'], verbs: ['create'] }] })
  await sallyport.user('alice', ['oncall'])
  await sallyport.user('bob', ['reviewer'])
  await sallyport.user('carol', ['keeper'])
  ;[alice, bob, carol] = (await Promise.all([
    sallyport.signIn('alice', { apps: 3 }),
    sallyport.signIn('bob'),
    sallyport.signIn('carol'),
  ])) as [Account, Account, Account]
})
afterAll(() => sallyport?.stop())

const code = async (account: Account): Promise<string> => `--code=${await account.authenticator?.code()}`

test('1: without the typed names, and without a fresh code, nothing is taken', async () => {
  const unconfirmed = await alice.sally(...words)
  expect(unconfirmed.code).toBe(2)
  expect(unconfirmed.stderr).toContain('--confirm=dba')
  const stale = await alice.sally(...words, '--confirm=dba')
  expect(stale.code).not.toBe(0)
  expect((await alice.ssh('db-box', 'true')).code).toBe(255)
})

test('2: with both the same plain ssh works at once, and every reviewer and administrator has been told before', async () => {
  const taken = await alice.sally(...words, '--confirm=dba', '--format=json', await code(alice))
  expect(taken.stderr).toBe('')
  request = (JSON.parse(taken.stdout) as { id: string }).id
  const { items } = await sallyport.api.listDeliveries({})
  const told = items.filter(({ topic }) => topic === 'request.break_glass')
  expect(told.flatMap(({ body }) => body['to'])).toEqual(['admin', 'bob', 'carol'])
  expect(told[0]?.body).toMatchObject({ request, user: 'alice', reason: 'orders are down' })

  const command = await alice.ssh('db-box', 'echo on $SALLYPORT_TEST_NODE')
  expect(command).toMatchObject({ code: 0, stdout: 'on db-box\n' })
  const [granted] = await sallyport.events({ type: 'access_request.break_glass', request })
  const [started] = await sallyport.events({ type: 'session.start', request })
  expect(granted?.seq).toBeLessThan(started?.seq ?? 0)
  // The role says best_effort; access that nobody was asked for is recorded strictly.
  expect(started?.details?.['mode']).toBe('strict')
})

test('3: it is never extended', async () => {
  const extended = await alice.sally('request', 'extend', request, '--duration=10m', '--reason=more')
  expect(extended.code).not.toBe(0)
  expect(extended.stderr).toContain('never extended')
})

test('4: a reviewer sees it and takes it back: the open shell says so and closes', async () => {
  shell = await openShell(alice, 'db-box')
  const shown = await bob.sally('request', 'show', request)
  for (const part of [
    'taken without asking by alice',
    'orders are down',
    '2 more must look at it',
    'request acknowledge',
  ])
    expect(shown.stdout).toContain(part)
  const revoked = await bob.sallyctl('request', 'revoke', request, '--reason=handled')
  expect(revoked.code).toBe(0)
  await shell.terminal.shows(/^your access \(dba\) was revoked by bob: handled$/m)
  expect(await shell.terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(shell.pid))
})

test('5: the next time comes only after two others have looked, and never after its own user alone', async () => {
  const blocked = await alice.sally(...words, '--confirm=dba', await code(alice))
  expect(blocked.code).toBe(8)
  expect(blocked.stderr).toContain('0 of 2 others have acknowledged')
  expect(blocked.stderr).toContain(`sally request acknowledge ${request}`)
  expect((await alice.sally('request', 'acknowledge', request)).code).toBe(6)
  const first = await bob.sally('request', 'acknowledge', request, '--comment=seen')
  expect(first.code).toBe(0)
  const second = await carol.sally('request', 'acknowledge', request)
  expect(second.stdout).toMatch(/bob: "seen"/)
  const again = await alice.sally(...words, '--confirm=dba', '--format=json', await code(alice))
  expect(again.code).toBe(0)
  expect((await alice.ssh('db-box', 'true')).code).toBe(0)
  const verified = await sallyport.admin('audit', 'verify')
  expect(verified.stdout).toMatch(/^OK: /)
})

test('6: a lock on its user is not passed: the next session is refused', async () => {
  const lock = await sallyport.admin('lock', 'add', '--user=alice', '--message=laptop stolen')
  expect(lock.code).toBe(0)
  const refused = await alice.ssh('db-box', 'true')
  expect(refused.code).toBe(255)
  expect(refused.stderr).toContain('laptop stolen')
})
