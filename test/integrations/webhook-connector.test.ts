import { expect, test } from 'vitest'
import type { WebhookSettings } from '../../src/contract/vendors/webhook.ts'
import { outboundFetch } from '../../src/foundation/outbound-fetch.ts'
import type { Connector } from '../../src/notify/connector.ts'
import { webhookConnector } from '../../src/notify/webhook/webhook-connector.ts'
import { aMessageTask, aRequestView, aViewedReview } from '../support/a-request-view.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { webhookReceiver, type Receiver } from '../support/webhook/receiver.ts'

const secretOf = (byte: number): string => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
const [OLD, NEW] = [secretOf(1), secretOf(2)]
const never = new AbortController().signal
const task = aMessageTask({ destination: { channel: 'default', person: null } })

function connectorTo(
  { url }: Pick<Receiver, 'url'>,
  { secrets = [OLD], clock = new ManualClock(Date.now()), allow = ['127.0.0.1/32'], ...more }: Options = {},
): Connector {
  const settings: WebhookSettings = { url, full: false, reviewers: [], ...more }
  const fetch = outboundFetch({ allowNetworks: allow })
  return webhookConnector(connectorParts(settings, { signing_secrets: secrets }, { clock, fetch }))
}
interface Options extends Partial<WebhookSettings> {
  readonly secrets?: string[]
  readonly clock?: ManualClock
  readonly allow?: string[]
}

test('a state keeps its id and its bytes through all attempts; the time that is signed is that of the attempt', async () => {
  await using receiver = await webhookReceiver(OLD)
  const clock = new ManualClock(Date.now() - 200_000)
  const connector = connectorTo(receiver, { clock })
  receiver.answers.push({ status: 500 }, { status: 500 })
  for (const attempt of [1, 2, 3]) {
    await connector.deliver({ ...task, attempt, buttonId: `${attempt}`.repeat(32) }, never).catch(() => {})
    clock.advance(60_000)
  }
  const [first, second, third] = receiver.received
  expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1)
  expect(new Set(receiver.received.map(({ text }) => text)).size).toBe(1)
  expect([second, third].map((each) => (each?.timestamp ?? 0) - (first?.timestamp ?? 0))).toEqual([60, 120])
  expect(new Set(receiver.received.flatMap(({ signatures }) => signatures)).size).toBe(3)
  expect(first?.id).toMatch(/^[A-Za-z0-9_-]+$/)
})

test('another state has another id and names the same message; a line has one, however far its request has come', async () => {
  await using receiver = await webhookReceiver(OLD)
  const connector = connectorTo(receiver)
  const external = await connector.deliver(task, never)
  const view = aRequestView({ state: 'approved', needed: [], decidedAt: Date.UTC(2026, 0, 1, 12) })
  await connector.deliver(aMessageTask({ destination: task.destination, external, view }), never)
  const said = { topic: 'request.reviewed', text: 'bob approved', url: null, at: 0 }
  const states = ['pending', 'approved'] as const
  for (const state of states) {
    const notice = { ...said, request: { state, needed: [] } }
    await connector.deliver(
      aMessageTask({ destination: task.destination, thread: external, onceId: 'line', notice }),
      never,
    )
  }
  const [pending, approved, line, again] = receiver.received.map(({ id, text }) => ({ id, ...JSON.parse(text) }))
  expect(pending.id).not.toBe(approved.id)
  expect(approved).toMatchObject({ type: 'request.approved', timestamp: '2026-01-01T12:00:00.000Z' })
  expect([pending.data.message, approved.data.message]).toEqual([external, external])
  expect(line.id).toBe(again.id)
})

test('while a secret is replaced both sign, the newest first, and whoever knows one of them is content', async () => {
  await using receiver = await webhookReceiver(OLD)
  const connector = connectorTo(receiver, { secrets: [NEW, OLD] })
  await connector.deliver(task, never)
  receiver.secrets = [NEW]
  await connector.deliver(task, never)
  expect(receiver.received.map(({ signatures }) => signatures.length)).toEqual([2, 2])
  expect(receiver.received.flatMap(({ signatures }) => signatures).every((each) => each.startsWith('v1,'))).toBe(true)
  await expect(connectorTo(receiver, { secrets: [OLD] }).deliver(task, never)).rejects.toMatchObject({ kind: 'retry' })
})

test('the body has ids, names and states and is small; reasons and comments are in it only where it is asked for', async () => {
  await using receiver = await webhookReceiver(OLD)
  const view = aRequestView({
    reason: 'secret plan',
    reviews: Array.from({ length: 50 }, () => aViewedReview({ reason: 'secret thought', why: 'secret why' })),
    resources: Array.from({ length: 100 }, (_, index) => ({ kind: 'node' as const, name: `db-${index}` })),
  })
  await connectorTo(receiver).deliver(aMessageTask({ destination: task.destination, view }), never)
  const notice = { topic: 'request.reviewed', text: 'bob: secret thought', url: null, at: 0 }
  await connectorTo(receiver).deliver(aMessageTask({ destination: task.destination, notice }), never)
  expect(receiver.refused).toEqual([])
  for (const { text } of receiver.received) expect(text).not.toContain('secret')
  expect(JSON.parse(receiver.received[0]?.text ?? '')).toMatchObject({
    type: 'request.pending',
    data: { decidable: true },
  })
  await connectorTo(receiver, { full: true }).deliver(aMessageTask({ destination: task.destination, notice }), never)
  expect(receiver.received.at(-1)?.text).toContain('secret thought')
})

test.each([
  [{ status: 410 }, { kind: 'integration' }],
  [
    { status: 429, headers: { 'retry-after': '7' } },
    { kind: 'retry', afterMs: 7000 },
  ],
  [
    { status: 503, headers: { 'retry-after': '120' } },
    { kind: 'retry', afterMs: 120_000 },
  ],
  [{ status: 502 }, { kind: 'retry', afterMs: null }],
  [{ status: 400 }, { kind: 'retry', afterMs: null }],
  [{ status: 404 }, { kind: 'retry', afterMs: null }],
])('an address that answers %j means %j', async (answer, failure) => {
  await using receiver = await webhookReceiver(OLD)
  receiver.answers.push(answer)
  await expect(connectorTo(receiver).deliver(task, never)).rejects.toMatchObject(failure)
})

test('Retry-After may be a date', async () => {
  await using receiver = await webhookReceiver(OLD)
  const clock = new ManualClock(Math.floor(Date.now() / 1000) * 1000)
  const headers = { 'retry-after': new Date(clock.now() + 90_000).toUTCString() }
  receiver.answers.push({ status: 429, headers })
  await expect(connectorTo(receiver, { clock }).deliver(task, never)).rejects.toMatchObject({ afterMs: 90_000 })
})

test('trap 18: a redirection is a failure, and nobody asks where it leads', async () => {
  await using receiver = await webhookReceiver(OLD)
  await using elsewhere = await webhookReceiver(OLD)
  for (const status of [301, 302, 303, 307, 308]) {
    receiver.answers.push({ status, headers: { location: elsewhere.url } })
    await expect(connectorTo(receiver).deliver(task, never)).rejects.toMatchObject({ kind: 'retry' })
  }
  expect([elsewhere.received, elsewhere.refused]).toEqual([[], []])
})

test('trap 18: an address inside a network that is not allowed breaks the integration before anything is sent', async () => {
  await using receiver = await webhookReceiver(OLD)
  const { port } = new URL(receiver.url)
  for (const host of ['127.0.0.1', 'localhost', '0x7f.1', '2130706433', '[::ffff:127.0.0.1]', 'x@127.0.0.1']) {
    const sent = connectorTo({ url: `http://${host}:${port}/` }, { allow: [] }).deliver(task, never)
    await expect(sent).rejects.toMatchObject({ kind: 'integration' })
  }
  expect([receiver.received, receiver.refused]).toEqual([[], []])
})

test('trap 23: an answer of many megabytes or without an end is its status, and nothing is held for it', async () => {
  await using receiver = await webhookReceiver(OLD)
  const connector = connectorTo(receiver)
  receiver.answers.push(
    { status: 200, bytes: 20_000_000 },
    { status: 200, manner: 'drip' },
    { status: 500, manner: 'drip' },
  )
  await connector.deliver(task, never)
  await connector.deliver(task, never)
  await expect(connector.deliver(task, never)).rejects.toMatchObject({ kind: 'retry' })
  expect(receiver.received.length).toBe(3)
})

test('trap 23: an address that says nothing is given up when the attempt’s time is over, and that counts as not known', async () => {
  await using receiver = await webhookReceiver(OLD)
  receiver.answers.push({ status: 200, manner: 'hang' })
  const late = AbortSignal.timeout(300)
  const lost = await connectorTo(receiver)
    .deliver(task, late)
    .catch((error: unknown) => error)
  expect(lost).toBeInstanceOf(Error)
  expect(receiver.received.length).toBe(1)
})

test('trap 20: no secret is in what is sent or said of a failure', async () => {
  await using receiver = await webhookReceiver(NEW)
  const failed = await connectorTo(receiver).deliver(task, never).catch(String)
  expect(failed).not.toContain(OLD.slice(6, 30))
  receiver.secrets = [OLD]
  await connectorTo(receiver, { full: true }).deliver(task, never)
  expect(receiver.received[0]?.text).not.toContain(OLD.slice(6, 30))
})

test('a check is a signed call that says that it is one', async () => {
  await using receiver = await webhookReceiver(OLD)
  expect(await connectorTo(receiver).check([], never)).toMatchObject([{ ok: true }])
  expect(JSON.parse(receiver.received[0]?.text ?? '')).toMatchObject({ type: 'integration.check' })
  receiver.answers.push({ status: 500 })
  expect(await connectorTo(receiver).check([], never)).toMatchObject([{ ok: false }])
})
