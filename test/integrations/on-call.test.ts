// "The on-call engineer may have `dba` for one hour at once, and everyone is told", with the real daemon and PagerDuty's API.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { startPagerDuty, type PagerDuty, type PagerDutyUser } from '../support/pagerduty/pagerduty-server.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { tempFolder } from '../support/temp-folder.ts'

const HOUR = 3_600_000
const PRIMARY = 'PPRIMARY'
const folder = tempFolder('on-call-policies')
let pagerduty: PagerDuty
let sallyport: Sallyport
let alice: Account
let onDuty: PagerDutyUser

const integration = (more: object = {}) => ({
  kind: 'integration',
  version: 'v1',
  metadata: { name: 'pagerduty' },
  spec: {
    vendor: 'pagerduty',
    account: 'acme',
    mode: 'incidents',
    api_url: pagerduty.url,
    events_url: pagerduty.url,
    from: 'sallyport@acme.test',
    oncall: { primary: { schedule: PRIMARY }, escalated: { escalation_policy: 'PPOLICY1', max_level: 2 } },
    match_email: true,
    allow_networks: ['127.0.0.0/8'],
    deliver: [{ roles: ['*'], channels: [pagerduty.service] }],
    secrets: { api_token: pagerduty.token },
    ...more,
  },
})

beforeAll(async () => {
  mkdirSync(folder.path, { recursive: true, mode: 0o755 })
  writeFileSync(
    join(folder.path, 'second-line.ts'),
    `import { abstain, approve, limit, oncall, type Policy } from '@sallyport/sdk/policy'
    export const verdicts = ['approve', 'limit', 'abstain']
    const policy: Policy = (facts) => {
      if (!facts.request.roles.includes('web-admin')) return abstain()
      const shift = oncall(facts, 'escalated')
      return shift ? [approve('second line'), limit(\`\${shift.minutes}m\`)] : abstain()
    }
    export default policy`,
    { mode: 0o644 },
  )
  pagerduty = await startPagerDuty()
  pagerduty.user('Sallyport', 'sallyport@acme.test')
  // Somebody else whose address holds hers, as the search of PagerDuty finds it.
  pagerduty.user('Malice', 'malice.alice@acme.test.evil.test')
  onDuty = pagerduty.user('Alice', 'Alice@acme.test')
  sallyport = await startSallyport({ config: { policies: folder.path } })
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('web-admin', { logins: [sallyport.login], node_labels: { service: 'web' } })
  await role('engineer', { request: { roles: ['dba', 'web-admin'], max_duration: '4h' } })
  await role('dba-reviewer', { review_requests: { roles: ['*'] } })
  await sallyport.user('alice', ['engineer'], {}, 'alice@acme.test')
  await sallyport.user('bob', ['dba-reviewer'])
  alice = await sallyport.signIn('alice')
  await sallyport.document(integration())
  await sallyport.document({
    kind: 'review_rule',
    version: 'v1',
    metadata: { name: 'on-call-dba' },
    spec: {
      roles: ['dba'],
      condition: 'oncall("primary") && request.duration <= duration("1h")',
      decision: 'approve',
      decides: true,
      reason: 'on call',
    },
  })
})
afterAll(async () => {
  await sallyport?.stop()
  await pagerduty?.[Symbol.asyncDispose]()
  folder[Symbol.dispose]()
})

beforeEach(() => {
  pagerduty.oncalls.length = 0
  pagerduty.overrides.length = 0
  pagerduty.skewMs = 0
  pagerduty.pageSize = 100
  pagerduty.fault = () => null
})

let number = 0
/** What became of it, and when its access ends. */
async function ask(role = 'dba', duration = '1h'): Promise<{ state: string; left: number; id: string }> {
  number += 1
  const args = [`--roles=${role}`, `--duration=${duration}`, `--reason=incident ${number}`, '--nowait', '--format=json']
  const asked = await alice.sally('request', 'create', ...args)
  const id = /\breq_[0-9a-f-]{36}\b/.exec(asked.stdout)?.[0] ?? asked.stderr
  const { state, grant } = await sallyport.api.showRequest({ params: { id } })
  await alice.sally('request', state === 'pending' ? 'cancel' : 'return', id)
  return { state, id, left: grant ? grant.endsAt - grant.startsAt : 0 }
}
const shift = (from = -HOUR, to = 4 * HOUR, more: object = {}) =>
  pagerduty.shift(onDuty, { schedule: PRIMARY, start: Date.now() + from, end: Date.now() + to, ...more })

test('whoever is on call has the role at once, for the hour, and everybody who follows the service is told', async () => {
  shift()
  const { state, left, id } = await ask()
  expect(state).toBe('approved')
  expect(left).toBe(HOUR)
  const asked = (await sallyport.events({ type: 'access_request.create' })).find(({ request }) => request === id)
  expect(asked?.details).toMatchObject({
    automation: { facts: { oncall: { primary: { on: true, account: onDuty.id } } } },
  })
  const [duty] = Object.values((await sallyport.api.showRequest({ params: { id } })).reviews)
  expect(duty).toMatchObject({ reviewer: 'rule:on-call-dba', decision: 'approve' })
  await expect
    .poll(() => [...pagerduty.incidents.values()].find(({ key }) => key === id))
    .toMatchObject({
      status: 'resolved',
      title: expect.stringContaining('alice asks for dba'),
    })
  expect(pagerduty.problems).toEqual([])
})

test('the access ends with the shift, whatever was asked for', async () => {
  shift(-HOUR, HOUR / 2)
  const { state, left } = await ask()
  expect(state).toBe('approved')
  expect(left).toBeLessThanOrEqual(HOUR / 2)
  expect(left).toBeGreaterThan(HOUR / 2 - 60_000)
})

describe('trap 27: people decide when', () => {
  const cases: [string, () => void][] = [
    ['nobody is on call', () => {}],
    ['the shift is over', () => shift(-2 * HOUR, -HOUR)],
    ['it begins in a moment, or did a moment ago', () => shift(-20_000, HOUR)],
    ['a level-3 team has no shift of this schedule', () => pagerduty.shift(onDuty, { level: 3 })],
    [
      'she put herself on call by an override',
      () => {
        shift()
        pagerduty.override(PRIMARY, onDuty, Date.now() - HOUR, Date.now() + HOUR)
      },
    ],
    [
      'the clocks differ',
      () => {
        shift()
        pagerduty.skewMs = 120_000
      },
    ],
    [
      'PagerDuty does not let us ask',
      () => {
        shift()
        pagerduty.fault = ({ path }) => (path === '/oncalls' ? { status: 429, headers: { 'retry-after': '30' } } : null)
      },
    ],
    [
      'the overrides cannot be read',
      () => {
        shift()
        pagerduty.fault = ({ path }) => (path.endsWith('/overrides') ? { status: 500 } : null)
      },
    ],
  ]
  test.each(cases)('%s', async (_why, prepare) => {
    prepare()
    expect((await ask()).state).toBe('pending')
  })

  test('two accounts have the address, and when only others hold it in theirs', async () => {
    shift()
    const twin = pagerduty.user('Alice', 'alice@ACME.test')
    expect((await ask()).state).toBe('pending')
    pagerduty.users.splice(pagerduty.users.indexOf(twin), 1)
    expect((await ask()).state).toBe('approved')
    pagerduty.users.splice(pagerduty.users.indexOf(onDuty), 1)
    expect((await ask()).state).toBe('pending')
    pagerduty.users.push(onDuty)
  })
})

test('trap 27: a shift on a later page is found', async () => {
  for (let other = 0; other < 3; other++)
    shift(-HOUR, HOUR, { schedule: PRIMARY, policy: `PX${other}`, end: null, start: null })
  shift()
  pagerduty.pageSize = 1
  expect((await ask()).state).toBe('approved')
  const offsets = pagerduty.calls.filter(({ path }) => path === '/oncalls').map(({ query }) => query.get('offset'))
  expect(offsets.slice(-4)).toEqual(['0', '1', '2', '3'])
})

test('trap 19: no address that an answer holds is called', () => {
  expect(pagerduty.calls.map(({ path }) => path)).not.toContain('/latest')
})

test('a policy sees the duty, bounds by its minutes, and without PagerDuty only abstains', async () => {
  pagerduty.shift(onDuty, { schedule: 'PANY', level: 2, start: Date.now() - HOUR, end: Date.now() + HOUR })
  const given = await ask('web-admin', '2h')
  expect(given.state).toBe('approved')
  expect(given.left).toBeLessThanOrEqual(HOUR)
  expect(given.left).toBeGreaterThan(HOUR - 180_000)
  pagerduty.fault = () => ({ status: 500 })
  expect((await ask('web-admin', '2h')).state).toBe('pending')
})

test('trap 20: the token is in no log, event or answer', async () => {
  const shown = JSON.stringify([
    await sallyport.events(),
    (await sallyport.admin('get', 'integration/pagerduty')).stdout,
  ])
  expect(shown).not.toContain(pagerduty.token)
  expect(sallyport.logText()).not.toContain(pagerduty.token)
})
