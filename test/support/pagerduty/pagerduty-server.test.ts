import { expect, onTestFinished, test } from 'vitest'
import { startPagerDuty, type PagerDuty } from './pagerduty-server.ts'

// The stand-in refuses what PagerDuty refuses.

interface Scene {
  readonly pagerduty: PagerDuty
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<number>
}

async function scene(): Promise<Scene> {
  const pagerduty = await startPagerDuty()
  onTestFinished(() => pagerduty[Symbol.asyncDispose]())
  pagerduty.user('Ada', 'ada@acme.test')
  return {
    pagerduty,
    async call(method, path, body, headers = {}) {
      const sent = {
        authorization: `Token token=${pagerduty.token}`,
        accept: 'application/vnd.pagerduty+json;version=2',
        from: 'ada@acme.test',
        ...headers,
      }
      const text = body === undefined ? {} : { body: JSON.stringify(body) }
      return (await fetch(`${pagerduty.url}${path}`, { method, headers: sent, ...text })).status
    },
  }
}
const incident = (more: object = {}) => ({
  incident: { type: 'incident', title: 'x', service: { id: 'PSERVICE1', type: 'service_reference' }, ...more },
})

test('a wrong token, no version, a From that is nobody, an unknown service or key, and a second open incident of a key', async () => {
  const { call } = await scene()
  expect(await call('POST', '/incidents', incident({ incident_key: 'k' }), { authorization: 'Token token=x' })).toBe(
    401,
  )
  expect(await call('POST', '/incidents', incident({ incident_key: 'k' }), { accept: 'application/json' })).toBe(400)
  expect(await call('POST', '/incidents', incident({ incident_key: 'k' }), { from: 'eve@acme.test' })).toBe(400)
  expect(await call('POST', '/incidents', incident({ service: { id: 'PX', type: 'service_reference' } }))).toBe(400)
  expect(await call('POST', '/incidents', incident({ requester: 'ada' }))).toBe(400)
  expect(await call('POST', '/incidents', incident({ incident_key: 'k' }))).toBe(201)
  expect(await call('POST', '/incidents', incident({ incident_key: 'k' }))).toBe(400)
})

test('an incident that is resolved already, an empty note, pages that are too large, and ranges without times', async () => {
  const { call, pagerduty } = await scene()
  await call('POST', '/incidents', incident())
  const path = `/incidents/${pagerduty.only().id}`
  const resolved = { incident: { type: 'incident_reference', status: 'resolved' } }
  expect(await call('PUT', path, resolved)).toBe(200)
  expect(await call('PUT', path, resolved)).toBe(400)
  expect(await call('POST', `${path}/notes`, { note: { content: '' } })).toBe(400)
  expect(await call('GET', '/users?limit=100&offset=9950')).toBe(400)
  expect(await call('GET', '/oncalls')).toBe(400)
  expect(await call('GET', '/schedules/PX/overrides')).toBe(400)
  expect(await call('GET', '/incidents/PNONE')).toBe(404)
})

test('events: an unknown key, a summary that is too long or missing; the same dedup key is one alert', async () => {
  const { call, pagerduty } = await scene()
  const payload = { summary: 'x', source: 's', severity: 'info' }
  const event = (more: object = {}) => ({
    routing_key: pagerduty.routingKey,
    event_action: 'trigger',
    dedup_key: 'k',
    payload,
    ...more,
  })
  expect(await call('POST', '/v2/enqueue', event({ routing_key: 'x'.repeat(32) }))).toBe(400)
  expect(await call('POST', '/v2/enqueue', event({ payload: { ...payload, summary: 'x'.repeat(1025) } }))).toBe(400)
  expect(await call('POST', '/v2/enqueue', event({ payload: undefined }))).toBe(400)
  expect(await call('POST', '/v2/enqueue', event({ payload: { ...payload, severity: 'bad' } }))).toBe(400)
  expect(await call('POST', '/v2/enqueue', event())).toBe(202)
  expect(await call('POST', '/v2/enqueue', event())).toBe(202)
  expect(await call('POST', '/v2/enqueue', event({ event_action: 'resolve', payload: undefined }))).toBe(202)
  expect([...pagerduty.alerts.values()]).toMatchObject([{ key: 'k', state: 'resolved' }])
})

test('a webhook that is refused three times in a row is switched off until it is enabled again', async () => {
  const { call, pagerduty } = await scene()
  const subscription = pagerduty.subscribe('http://nobody.test')
  pagerduty.post = () => Promise.resolve(401)
  for (let time = 0; time < 3; time++) await pagerduty.deliver(subscription, '{}')
  expect(subscription.temporarilyDisabled).toBe(true)
  expect(await pagerduty.deliver(subscription, '{}')).toBe(0)
  expect(await call('POST', `/webhook_subscriptions/${subscription.id}/enable`)).toBe(200)
  expect(subscription.temporarilyDisabled).toBe(false)
})
