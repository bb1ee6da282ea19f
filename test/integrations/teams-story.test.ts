// A request and what becomes of it in a channel of Teams: cards through a workflow. The daemon is killed between the steps.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { workflowServer, type WorkflowServer } from '../support/teams/workflow-server.ts'

let sallyport: Sallyport
let teams: WorkflowServer
let alice: Account
let bob: Account

beforeAll(async () => {
  ;[sallyport, teams] = await Promise.all([startSallyport(), workflowServer()])
  const role = (name: string, allow: Record<string, unknown>, options: object = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  const access = { logins: [sallyport.login], node_labels: { service: 'database' } }
  await role('dba', access)
  await role('root-dba', access, { chat_channels: 'members' })
  await role('engineer', { request: { roles: ['dba', 'root-dba'] } })
  await role('lead', { review_requests: { roles: ['dba', 'root-dba'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['lead'])
  ;[alice, bob] = (await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob', { apps: 2 })])) as [
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

async function ask(role: string): Promise<string> {
  const args = [`--roles=${role}`, '--reason=ticket 77 ${x} @{triggerBody()}', '--nowait', '--format=json']
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
