import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, HOUR, MINUTE, asked, callerNamed } from '../../../test/support/access-world.ts'
import { ReviewRuleDocument } from '../../contract/review-rule.ts'
import { SYSTEM } from '../../identity/doer.ts'
import { putReviewRule, removeReviewRule } from './review-rules.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['root'] } })
  await world.role('web')
  await world.role('engineer', { allow: { request: { roles: ['dba', 'web'], max_duration: '4h' } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.role('sre', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['engineer'], traits: { team: ['dba'] } })
  await world.user('bob', { roles: ['lead'] })
  await world.user('carol', { roles: ['sre'] })
})
afterEach(() => world.close())

async function rule(name: string, spec: object): Promise<void> {
  const document = ReviewRuleDocument.parse({
    kind: 'review_rule',
    metadata: { name },
    spec: { roles: ['*'], ...spec },
  })
  await putReviewRule(world, SYSTEM, document, true)
}
const two = (filter?: string) => ({
  allow: { request: { roles: ['dba', 'web'], thresholds: [{ approve: 2, deny: 1, ...(filter ? { filter } : {}) }] } },
})

describe('a rule that approves', () => {
  test('gives the grant in the asking transaction, and no reviewer is told', async () => {
    await rule('office', { decision: 'approve', reason: 'office hours' })
    const asked = await world.ask('alice', ['dba'])
    expect(asked).toMatchObject({ state: 'approved', resolution: 'approved by rule:office: office hours' })
    expect(asked.grant).toMatchObject({ state: 'active', endsAt: world.clock.now() + 4 * HOUR })
    expect(asked.reviews).toMatchObject([{ reviewer: 'rule:office', decision: 'approve', counts: true }])
    expect((await world.outbox()).map((message) => message.topic)).toEqual(['request.decided'])
    const events = (await world.events()).slice(-4)
    expect(events.map(({ type, actor }) => [type, actor.name])).toEqual([
      ['access_request.create', 'alice'],
      ['access_request.review', 'rule:office'],
      ['access_request.approve', 'rule:office'],
      ['grant.start', 'rule:office'],
    ])
    expect(events[2]?.details['automation']).toMatchObject({
      facts: { request: { user: 'alice', roles: ['dba'] }, requester: { traits: { team: ['dba'] } } },
      judged: [{ by: 'rule:office', judgement: { ok: true, verdicts: [{ verdict: 'approve' }] } }],
    })
  })

  test('counts as one reviewer: where two are needed, one person is still missing', async () => {
    await world.role('engineer', two())
    await rule('office', { decision: 'approve' })
    const asked = await world.ask('alice', ['dba'])
    expect(asked.state).toBe('pending')
    expect(asked.progress).toMatchObject([{ approvals: 1, approve: 2 }])
    expect((await world.approve('bob', asked.id)).state).toBe('approved')
  })

  test('can be named by a threshold, and counts in none that asks for a trait', async () => {
    await world.role('engineer', {
      allow: {
        request: {
          roles: ['dba'],
          thresholds: [
            { name: 'the office', filter: 'reviewer.name == "rule:office"', approve: 1 },
            { name: 'dba team', filter: '"dba" in reviewer.traits.team', approve: 1 },
          ],
        },
      },
    })
    await rule('other', { decision: 'approve' })
    const asked = await world.ask('alice', ['dba'])
    expect(asked).toMatchObject({ state: 'pending', reviews: [{ counts: false, why: 'no_threshold_counts_it' }] })
    await rule('office', { decision: 'approve' })
    expect((await world.ask('alice', ['dba'], { reason: 'again' })).state).toBe('approved')
  })

  test('speaks for the roles that it names: for two roles both must be met', async () => {
    await rule('dba-only', { roles: ['dba'], decision: 'approve' })
    const asked = await world.ask('alice', ['dba', 'web'])
    expect(asked).toMatchObject({ state: 'pending', reviews: [{ roles: ['dba'] }] })
    expect((await world.ask('alice', ['dba'])).state).toBe('approved')
    expect((await world.approve('bob', asked.id)).state).toBe('approved')
  })

  test('outside its schedule, or with a condition that is false, says nothing', async () => {
    world.clock.advance(Date.UTC(2026, 10, 22, 12) - world.clock.now())
    await rule('weekday', { decision: 'approve', schedule: { days: ['mon'], from: '09:00', to: '17:00' } })
    await rule('short', { decision: 'approve', condition: 'request.duration <= duration("1h")' })
    expect((await world.ask('alice', ['dba'])).state).toBe('pending')
    expect((await world.ask('alice', ['dba'], { duration: HOUR })).reviews).toMatchObject([{ reviewer: 'rule:short' }])
    world.clock.advance(Date.UTC(2026, 10, 23, 12) - world.clock.now())
    expect((await world.ask('alice', ['web'])).resolution).toBe('approved by rule:weekday')
  })

  test('that decides satisfies every threshold of its roles, and only of these', async () => {
    await world.role('engineer', two('"dba" in reviewer.traits.team'))
    await rule('sure', { roles: ['dba'], decision: 'approve', decides: true })
    expect((await world.ask('alice', ['dba'])).state).toBe('approved')
    expect((await world.ask('alice', ['dba', 'web'])).state).toBe('pending')
  })
})

describe('a rule that denies', () => {
  test('denies at once and wins over one that decides', async () => {
    await rule('sure', { decision: 'approve', decides: true })
    await rule('freeze', { decision: 'deny', reason: 'production is frozen' })
    const asked = await world.ask('alice', ['dba'])
    expect(asked).toMatchObject({
      state: 'denied',
      grant: null,
      resolution: 'denied by rule:freeze: production is frozen',
    })
    expect((await world.outbox()).map((message) => message.topic)).toEqual(['request.decided'])
  })

  test('makes nobody wait: what was missing may be mended at once', async () => {
    await rule('ticket', { decision: 'deny', condition: '!request.reason.matches("#[0-9]+")', reason: 'name a ticket' })
    expect((await world.ask('alice', ['dba'], { reason: 'please' })).state).toBe('denied')
    expect((await world.ask('alice', ['dba'], { reason: 'ticket #7' })).state).toBe('pending')
  })

  test('beside a denial by a person waives no waiting', async () => {
    const asked = await world.ask('alice', ['dba'], { reason: 'please' })
    await rule('ticket', { decision: 'deny', condition: '!request.reason.matches("#[0-9]+")', reason: 'name a ticket' })
    expect((await world.deny('bob', asked.id)).state).toBe('denied')
    const votes = (await world.show(asked.id)).reviews.map((vote) => `${vote.reviewer} ${vote.decision}`)
    expect(votes.sort()).toEqual(['bob deny', 'rule:ticket deny'])
    const again = world.ask('alice', ['dba'], { reason: 'ticket #7' })
    await expect(again).rejects.toMatchObject({ code: 'cooling_down' })
  })

  test('written while a request waits decides nothing by itself; the next vote meets it', async () => {
    const asked = await world.ask('alice', ['dba'])
    await rule('freeze', { decision: 'deny', reason: 'frozen' })
    expect((await world.show(asked.id)).state).toBe('pending')
    const decided = await world.approve('bob', asked.id)
    expect(decided).toMatchObject({ state: 'denied', resolution: 'denied by rule:freeze: frozen', grant: null })
  })
})

describe('a rule that requires', () => {
  test('adds approvals of a group to what the role asks, whatever decides besides', async () => {
    await rule('sure', { decision: 'approve', decides: true })
    await rule('sre', { decision: 'require', require: { group: 'sre' } })
    const asked = await world.ask('alice', ['dba'])
    expect(asked).toMatchObject({ state: 'pending', automatic: [{ by: 'rule:sre', says: 'requires 1 of sre' }, {}] })
    expect((await world.approve('bob', asked.id)).state).toBe('pending')
    expect((await world.approve('carol', asked.id)).state).toBe('approved')
  })

  test('takes a trait and its value as well, and such a group may refuse', async () => {
    await world.user('dora', { roles: ['lead'], traits: { team: ['db "x"'] } })
    await rule('team', { decision: 'require', require: { group: 'team=db "x"' } })
    const asked = await world.ask('alice', ['dba'])
    expect((await world.approve('bob', asked.id)).state).toBe('pending')
    expect((await world.deny('dora', asked.id)).state).toBe('denied')
    const again = await world.ask('alice', ['web'])
    expect((await world.approve('dora', again.id)).state).toBe('approved')
  })
})

describe('a rule that limits', () => {
  test('shortens what is granted, and reviewers see it before they vote', async () => {
    await rule('short', { decision: 'limit', limit: '30m' })
    const asked = await world.ask('alice', ['dba'])
    expect(asked).toMatchObject({ duration: 4 * HOUR, grantedDuration: 30 * MINUTE })
    const { grant } = await world.approve('bob', asked.id, { seen: asked })
    expect(grant?.endsAt).toBe(world.clock.now() + 30 * MINUTE)
  })
})

describe('a rule that fails', () => {
  const broken = 'request.reason.substring(5) == "x"'

  test('and can only approve abstains', async () => {
    await rule('office', { decision: 'approve', condition: broken })
    const asked = await world.ask('alice', ['dba'], { reason: 'a' })
    expect(asked).toMatchObject({ state: 'pending', resolution: null, reviews: [] })
    expect((await world.approve('bob', asked.id)).state).toBe('approved')
  })

  test.each([
    { decision: 'deny', reason: 'no' },
    { decision: 'require', require: { group: 'sre' } },
    { decision: 'limit', limit: '1h' },
  ])('and can $decision blocks: nothing is approved, it says why and an event tells', async (spec) => {
    await rule('sure', { decision: 'approve', decides: true })
    await rule('broken', { condition: broken, ...spec })
    const asked = await world.ask('alice', ['dba'], { reason: 'a' })
    expect(asked.state).toBe('pending')
    expect(asked.resolution).toContain('cannot be approved: rule:broken failed')
    expect((await world.events()).findLast((event) => event.type === 'condition.fail')).toMatchObject({
      outcome: 'failure',
      details: { by: 'rule:broken', blocks: true },
    })
    expect((await world.approve('bob', asked.id)).state).toBe('pending')
    await removeReviewRule(world, SYSTEM, 'broken')
    expect((await world.show(asked.id)).state).toBe('pending')
    expect((await world.approve('bob', asked.id)).state).toBe('approved')
  })
})

describe('when rules change', () => {
  test('a vote on what was shown before is refused, and earlier approvals stop counting', async () => {
    await world.role('engineer', two())
    const asked = await world.ask('alice', ['dba'])
    await world.approve('bob', asked.id)
    await rule('new', { roles: ['web'], decision: 'deny', reason: 'of no concern here' })
    expect((await world.show(asked.id)).reviews).toMatchObject([{ counts: true }])
    await rule('newer', { decision: 'limit', limit: '2h' })
    await expect(world.approve('carol', asked.id, { seen: asked })).rejects.toMatchObject({ code: 'request_changed' })
    expect((await world.show(asked.id)).reviews).toMatchObject([{ counts: false, why: 'rules_changed' }])
    expect((await world.approve('carol', asked.id)).state).toBe('pending')
    expect((await world.approve('bob', asked.id)).grant).toMatchObject({ endsAt: world.clock.now() + 2 * HOUR })
  })

  test('what a rule approved under its old text counts again only when it says so again, at the next vote', async () => {
    await world.role('engineer', two())
    await rule('office', { decision: 'approve', reason: 'first' })
    const asked = await world.ask('alice', ['dba'])
    await rule('office', { decision: 'approve', reason: 'second' })
    expect((await world.show(asked.id)).reviews).toMatchObject([{ counts: false, why: 'rules_changed' }])
    const decided = await world.approve('bob', asked.id)
    expect(decided.state).toBe('approved')
    expect(decided.reviews.map(({ reviewer, reason, why }) => [reviewer, reason, why])).toEqual([
      ['rule:office', 'first', 'replaced'],
      ['rule:office', 'second', null],
      ['bob', '', null],
    ])
  })

  test('an approval that the rule gives no more, because its facts changed, does not count', async () => {
    await world.role('engineer', two())
    await rule('team', { decision: 'approve', condition: '"dba" in requester.traits.team' })
    const asked = await world.ask('alice', ['dba'])
    expect(asked.progress).toMatchObject([{ approvals: 1 }])
    await world.user('alice', { roles: ['engineer'] })
    expect((await world.approve('bob', asked.id)).state).toBe('pending')
    expect((await world.approve('carol', asked.id)).state).toBe('approved')
  })
})

test('a dry run says what rules would do, and stores nothing', async () => {
  await rule('office', { decision: 'approve', reason: 'office hours' })
  const before = (await world.events()).length
  expect(await world.requests.forecast(callerNamed('alice'), asked(['dba']))).toMatchObject({
    outcome: 'approved',
    automatic: [{ by: 'rule:office', says: 'approves: office hours' }],
  })
  expect((await world.events()).length).toBe(before)
})

test('rules that cannot be are refused with every fault', async () => {
  await expect(
    rule('bad', { roles: ['a b'], condition: 'requester.nope', decision: 'approve', limit: '1h' }),
  ).rejects.toMatchObject({ code: 'malformed', details: { problems: [{}, {}, {}].map(() => expect.any(String)) } })
  for (const spec of [{ decision: 'deny' }, { decision: 'require' }, { decision: 'limit' }])
    await expect(rule('bad', spec)).rejects.toMatchObject({ code: 'malformed' })
  await expect(rule('bad', { decision: 'deny', reason: 'x', decides: true })).rejects.toMatchObject({
    code: 'malformed',
  })
})
