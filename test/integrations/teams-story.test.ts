// A request and what becomes of it in a channel of Teams: cards through a workflow. The daemon is killed between the steps.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { workflowServer, type WorkflowServer } from '../support/teams/workflow-server.ts'

const ROLES = ['dba', 'late', 'down', 'cut'] as const
let sallyport: Sallyport
let teams: WorkflowServer
let alice: Account
let bob: Account

beforeAll(async () => {
  ;[sallyport, teams] = await Promise.all([startSallyport(), workflowServer()])
  const role = (name: string, allow: Record<string, unknown>, options: object = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  const access = { logins: [sallyport.login], node_labels: { service: 'database' } }
  for (const name of ROLES) await role(name, access)
  await role('root-dba', access, { chat_channels: 'members' })
  await role('engineer', { request: { roles: [...ROLES, 'root-dba'] } })
  await role('lead', { review_requests: { roles: [...ROLES, 'root-dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['lead'])
  ;[alice, bob] = (await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob', { apps: 3 })])) as [
    Account,
    Account,
  ]
  await sallyport.document({
    kind: 'integration',
    metadata: { name: 'teams' },
    spec: {
      vendor: 'teams',
      allow_networks: ['127.0.0.0/8'],
      deliver: [{ channels: ['platform'] }],
      secrets: { workflows: { platform: teams.urlOf('platform') } },
    },
  })
})
afterAll(async () => {
  await sallyport?.stop()
  await teams?.[Symbol.asyncDispose]()
})

const statesTold = (): (string | undefined)[] =>
  teams.cards.filter(({ text }) => text.startsWith('alice asks for')).map(({ text }) => text.split('\n')[1])

async function ask(role: string, ...more: string[]): Promise<string> {
  const args = [`--roles=${role}`, '--reason=ticket 77 ${x} @{triggerBody()}', '--nowait', '--format=json', ...more]
  const asked = await alice.sally('request', 'create', ...args)
  return (JSON.parse(asked.stdout) as { id: string }).id
}

let id = ''
test('1: a request is one card, whose button opens its page', async () => {
  id = await ask('dba')
  await expect.poll(() => teams.cards.length).toBe(1)
  expect(teams.cards[0]?.links).toEqual([expect.stringMatching(new RegExp(`/r/${id}$`))])
  expect(teams.cards[0]?.text).toContain('ticket 77')
  expect(teams.refused).toEqual([])
})

test('2: after a kill nothing is posted again, and the decision is one card more', async () => {
  // What is on its way when the daemon dies is sent again a minute later; here it has been told and stored.
  await expect.poll(() => sallyport.rows("select id from messages where state = 'settled'").length).toBe(1)
  await sallyport.kill('SIGKILL')
  await sallyport.restart()
  const code = `--code=${await bob.authenticator?.code()}`
  await bob.sally('request', 'review', id, '--approve', '--reason=fine', code)
  await expect.poll(statesTold).toEqual([expect.stringMatching(/^Waiting/), expect.stringMatching(/^Approved for/)])
})

/** The lines that cards of this role's requests have on how they stand. */
const statesOf = (role: string): (string | undefined)[] =>
  teams.cards.filter(({ text }) => text.startsWith(`alice asks for ${role}`)).map(({ text }) => text.split('\n')[1])
const approve = async (request: string) => {
  const code = `--code=${await bob.authenticator?.code()}`
  expect((await bob.sally('request', 'review', request, '--approve', '--reason=fine', code)).code).toBe(0)
}

test('3: a request that nobody answers is told to have expired', async () => {
  await ask('late', '--pending-for=4s')
  await expect
    .poll(() => statesOf('late'), { timeout: 60_000 })
    .toEqual([expect.stringMatching(/^Waiting/), expect.stringMatching(/^Expired without a decision/)])
})

test('trap 24: while the workflow fails in every way, requests are decided, and afterwards there is one card of the end', async () => {
  teams.outage = { status: 503 }
  const down = await ask('down')
  await expect
    .poll(
      () => sallyport.rows('select failure from messages where request_id = ? and failure is not null', down).length,
    )
    .toBe(1)
  teams.outage = { status: 429, headers: { 'retry-after': '1' } }
  await approve(down)
  teams.outage = null
  await expect.poll(() => statesOf('down'), { timeout: 60_000 }).toEqual([expect.stringMatching(/^Approved for/)])
})

test('4: killed between the workflow’s post and our noting it, a card may be there twice, and the end is told all the same', async () => {
  teams.silent = true
  const cut = await ask('cut')
  await expect.poll(() => statesOf('cut').length).toBe(1)
  await sallyport.kill('SIGKILL')
  teams.silent = false
  await sallyport.restart()
  await expect
    .poll(() => sallyport.rows("select id from messages where state = 'due'"), { timeout: 60_000 })
    .toEqual([])
  expect(statesOf('cut').length).toBeLessThanOrEqual(2)
  await approve(cut)
  await expect.poll(() => statesOf('cut').filter((state) => state?.startsWith('Approved')).length).toBe(1)
  expect((await sallyport.api.showRequest({ params: { id: cut } })).reviews.length).toBe(1)
})

test('5: a test message is a card', async () => {
  const sent = await sallyport.admin('integration', 'test', 'teams')
  expect([sent.code, sent.stdout.trim()]).toEqual([0, 'delivered  channel:platform'])
  expect(teams.cards.at(-1)?.text).toMatch(/^Test message of Sallyport/)
})

test('trap 22: a role that stays out of channels with guests is not told of where nobody can say who reads', async () => {
  const secret = await ask('root-dba')
  await expect
    .poll(() =>
      sallyport.rows('select failure_kind, failure from messages where request_id = ? and state = ?', secret, 'dead'),
    )
    .toMatchObject([{ failure_kind: 'destination', failure: expect.stringContaining('chat_channels: members') }])
  expect(teams.cards.filter(({ text }) => text.includes('root-dba'))).toEqual([])
})

test('trap 20: the address of the workflow is in no log, event or document', async () => {
  const document = await sallyport.admin('get', 'integration/teams')
  const events = JSON.stringify(await sallyport.events())
  for (const text of [document.stdout, events, sallyport.logText()])
    expect(text).not.toContain('fake-workflow-signature')
  expect(document.stdout).toContain('teams')
})
