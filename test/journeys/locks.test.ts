// Locks of all five kinds against a living shell and a new connection: the real daemon, the stock client, a stock sshd.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { granted, openShell } from '../support/granted.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account

beforeAll(async () => {
  sallyport = await startSallyport()
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await sallyport.startNode('db-box', { service: 'database' })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', { request: { roles: ['dba'], max_duration: '4h' } })
  await role('reviewer', { review_requests: { roles: ['dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['reviewer'])
  ;[alice, bob] = (await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob')])) as [Account, Account]
})
afterAll(() => sallyport?.stop())

/** By the daemon's own clock, from the deed to the stored end. */
async function expectEndedWithinASecond(): Promise<void> {
  const [made] = (await sallyport.events({ type: 'lock.create' })).slice(-1)
  await until('the end to be stored', async () => ((await lastEnd()) ?? 0) >= (made?.time ?? Infinity))
  expect(((await lastEnd()) ?? Infinity) - (made?.time ?? 0)).toBeLessThanOrEqual(1000)
}

const lastEnd = async (): Promise<number | undefined> => (await sallyport.events({ type: 'session.end' })).at(-1)?.time

async function lock(option: string, message: string): Promise<string> {
  const added = await sallyport.admin('lock', 'add', option, `--message=${message}`, '--ttl=1h', '--format=json')
  expect(added).toMatchObject({ code: 0 })
  return (JSON.parse(added.stdout) as { readonly id: string }).id
}

const aliceLogin = (): string => {
  const [row] = sallyport.rows(
    "SELECT l.id FROM login_sessions l JOIN users u ON u.id = l.user_id WHERE u.name = 'alice'",
  )
  return String(row?.['id'])
}

test.each([
  ['user', () => '--user=alice'],
  ['role', () => '--role=dba'],
  ['login', () => `--login=${aliceLogin()}`],
  ['node', () => '--node=db-box'],
])(
  'a lock on a %s closes the open shell, refuses new ones with its message, and gives way when it is removed',
  async (kind, option) => {
    await granted(alice, 'dba', [bob], `--reason=for the ${kind}`)
    const shell = await openShell(alice, 'db-box')
    const id = await lock(option(), `held by test of ${kind}`)
    await shell.terminal.shows(new RegExp(`held by test of ${kind}|locked`))
    expect(await shell.terminal.exitStatus()).toBe(255)
    await expectEndedWithinASecond()
    const refused = await alice.ssh('db-box', 'true')
    expect(refused.code).toBe(255)
    expect(refused.stderr).toMatch(/locked/)
    const listed = await sallyport.admin('lock', 'ls')
    expect(listed.stdout).toContain(`held by test of ${kind}`)
    expect((await sallyport.admin('lock', 'rm', id)).code).toBe(0)
    expect(await alice.ssh('db-box', 'true')).toMatchObject({ code: 0 })
  },
)

test('a lock on a request ends its grant for good', async () => {
  for (const { id } of sallyport.rows("SELECT request_id AS id FROM grants WHERE state <> 'ended'"))
    await alice.sally('request', 'return', String(id))
  const request = await granted(alice, 'dba', [bob], '--reason=for the request')
  const shell = await openShell(alice, 'db-box')
  const id = await lock(`--request=${request}`, 'under investigation')
  expect(await shell.terminal.exitStatus()).toBe(255)
  await expectEndedWithinASecond()
  expect((await alice.ssh('db-box', 'true')).code).toBe(255)
  expect((await sallyport.admin('lock', 'rm', id)).code).toBe(0)
  expect((await alice.ssh('db-box', 'true')).code).toBe(255)
  const shown = await sallyport.admin('request', 'show', request, '--format=json')
  expect(JSON.parse(shown.stdout)).toMatchObject({ grant: { state: 'ended', endReason: 'locked' } })
})

test('each lock and each removal is an event', () => {
  const types = sallyport.rows("SELECT type FROM audit_events WHERE type LIKE 'lock.%'").map((row) => row['type'])
  expect(types.filter((type) => type === 'lock.create')).toHaveLength(5)
  expect(types.filter((type) => type === 'lock.delete')).toHaveLength(5)
})
