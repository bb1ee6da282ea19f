// Access that starts when it is used, at an hour, and that gets more time while a shell is open. Side by side: it is mostly waiting.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { approve, ask, granted, openShell } from '../support/granted.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

let sallyport: Sallyport
let alice: Account
let bob: Account

// A role for each test: grants of the one give nothing in the other.
const ROLES = ['used', 'timed', 'long']

beforeAll(async () => {
  sallyport = await startSallyport()
  const sshd = await sallyport.startNode('used-box', { for: 'used' })
  for (const name of ROLES.slice(1)) await sallyport.addNode(`${name}-box`, sshd, { for: name })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  for (const name of ROLES) await role(name, { logins: [sallyport.login], node_labels: { for: name } })
  await role('engineer', { request: { roles: ROLES } })
  await role('reviewer', { review_requests: { roles: ['*'] } })
  await Promise.all([sallyport.user('alice', ['engineer']), sallyport.user('bob', ['reviewer'])])
  ;[alice, bob] = await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob')])
})
afterAll(() => sallyport?.stop())

const grantOf = async (request: string) => {
  const { grant } = await sallyport.api.showRequest({ params: { id: request } })
  if (!grant) throw new Error(`${request} has no grant`)
  return grant
}

test.concurrent('the clock of a grant starts with the first connection, and a second one reads its end', async () => {
  const request = await granted(alice, 'used', [bob], '--duration=20s', '--start=first-use')
  const shown = await alice.sally('request', 'show', request)
  expect(shown.stdout).toMatch(/for 20s from its first use/)
  expect(await grantOf(request)).toMatchObject({ state: 'scheduled' })

  const { terminal } = await openShell(alice, 'used-box')
  const grant = await grantOf(request)
  expect(grant).toMatchObject({ state: 'active', useBy: null })
  expect(grant.endsAt - grant.startsAt).toBe(20_000)
  expect((await alice.ssh('used-box', 'true')).code).toBe(0)
  expect(await terminal.exitStatus({ within: 60_000 })).toBe(255)
  await terminal.shows(/^your access \(used\) has expired$/m)

  const events = await sallyport.events({ request })
  expect(events.filter(({ type }) => type === 'grant.schedule')).toHaveLength(1)
  const starts = events.filter(({ type }) => type === 'grant.start')
  expect(starts).toMatchObject([{ actor: { name: 'alice' }, details: { by: 'first use' } }])
  expect((await alice.ssh('used-box', 'true')).stderr).toContain('may not use')
})

test.concurrent('a grant with a start opens nothing before it, and what nobody decided by then has expired', async () => {
  const request = await ask(alice, 'timed', '--duration=1h', '--start=+30s')
  const undecided = await ask(alice, 'timed', '--duration=30m', '--start=+5s')
  await approve(bob, request)
  const early = await alice.ssh('timed-box', 'true')
  expect(early.code).toBe(255)
  expect(early.stderr).toMatch(/Your access \(timed\) starts \d{4}-\d\d-\d\d \d\d:\d\d UTC/)
  expect((await alice.sally('request', 'show', undecided, '--wait')).code).toBe(4)
  expect((await alice.ssh('timed-box', 'true')).code).toBe(255)

  const { startsAt } = await grantOf(request)
  const isIn = async (): Promise<boolean> => (await alice.ssh('timed-box', 'true')).code === 0
  await until('the start of the grant', isIn, { within: 60_000, every: 500 })
  const [session] = await sallyport.events({ type: 'session.start', request })
  expect(session?.time).toBeGreaterThanOrEqual(startsAt)
  await until('the start to be stored', async () => (await sallyport.events({ type: 'grant.start', request }))[0])
})

test.concurrent('an open shell is told of its end, is extended, and outlives the old end', async () => {
  const request = await granted(alice, 'long', [bob], '--duration=75s')
  const { terminal } = await openShell(alice, 'long-box')
  const { endsAt } = await grantOf(request)
  const [, command = ''] = await terminal.shows(/ends in 1 minute, at .* More time: sally (request extend \S+) /, {
    within: 60_000,
  })
  expect(command).toBe(`request extend ${request}`)
  // The requester's message is due when the terminal is told; once the end has moved there is nothing to tell.
  await until('the message', async () => (await sallyport.events({ type: 'grant.notice', request }))[0])
  const args = ['--duration=10m', '--reason=the restore still runs', '--nowait', '--format=json']
  const asked = await alice.sally(...command.split(' '), ...args)
  expect(asked.code).toBe(0)
  const extension = /"(req_[0-9a-f-]{36})"/.exec(asked.stdout)?.[1] ?? ''
  await approve(bob, extension)
  await terminal.shows(/your access \(long\) now ends in 1\d minutes/)

  await until('the old end to pass', () => Date.now() > endsAt + 2000, { within: 90_000 })
  await terminal.type("echo STILL''HERE\r")
  await terminal.shows(/STILLHERE/)
  expect((await grantOf(request)).endsAt).toBe(endsAt + 600_000)
  expect(await sallyport.events({ type: 'grant.extend', request: extension })).toHaveLength(1)
  expect(await sallyport.events({ type: 'grant.notice', request })).toMatchObject([{ details: { minutes: 1 } }])

  expect((await alice.sally('request', 'return', request)).code).toBe(0)
  await terminal.shows(/your access \(long\) was returned by alice/)
  expect(await terminal.exitStatus()).toBe(255)
})
