// PagerDuty hears of requests as incidents and as events, tells of notes by signed webhooks, and decides nothing.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callDaemon, sendPage } from '../support/daemon-page.ts'
import {
  startPagerDuty,
  type PagerDuty,
  type PagerDutyUser,
  type Subscription,
} from '../support/pagerduty/pagerduty-server.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

const PRIMARY = 'PPRIMARY'
let sallyport: Sallyport
let pagerduty: PagerDuty
let alice: Account
let bob: Account
let ada: PagerDutyUser
let subscription: Subscription

beforeAll(async () => {
  ;[sallyport, pagerduty] = await Promise.all([startSallyport(), startPagerDuty()])
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  for (const name of ['dba', 'web']) await role(name, { logins: [sallyport.login], node_labels: { service: name } })
  await role('engineer', { request: { roles: ['dba', 'web'] } })
  await role('lead', { review_requests: { roles: ['*'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['lead'])
  alice = await sallyport.signIn('alice')
  bob = await sallyport.signIn('bob', { apps: 2 })
  pagerduty.user('Sallyport', 'sallyport@acme.test')
  ada = pagerduty.user('Alice', 'alice@acme.test')
  subscription = pagerduty.subscribe(`https://127.0.0.1:${sallyport.port}/v1/callbacks/pagerduty/events`)
  pagerduty.post = async (url, body, headers) =>
    (await callDaemon('POST', url, body, { 'content-type': 'application/json', ...headers })).status
  const spec = (more: object) => ({
    vendor: 'pagerduty',
    account: 'acme',
    api_url: pagerduty.url,
    events_url: pagerduty.url,
    from: 'sallyport@acme.test',
    allow_networks: ['127.0.0.0/8'],
    ...more,
  })
  const incidents = {
    mode: 'incidents',
    webhook_subscription: subscription.id,
    oncall: { primary: { schedule: PRIMARY } },
    deliver: [{ roles: ['dba'], channels: [pagerduty.service] }],
    secrets: { api_token: pagerduty.token, webhook_secrets: subscription.secrets },
  }
  const events = {
    deliver: [{ roles: ['web'], channels: [pagerduty.service] }],
    secrets: { routing_keys: { [pagerduty.service]: pagerduty.routingKey } },
  }
  for (const [name, more] of [
    ['pagerduty', incidents],
    ['pagerduty-events', events],
  ] as const)
    await sallyport.document({ kind: 'integration', version: 'v1', metadata: { name }, spec: spec(more) })
})
afterAll(async () => {
  await sallyport?.stop()
  await pagerduty?.[Symbol.asyncDispose]()
})

async function ask(role: string, reason: string): Promise<string> {
  const asked = await alice.sally(
    'request',
    'create',
    `--roles=${role}`,
    `--reason=${reason}`,
    '--nowait',
    '--format=json',
  )
  const id = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0]
  if (id === undefined) throw new Error(asked.stderr)
  return id
}
const stateOf = async (id: string): Promise<string> => (await sallyport.api.showRequest({ params: { id } })).state
async function settled(): Promise<void> {
  await expect.poll(() => sallyport.rows("select id from messages where state = 'due'")).toEqual([])
}
async function review(id: string): Promise<void> {
  const code = `--code=${await bob.authenticator?.code()}`
  const done = await bob.sally('request', 'review', id, '--approve', '--reason=read it', code)
  if (done.code !== 0) throw new Error(done.stderr)
}

test('trap 25: an incident opens with a request, triage decides nothing, votes are notes, and it is resolved with the decision', async () => {
  const id = await ask('dba', 'see https://evil.test')
  await expect.poll(() => pagerduty.incidents.size).toBe(1)
  await settled()
  const incident = pagerduty.only()
  expect(incident).toMatchObject({
    key: id,
    title: expect.stringContaining('alice asks for dba'),
    by: 'sallyport@acme.test',
  })
  expect(incident.details).not.toContain('https://evil.test')
  expect(incident.details).toContain(id)
  await pagerduty.setStatus(incident, ada, 'acknowledged')
  await pagerduty.tell('incident.something_new', null, { unknown: true })
  expect(subscription).toMatchObject({ drops: 0, temporarilyDisabled: false })
  expect(await stateOf(id)).toBe('pending')

  await sallyport.kill('SIGKILL')
  await sallyport.restart()
  await review(id)
  await expect.poll(() => incident.status).toBe('resolved')
  await expect.poll(() => incident.notes.map(({ content }) => content).join()).toContain('bob approved')
  expect(incident.resolution).toContain('Approved')
})

test('an incident that somebody resolved by hand decides nothing, and its end is no fault', async () => {
  const id = await ask('dba', 'second')
  await expect.poll(() => pagerduty.incidents.size).toBe(2)
  await settled()
  const incident = [...pagerduty.incidents.values()].find(({ key }) => key === id)
  if (!incident) throw new Error('there is no incident')
  await pagerduty.setStatus(incident, ada, 'resolved')
  expect(await stateOf(id)).toBe('pending')
  await alice.sally('request', 'cancel', id)
  await settled()
  expect(sallyport.rows("select id from messages where state not in ('settled', 'due')")).toEqual([])
})

test('an event is triggered with a request and resolved with its end, under the request’s id', async () => {
  const id = await ask('web', 'third')
  await expect
    .poll(() => pagerduty.alerts.get(id))
    .toMatchObject({ state: 'triggered', summary: expect.stringContaining('web') })
  await settled()
  await sallyport.kill('SIGKILL')
  await sallyport.restart()
  await alice.sally('request', 'cancel', id)
  await expect.poll(() => pagerduty.alerts.get(id)?.state).toBe('resolved')
  expect(pagerduty.alerts.get(id)?.triggers).toHaveLength(1)
})

test('trap 1, 3, 4, 5: of signatures any good v1 counts; forged, foreign and repeated webhooks do nothing', async () => {
  const incident = [...pagerduty.incidents.values()][0]
  const secret = subscription.secrets[0] ?? ''
  const event = {
    id: 'EVENT1',
    event_type: 'incident.annotated',
    occurred_at: new Date().toISOString(),
    agent: { id: ada.id, type: 'user_reference', summary: 'Alice' },
    data: { content: '/access link', incident: { id: incident?.id } },
  }
  const body = JSON.stringify({ event })
  const v1 = (text: string, key = secret): string => `v1=${createHmac('sha256', key).update(text).digest('hex')}`
  const send = async (signature: string | null, text = body, from = subscription.id): Promise<number> => {
    const signed = signature === null ? {} : { 'x-pagerduty-signature': signature }
    const headers = { 'content-type': 'application/json', 'x-webhook-subscription': from, ...signed }
    return (await callDaemon('POST', subscription.url, text, headers)).status
  }
  const offers = () => sallyport.rows('select code_hash from chat_link_offers').length
  const good = v1(body)
  for (const signature of [
    null,
    '',
    'v1=',
    v1(body, 'x'),
    v1(`${body} `),
    good.replace('v1=', 'v0='),
    good.slice(0, -2),
  ])
    expect(await send(signature)).toBe(401)
  expect(await send(good, body, 'POTHER')).toBe(401)
  expect(offers()).toBe(0)
  const automatic = JSON.stringify({ event: { ...event, agent: null } })
  const old = JSON.stringify({ event: { ...event, occurred_at: '2020-01-01T00:00:00Z' } })
  for (const text of [automatic, old, '{}', 'no json']) expect(await send(v1(text), text)).toBe(202)
  expect(offers()).toBe(0)
  expect(await send(`v0=00,${v1(body, 'old')},${good}`)).toBe(202)
  expect(await send(good)).toBe(202)
  expect(offers()).toBe(1)
  expect(incident?.notes.filter(({ content }) => content.includes('/link/'))).toHaveLength(1)
})

test('the linked account’s shift gives the role at once, and parted from it nothing does', async () => {
  await sallyport.document({
    kind: 'review_rule',
    version: 'v1',
    metadata: { name: 'on-call-dba' },
    spec: { roles: ['dba'], condition: 'oncall("primary")', decision: 'approve', decides: true },
  })
  pagerduty.shift(ada, { schedule: PRIMARY, start: Date.now() - 3_600_000, end: Date.now() + 7_200_000 })
  const before = await ask('dba', 'not linked')
  expect(await stateOf(before)).toBe('pending')
  const note = [...pagerduty.incidents.values()]
    .flatMap(({ notes }) => notes)
    .find(({ content }) => content.includes('/link/'))
  const url = /https:\S+\/link\/\S+/.exec(note?.content ?? '')?.[0] ?? ''
  expect((await sendPage(url, { user: 'alice', password: alice.password, code: '' })).text).toContain('is linked')
  const linked = await ask('dba', 'linked')
  expect(await stateOf(linked)).toBe('approved')
  await alice.sally('request', 'return', linked)
  const [account] = sallyport.rows('select id from chat_accounts where ended_at is null')
  await sallyport.api.unlinkChatAccount({ params: { id: String(account?.['id']) } })
  expect(await stateOf(await ask('dba', 'parted'))).toBe('pending')
})

test('trap 25: a webhook that PagerDuty switched off is switched on again', async () => {
  for (let time = 0; time < 3; time++) await pagerduty.deliver({ ...subscription, secrets: ['wrong'] }, '{}')
  subscription.temporarilyDisabled = true
  await sallyport.kill('SIGTERM')
  await sallyport.restart()
  await expect.poll(() => subscription.temporarilyDisabled).toBe(false)
})

test('trap 19, 20: no address of an answer is called, and no token or secret is told', async () => {
  expect(pagerduty.calls.map(({ path }) => path)).not.toContain('/latest')
  const shown = JSON.stringify([
    await sallyport.events(),
    (await sallyport.admin('get', 'integration/pagerduty')).stdout,
    sallyport.logText(),
  ])
  for (const secret of [pagerduty.token, pagerduty.routingKey, ...subscription.secrets])
    expect(shown).not.toContain(secret)
  expect(pagerduty.problems).toEqual([])
})
