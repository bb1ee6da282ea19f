// What a death of the daemon in the midst of a step leaves behind in PagerDuty, what the clock ends, and what must not come of links,
// of another account and of an outage.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Call, Fault } from '../support/pagerduty/house.ts'
import type { PagerDuty, PagerDutyUser } from '../support/pagerduty/pagerduty-server.ts'
import { openPagerDutyStory, PRIMARY, type PagerDutyStory } from '../support/pagerduty/pagerduty-story.ts'
import { linksIn } from '../support/page-visitor.ts'
import { scanLinks } from '../support/scanner-bot.ts'
import { until } from '../support/until.ts'

let house: PagerDutyStory
let story: PagerDutyStory['story']
let pagerduty: PagerDuty
let ada: PagerDutyUser

beforeAll(async () => {
  house = await openPagerDutyStory()
  ;({ story, pagerduty, ada } = house)
})
afterAll(() => house?.[Symbol.asyncDispose]())

/** The call is done, its answer does not arrive, and the daemon dies; `meanwhile` it is dead. */
async function killedDuring(
  method: string,
  path: RegExp,
  step: () => Promise<unknown>,
  meanwhile: () => Promise<unknown> = () => Promise.resolve(),
): Promise<void> {
  const before = pagerduty.held
  let isOver = false
  pagerduty.fault = (call: Call): Fault | null =>
    !isOver && call.method === method && path.test(call.path) ? { hold: true } : null
  const stepped = step().catch(() => {})
  await until(`${method} ${path} to be held`, () => pagerduty.held > before)
  await story.sallyport.kill('SIGKILL')
  isOver = true
  await stepped
  await meanwhile()
  await story.sallyport.restart()
}
const about = (id: string) => [...pagerduty.incidents.values()].filter(({ key }) => key === id)

test('a death between PagerDuty’s yes to an incident and our storing it makes no second one', async () => {
  let id = ''
  await killedDuring('POST', /^\/incidents$/, async () => {
    id = await story.ask('alice', 'dba', 'first')
  })
  const incident = await house.incidentOf(id)
  await killedDuring('POST', /\/notes$/, () => story.review('bob', id))
  await expect.poll(() => incident.status).toBe('resolved')
  await story.settled()
  expect(incident.notes.filter(({ content }) => content.includes('bob approved'))).toHaveLength(1)
  expect(about(id)).toHaveLength(1)
  await story.say('alice', 'return', id)
})

test('nor does one where somebody resolves the incident before the daemon is back', async () => {
  let id = ''
  await killedDuring(
    'POST',
    /^\/incidents$/,
    async () => {
      id = await story.ask('alice', 'dba', 'resolved meanwhile')
    },
    async () => {
      for (const incident of about(id)) incident.status = 'resolved'
    },
  )
  await house.incidentOf(id)
  await story.say('alice', 'cancel', id)
  await story.settled()
  expect(about(id)).toHaveLength(1)
})

test('a death between PagerDuty’s yes to an event and our storing it leaves one alert', async () => {
  let id = ''
  await killedDuring('POST', /enqueue$/, async () => {
    id = await story.ask('alice', 'web', 'event')
  })
  await story.settled()
  expect(pagerduty.alerts.get(id)).toMatchObject({ state: 'triggered' })
  await killedDuring('POST', /enqueue$/, () => story.say('alice', 'cancel', id))
  await story.settled()
  expect(pagerduty.alerts.get(id)).toMatchObject({ state: 'resolved' })
})

test('what nobody answers ends by the clock: its incident and its alert are resolved, also when that came while nobody ran', async () => {
  const soon = await story.ask('alice', 'dba', 'nobody answers', '--pending-for=4s')
  const later = await story.ask('alice', 'web', 'nobody answers either', '--pending-for=9s')
  const incident = await house.incidentOf(soon)
  await expect.poll(() => incident.status).toBe('resolved')
  expect(incident.resolution).toContain('Expired')
  await until('the alert', () => pagerduty.alerts.get(later))
  const { pendingUntil } = await story.request(later)
  await story.sallyport.kill('SIGKILL')
  await until('the time to be over', () => Date.now() > pendingUntil)
  await story.sallyport.restart()
  await expect.poll(() => pagerduty.alerts.get(later)?.state).toBe('resolved')
})

test('trap 24: what was asked while PagerDuty was down is told once, when it is back', async () => {
  pagerduty.fault = () => ({ status: 503 })
  const id = await story.ask('alice', 'dba', 'down')
  await until('a try', () => pagerduty.calls.some(({ body }) => JSON.stringify(body ?? '').includes(id)))
  await story.review('bob', id)
  expect(await story.state(id)).toBe('approved')
  pagerduty.fault = () => null
  const incident = await house.incidentOf(id)
  expect(incident).toMatchObject({ status: 'resolved', resolution: expect.stringContaining('Approved') })
  await story.say('alice', 'return', id)
})

test('trap 17, 21: whoever follows every link of incidents, notes and alerts decides and links nothing; no secret is shown there', async () => {
  const secret = `ghp_${'a1B2c3D4e5F6'.repeat(3)}`
  const [id, event] = [await story.ask('alice', 'dba', `use ${secret}`), await story.ask('alice', 'web', secret)]
  const incident = await house.incidentOf(id)
  await pagerduty.annotate(incident, ada, '/access link alice')
  await until('the page', () => incident.notes.some(({ content }) => content.includes('/link/')))
  const shown = JSON.stringify([incident, pagerduty.alerts.get(event)])
  expect(shown).not.toContain(secret)
  const texts = shown.replaceAll('\\n', ' ')
  const scanned = await scanLinks(linksIn(texts), `https://127.0.0.1:${story.sallyport.port}`)
  expect(scanned.map(({ link }) => new URL(link).pathname.split('/')[1]).toSorted()).toEqual(['link', 'r', 'r'])
  for (const { looks, foreign, pressed } of scanned) {
    expect(new Set(looks)).toEqual(new Set([200]))
    expect(new Set(foreign)).toEqual(new Set([403]))
    for (const status of pressed) expect(status).toBeGreaterThanOrEqual(400)
  }
  expect(story.sallyport.rows('select id from chat_accounts')).toEqual([])
  for (const each of [id, event]) expect(await story.request(each)).toMatchObject({ state: 'pending', reviews: [] })
  await story.linkBy(texts.match(/https:[^\s"]+\/link\/[a-z0-9-]+/)?.[0] ?? '', 'alice')
})

test('trap 5, 27: the account of another subdomain, and of another integration, is a stranger whose shifts do not count', async () => {
  for (const id of pagerduty.incidents.values()) if (await isPending(id.key)) await story.say('alice', 'cancel', id.key)
  await story.sallyport.document({
    kind: 'review_rule',
    version: 'v1',
    metadata: { name: 'on-call-dba' },
    spec: { roles: ['dba'], condition: 'oncall("primary")', decision: 'approve', decides: true },
  })
  pagerduty.shift(ada, { schedule: PRIMARY, start: Date.now() - 3_600_000, end: Date.now() + 7_200_000 })
  const linked = await story.ask('alice', 'dba', 'linked')
  expect(await story.state(linked)).toBe('approved')
  await story.say('alice', 'return', linked)
  await house.connect({ account: 'elsewhere' })
  const renamed = await story.ask('alice', 'dba', 'renamed')
  expect(await story.state(renamed)).toBe('pending')
  await story.say('alice', 'cancel', renamed)
  // The duty moves to an integration where nobody is linked.
  await house.connect({ oncall: {} })
  await story.integration('pagerduty-2', {
    ...{ vendor: 'pagerduty', account: 'acme', api_url: pagerduty.url, events_url: pagerduty.url },
    ...{ oncall: { primary: { schedule: PRIMARY } }, secrets: { api_token: pagerduty.token } },
  })
  expect(await story.state(await story.ask('alice', 'dba', 'elsewhere'))).toBe('pending')
  expect(pagerduty.problems).toEqual([])
})

const isPending = async (id: string): Promise<boolean> => (await story.state(id)) === 'pending'
