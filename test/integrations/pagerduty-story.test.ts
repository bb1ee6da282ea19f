// PagerDuty hears of requests as incidents and as events, tells of notes by signed webhooks, and decides nothing.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callDaemon } from '../support/daemon-page.ts'
import type { PagerDuty, PagerDutyUser, Subscription } from '../support/pagerduty/pagerduty-server.ts'
import { openPagerDutyStory, PRIMARY, type PagerDutyStory } from '../support/pagerduty/pagerduty-story.ts'

let house: PagerDutyStory
let story: PagerDutyStory['story']
let pagerduty: PagerDuty
let ada: PagerDutyUser
let subscription: Subscription

beforeAll(async () => {
  house = await openPagerDutyStory()
  ;({ story, pagerduty, ada, subscription } = house)
})
afterAll(() => house?.[Symbol.asyncDispose]())

test('trap 25: an incident opens with a request, triage decides nothing, votes are notes, and it is resolved with the decision', async () => {
  const id = await story.ask('alice', 'dba', 'see https://evil.test')
  await expect.poll(() => pagerduty.incidents.size).toBe(1)
  await story.settled()
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
  expect(await story.state(id)).toBe('pending')

  await story.killedNow()
  await story.review('bob', id)
  await expect.poll(() => incident.status).toBe('resolved')
  await expect.poll(() => incident.notes.map(({ content }) => content).join()).toContain('bob approved')
  expect(incident.resolution).toContain('Approved')
})

test('an incident that somebody resolved by hand decides nothing, and its end is no fault', async () => {
  const id = await story.ask('alice', 'dba', 'second')
  await expect.poll(() => pagerduty.incidents.size).toBe(2)
  await story.settled()
  const incident = [...pagerduty.incidents.values()].find(({ key }) => key === id)
  if (!incident) throw new Error('there is no incident')
  await pagerduty.setStatus(incident, ada, 'resolved')
  expect(await story.state(id)).toBe('pending')
  await story.say('alice', 'cancel', id)
  await story.settled()
  expect(story.sallyport.rows("select id from messages where state not in ('settled', 'due')")).toEqual([])
})

test('an event is triggered with a request and resolved with its end, under the request’s id', async () => {
  const id = await story.ask('alice', 'web', 'third')
  await expect
    .poll(() => pagerduty.alerts.get(id))
    .toMatchObject({ state: 'triggered', summary: expect.stringContaining('web') })
  await story.settled()
  await story.killedNow()
  await story.say('alice', 'cancel', id)
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
    data: { content: '/access link alice', incident: { id: incident?.id } },
  }
  const body = JSON.stringify({ event })
  const v1 = (text: string, key = secret): string => `v1=${createHmac('sha256', key).update(text).digest('hex')}`
  const send = async (signature: string | null, text = body, from = subscription.id): Promise<number> => {
    const signed = signature === null ? {} : { 'x-pagerduty-signature': signature }
    const headers = { 'content-type': 'application/json', 'x-webhook-subscription': from, ...signed }
    return (await callDaemon('POST', subscription.url, text, headers)).status
  }
  const unnamed = JSON.stringify({
    event: { ...event, id: 'EVENT0', data: { ...event.data, content: '/access link' } },
  })
  const offers = () => story.sallyport.rows('select code_hash from chat_link_offers').length
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
  for (const text of [automatic, old, '{}', 'no json', unnamed]) expect(await send(v1(text), text)).toBe(202)
  expect(offers()).toBe(0)
  expect(await send(`v0=00,${v1(body, 'old')},${good}`)).toBe(202)
  expect(await send(good)).toBe(202)
  expect(offers()).toBe(1)
  expect(incident?.notes.filter(({ content }) => content.includes('/link/'))).toHaveLength(1)
})

test('the linked account’s shift gives the role at once, and parted from it nothing does', async () => {
  await story.sallyport.document({
    kind: 'review_rule',
    version: 'v1',
    metadata: { name: 'on-call-dba' },
    spec: { roles: ['dba'], condition: 'oncall("primary")', decision: 'approve', decides: true },
  })
  pagerduty.shift(ada, { schedule: PRIMARY, start: Date.now() - 3_600_000, end: Date.now() + 7_200_000 })
  const before = await story.ask('alice', 'dba', 'not linked')
  expect(await story.state(before)).toBe('pending')
  const note = [...pagerduty.incidents.values()]
    .flatMap(({ notes }) => notes)
    .find(({ content }) => content.includes('/link/'))
  const url = /https:\S+\/link\/\S+/.exec(note?.content ?? '')?.[0] ?? ''
  await expect(story.linkBy(url, 'bob')).rejects.toThrow('asked to be linked with alice')
  await story.linkBy(url, 'alice')
  const linked = await story.ask('alice', 'dba', 'linked')
  expect(await story.state(linked)).toBe('approved')
  await story.say('alice', 'return', linked)
  const [account] = story.sallyport.rows('select id from chat_accounts where ended_at is null')
  await story.sallyport.api.unlinkChatAccount({ params: { id: String(account?.['id']) } })
  expect(await story.state(await story.ask('alice', 'dba', 'parted'))).toBe('pending')
})

test('trap 25: a webhook that PagerDuty switched off is switched on again', async () => {
  for (let time = 0; time < 3; time++) await pagerduty.deliver({ ...subscription, secrets: ['wrong'] }, '{}')
  subscription.temporarilyDisabled = true
  await story.sallyport.kill('SIGTERM')
  await story.sallyport.restart()
  await expect.poll(() => subscription.temporarilyDisabled).toBe(false)
})

test('trap 19, 20: no address of an answer is called, and no token or secret is told', async () => {
  expect(pagerduty.calls.map(({ path }) => path)).not.toContain('/latest')
  const shown = JSON.stringify([
    await story.sallyport.events(),
    (await story.sallyport.admin('get', 'integration/pagerduty')).stdout,
    story.sallyport.logText(),
  ])
  for (const secret of [pagerduty.token, pagerduty.routingKey, ...subscription.secrets])
    expect(shown).not.toContain(secret)
  expect(pagerduty.problems).toEqual([])
})
