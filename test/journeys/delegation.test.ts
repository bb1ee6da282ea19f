// Bob goes on holiday and names dan, who may review nothing himself.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account
let carol: Account
let dan: Account
let delegation = ''

beforeAll(async () => {
  sallyport = await startSallyport()
  await sallyport.startNode('db-box', { service: 'database' })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', {
    request: {
      roles: ['dba'],
      thresholds: [{ name: 'two leads', filter: '"lead" in reviewer.roles', approve: 2, deny: 1 }],
    },
  })
  await role('lead', { review_requests: { roles: ['dba'] } })
  await role('guest', {})
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['lead'])
  await sallyport.user('carol', ['lead'])
  await sallyport.user('dan', ['guest'])
  ;[alice, bob, carol, dan] = (await Promise.all([
    sallyport.signIn('alice'),
    sallyport.signIn('bob', { apps: 3 }),
    sallyport.signIn('carol'),
    sallyport.signIn('dan', { apps: 1 }),
  ])) as [Account, Account, Account, Account]
})
afterAll(() => sallyport?.stop())

const code = async (account: Account): Promise<string> => `--code=${await account.authenticator?.code()}`
const ask = async (reason: string): Promise<string> => {
  const asked = await alice.sally('request', 'create', '--roles=dba', `--reason=${reason}`, '--nowait', '--format=json')
  return (JSON.parse(asked.stdout) as { id: string }).id
}

test('1: bob names dan until a date; an end is mandatory, and dan can name nobody in turn', async () => {
  const endless = await bob.sally('delegation', 'add', '--to=dan', await code(bob))
  expect(endless.code).toBe(2)
  const made = await bob.sally(
    'delegation',
    'add',
    '--to=dan',
    '--until=2d',
    '--reason=holiday',
    '--format=json',
    await code(bob),
  )
  expect(made.stderr).toBe('')
  delegation = (JSON.parse(made.stdout) as { id: string }).id
  for (const account of [bob, dan]) {
    const listed = await account.sally('delegation', 'ls')
    for (const part of [delegation, 'dan', 'bob', 'holiday']) expect(listed.stdout).toContain(part)
  }
  const onward = await dan.sally('delegation', 'add', '--to=alice', '--until=1d', await code(dan))
  expect(onward.code).toBe(6)
})

test('2: dan votes as himself and counts as bob, through the filter that bob passes; the access works', async () => {
  const request = await ask('ticket 1')
  const shown = await alice.sally('request', 'show', request)
  expect(shown.stdout).toMatch(/bob, carol, dan for bob/)
  const first = await dan.sally('request', 'review', request, '--approve', '--reason=fine', await code(dan))
  expect(first.stderr).toBe('')
  expect(first.stdout).toContain('dan (for bob) approved dba')
  expect(first.stdout).toContain('1 of 2 approvals for dba (two leads)')
  const second = await carol.sally('request', 'review', request, '--approve')
  expect(second.stdout).toContain('approved by dan for bob, carol')
  expect(await alice.ssh('db-box', 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
  const [review] = await sallyport.events({ type: 'access_request.review', request })
  expect(review?.actor.name).toBe('dan')
  expect(review?.details?.['onBehalfOf']).toBe(sallyport.rows("SELECT id FROM users WHERE name = 'bob'")[0]?.['id'])
})

test('3: after sally delegation rm what dan voted does not count any more, and he is no reviewer', async () => {
  const request = await ask('ticket 2')
  expect((await dan.sally('request', 'review', request, '--approve', await code(dan))).code).toBe(0)
  expect((await bob.sally('delegation', 'rm', delegation)).code).toBe(0)
  const second = await carol.sally('request', 'review', request, '--approve')
  expect(second.stdout).toMatch(/dan \(for bob\) approved dba.*does not count: delegation_over/)
  expect(second.stdout).toContain('1 of 2 approvals')
  const gone = await dan.sally('request', 'show', request)
  expect(gone.code).toBe(7)
  const last = await bob.sally('request', 'review', request, '--approve')
  expect(last.stdout).toContain('approved by carol, bob')
  expect((await bob.sally('delegation', 'ls')).stdout).toContain('No delegations.')
})
