import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import type { OnCallFact } from '../../contract/policy.ts'
import { ReviewRuleDocument } from '../../contract/review-rule.ts'
import { conditionProblem } from '../../identity/conditions.ts'
import { SYSTEM } from '../../identity/doer.ts'
import type { OnCallBasis } from './on-call.ts'
import { putReviewRule } from './review-rules.ts'

let world: AccessWorld
/** What PagerDuty would say, and what it was asked */
let oncall: Record<string, OnCallFact>
let bases: OnCallBasis[]

beforeEach(async () => {
  world = await AccessWorld.open()
  bases = []
  world.asker = {
    ask(question) {
      if (question.onCall) bases.push(question.onCall)
      return Promise.resolve({ question: { ...question, facts: { ...question.facts, oncall } }, judgements: new Map() })
    },
  }
  await world.role('dba', { allow: { logins: ['root'] } })
  await world.role('engineer', { allow: { request: { roles: ['dba'], max_duration: '8h' } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['engineer'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

const until = (ms: number): void => {
  oncall = { primary: { on: true, until: world.clock.now() + ms, account: 'PALICE1' } }
}

async function rule(name: string, spec: object): Promise<void> {
  const document = ReviewRuleDocument.parse({
    kind: 'review_rule',
    metadata: { name },
    spec: { roles: ['dba'], ...spec },
  })
  await putReviewRule(world, SYSTEM, document, true)
}
const atOnce = (condition = 'oncall("primary") && request.duration <= duration("1h")') =>
  rule('on-call', { condition, decision: 'approve', decides: true, reason: 'on call' })
const ask = (duration = HOUR, more: { start?: { at: 'first-use' } } = {}) =>
  world.ask('alice', ['dba'], { duration, ...more })

describe('a rule for whoever is on call', () => {
  test('gives the role at once, and the facts document says whose shift it was', async () => {
    await atOnce()
    until(4 * HOUR)
    const given = await ask()
    expect(given).toMatchObject({ state: 'approved', resolution: 'approved by rule:on-call: on call' })
    expect(given.grant?.endsAt).toBe(world.clock.now() + HOUR)
    const approval = (await world.events()).find(({ type }) => type === 'access_request.approve')
    expect(approval?.details['automation']).toMatchObject({
      facts: { oncall: { primary: { on: true, account: 'PALICE1' } } },
    })
    expect(bases).toMatchObject([{ userId: 'usr_alice', duties: ['primary'], accounts: [] }])
  })

  test('gives it no longer than the shift lasts', async () => {
    await atOnce()
    until(20 * MINUTE)
    const { grant } = await ask()
    expect(grant?.endsAt).toBeLessThanOrEqual(world.clock.now() + 20 * MINUTE)
    expect(grant?.endsAt).toBeGreaterThan(world.clock.now() + 19 * MINUTE)
  })

  test.each<[string, Record<string, OnCallFact>]>([
    ['is not on call', { primary: { on: false, why: 'no shift' } }],
    ['cannot be known', { primary: { problem: 'PagerDuty was answered 500' } }],
    ['is not there', {}],
    ['has another duty', { secondary: { on: true, until: 9e12, account: 'PALICE1' } }],
  ])('trap 27: leaves it to people when who asks %s', async (_what, said) => {
    await atOnce()
    oncall = said
    const waiting = await ask()
    expect(waiting.state).toBe('pending')
    expect((await world.approve('bob', waiting.id)).state).toBe('approved')
  })

  test('trap 27: leaves it to people when the shift is all but over, or the access would begin later', async () => {
    await atOnce()
    until(65_000)
    expect((await ask()).state).toBe('pending')
    until(4 * HOUR)
    expect((await ask(50 * MINUTE, { start: { at: 'first-use' } })).state).toBe('pending')
  })

  test('trap 27: nobody keeps it beyond the shift by asking for more time', async () => {
    await atOnce()
    until(4 * HOUR)
    const { grant } = await ask()
    const more = await world.requests.extend(callerNamed('alice'), grant?.id ?? '', {
      durationMs: HOUR,
      reason: 'still at it',
      pendingForMs: null,
      reviewers: [],
    })
    expect(more.state).toBe('pending')
  })
})

test('who went off call between the question and the decision is judged as of the decision', async () => {
  await world.role('engineer', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await rule('on-call', { condition: 'oncall("primary")', decision: 'approve', reason: 'on call' })
  until(4 * HOUR)
  const first = await ask()
  expect(first.progress).toMatchObject([{ approvals: 1, approve: 2 }])
  oncall = { primary: { on: false, why: 'no shift' } }
  const after = await world.approve('bob', first.id)
  expect(after).toMatchObject({ state: 'pending', progress: [{ approvals: 1, approve: 2 }] })
})

test('trap 27: a rule that can deny blocks while it cannot be known, and a rule of other roles asks nobody', async () => {
  await rule('only-on-call', { condition: '!oncall("primary")', decision: 'deny', reason: 'not on call' })
  oncall = { primary: { problem: 'PagerDuty did not answer in time' } }
  const blocked = await ask()
  expect(blocked.state).toBe('pending')
  expect((await world.approve('bob', blocked.id)).state).toBe('pending')
  oncall = { primary: { on: false, why: 'no shift' } }
  expect((await ask(2 * HOUR)).state).toBe('denied')
  bases = []
  await rule('only-on-call', { roles: ['other'], condition: 'oncall("primary")', decision: 'approve' })
  await ask(3 * HOUR)
  expect(bases).toEqual([])
})

test('oncall() takes one constant name, in rules alone, and nothing else looks at duties', () => {
  expect(conditionProblem('condition', 'oncall("primary") || oncall("second.line")')).toBeNull()
  expect(conditionProblem('condition', 'oncall(request.user)')).toMatch(/constant/)
  expect(conditionProblem('condition', 'oncall("primary", "x")')).toMatch(/one duty/)
  expect(conditionProblem('condition', 'oncall("Prim ary")')).toMatch(/no name/)
  expect(conditionProblem('condition', 'request.user.oncall("x")')).not.toBeNull()
  expect(conditionProblem('condition', 'oncallOf(duties, "primary")')).not.toBeNull()
  expect(conditionProblem('condition', 'duties == duties')).toMatch(/one by one/)
  expect(conditionProblem('where', 'oncall("primary")')).toMatch(/review rules/)
})
