import { expect, test } from 'vitest'
import { teamsConnector } from '../../src/notify/teams/teams-connector.ts'
import { aMessageTask, aRequestView, aViewedReview, HOSTILE_TEXTS } from '../support/a-request-view.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'
import { workflowServer, type WorkflowServer } from '../support/teams/workflow-server.ts'

const never = new AbortController().signal
const task = aMessageTask({ destination: { channel: 'platform', person: null } })

const connectorTo = (server: WorkflowServer, url = server.urlOf('platform')) =>
  teamsConnector(connectorParts({}, { workflows: { platform: url } }))

test('a request is a card that opens the page; a decision is a short card more, and the same state is told once', async () => {
  await using server = await workflowServer()
  const connector = connectorTo(server)
  const external = await connector.deliver(task, never)
  expect(server.cards).toMatchObject([{ channel: 'platform', links: ['https://access.example.org/requests/req_1'] }])
  expect(server.cards[0]?.text).toContain('ticket #1234')
  expect(await connector.deliver({ ...task, external }, never)).toBe(external)
  const view = aRequestView({ state: 'denied', needed: [], resolution: 'denied by carol' })
  const denied = aMessageTask({ destination: task.destination, external, view })
  const later = await connector.deliver(denied, never)
  expect(await connector.deliver({ ...denied, external: later }, never)).toBe(later)
  expect(server.cards.map(({ text }) => text.split('\n')[1])).toEqual([
    'Waiting: 2 approvals of "dba team"',
    'Denied: denied by carol',
  ])
})

test('a vote is a card of one line, and one that decides is told on the card of the decision', async () => {
  await using server = await workflowServer()
  const connector = connectorTo(server)
  const thread = await connector.deliver(task, never)
  const vote = (state: 'pending' | 'approved') => {
    const notice = { topic: 'request.reviewed', text: 'bob approved', url: null, at: 0, request: { state, needed: [] } }
    return aMessageTask({ destination: task.destination, thread, notice })
  }
  await connector.deliver(vote('pending'), never)
  await connector.deliver(vote('approved'), never)
  const view = aRequestView({ state: 'approved', needed: [], reviews: [aViewedReview({ reason: 'looks right' })] })
  await connector.deliver(aMessageTask({ destination: task.destination, external: thread, view }), never)
  const [, line, decision, ...more] = server.cards.map(({ text }) => text)
  expect([line, more]).toEqual(['bob approved', []])
  expect(decision).toMatch(/Approved for 1h[^]*bob: .*looks right/)
})

test('trap 15: what people typed is text of a card that Teams takes', async () => {
  await using server = await workflowServer()
  const connector = connectorTo(server)
  for (const reason of HOSTILE_TEXTS)
    await connector.deliver(aMessageTask({ destination: task.destination, view: aRequestView({ reason }) }), never)
  expect(server.refused).toEqual([])
  for (const { links } of server.cards) expect(links).toEqual(['https://access.example.org/requests/req_1'])
})

test.each([
  [
    { status: 429, headers: { 'retry-after': '7' } },
    { kind: 'retry', afterMs: 7000 },
  ],
  [{ status: 502 }, { kind: 'retry', afterMs: null }],
  [{ status: 404 }, { kind: 'destination' }],
  [{ status: 401 }, { kind: 'destination' }],
  [{ status: 413 }, { kind: 'defect' }],
  [{ status: 302, headers: { location: 'http://127.0.0.1:1/' } }, { kind: 'retry' }],
])('a workflow that answers %j means %j', async (outage, failure) => {
  await using server = await workflowServer()
  server.outage = outage
  await expect(connectorTo(server).deliver(task, never)).rejects.toMatchObject(failure)
  expect(server.cards).toEqual([])
})

test('trap 20: the address of a workflow, which is a secret, is in no error and no check', async () => {
  await using server = await workflowServer()
  server.outage = { status: 500 }
  const connector = connectorTo(server)
  const error = await connector.deliver(task, never).catch(String)
  const lines = await connector.check(['platform', 'other'], never)
  expect(`${error}${JSON.stringify(lines)}`).not.toMatch(/signature|127\.0\.0\.1/)
  expect(lines.map(({ ok }) => ok)).toEqual([true, false])
})

test('persons, and channels without a workflow, are not reached', async () => {
  await using server = await workflowServer()
  const connector = connectorTo(server)
  for (const channel of [null, 'other', '__proto__'])
    await expect(connector.deliver({ ...task, destination: { channel, person: null } }, never)).rejects.toMatchObject({
      kind: 'destination',
    })
})

test('the workflow of tests refuses what Teams refuses', async () => {
  await using server = await workflowServer()
  const post = async (body: unknown, url = server.urlOf('platform')): Promise<number> => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })).status
  }
  const card = (block: object) => {
    const content = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.4',
      body: [block],
      actions: [],
    }
    return {
      type: 'message',
      attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content }],
    }
  }
  const run = { type: 'TextRun', text: 'x' }
  const good = card({ type: 'RichTextBlock', inlines: [run] })
  expect(await post(good, server.urlOf('platform').replace('fake-workflow', 'other'))).toBe(401)
  expect(await post({ text: 'x' })).toBe(400)
  expect(await post(card({ type: 'TextBlock', text: '[x](https://evil.example)' }))).toBe(400)
  expect(await post(card({ type: 'RichTextBlock', inlines: [] }))).toBe(400)
  expect(await post(card({ type: 'RichTextBlock', inlines: [{ ...run, text: 'x'.repeat(30_000) }] }))).toBe(413)
  server.gone.add('old')
  expect(await post(good, server.urlOf('old'))).toBe(404)
  server.perMinute = 1
  expect(await post(good)).toBe(202)
  expect(await post(good)).toBe(429)
})
