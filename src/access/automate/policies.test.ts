import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, asked, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import type { AutomationFacts, Verdict } from '../../contract/policy.ts'
import { SYSTEM } from '../../identity/doer.ts'
import type { Judgement } from './automation.ts'
import { pastJudgements } from './past-judgements.ts'
import { putInForce, type CheckedPolicy } from './policies-in-force.ts'

let world: AccessWorld
/** What each file answers; and what happens while it is being asked. */
let answers: Record<string, Judgement | ((facts: AutomationFacts) => Judgement)>
let meanwhile: () => Promise<void>
let questions: number

beforeEach(async () => {
  world = await AccessWorld.open()
  answers = {}
  meanwhile = () => Promise.resolve()
  questions = 0
  world.asker = {
    async ask(question) {
      questions += 1
      await meanwhile()
      const judgements = question.policies.map(({ file }): [string, Judgement] => {
        const answer = answers[file] ?? says({ verdict: 'abstain' })
        return [file, typeof answer === 'function' ? answer(question.facts) : answer]
      })
      return { question, judgements: new Map(judgements) }
    },
  }
  await world.role('dba')
  await world.role('engineer', { allow: { request: { roles: ['dba'], max_duration: '4h' } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['engineer'] })
  await world.user('bob', { roles: ['lead'] })
  await world.user('carol', { roles: ['lead'] })
})
afterEach(() => world.close())

const says = (...verdicts: Verdict[]): Judgement => ({ ok: true, verdicts })
const fails: Judgement = { ok: false, problem: 'it took longer than 50 ms' }
const policy = (file: string, more: Partial<CheckedPolicy> = {}): CheckedPolicy => ({
  file,
  modulesJson: `{"${file}":"1"}`,
  contentHash: `hash of ${file}`,
  approveOnly: false,
  zone: 'UTC',
  ...more,
})
const inForce = (...policies: CheckedPolicy[]) => putInForce(world.deeds, SYSTEM, policies)

describe('putting policies in force', () => {
  test('stores an event for each difference, and none where there is none', async () => {
    expect(await inForce(policy('a.ts'), policy('b.ts'))).toEqual({
      loaded: ['a.ts', 'b.ts'],
      changed: [],
      removed: [],
    })
    const before = (await world.events()).length
    expect(await inForce(policy('a.ts'), policy('b.ts'))).toEqual({ loaded: [], changed: [], removed: [] })
    expect((await world.events()).length).toBe(before)
    const other = policy('b.ts', { contentHash: 'other' })
    expect(await inForce(other, policy('c.ts'))).toEqual({ loaded: ['c.ts'], changed: ['b.ts'], removed: ['a.ts'] })
    expect((await world.eventTypes()).slice(before).sort()).toEqual(['policy.change', 'policy.load', 'policy.remove'])
  })

  test('a changed policy makes earlier approvals stop counting, and decides nothing by itself', async () => {
    await world.role('engineer', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
    await inForce(policy('a.ts'))
    const request = await world.ask('alice', ['dba'])
    await world.approve('bob', request.id)
    answers['a.ts'] = says({ verdict: 'approve', reason: '' })
    await inForce(policy('a.ts', { contentHash: 'other' }))
    expect(await world.show(request.id)).toMatchObject({
      state: 'pending',
      reviews: [{ reviewer: 'bob', counts: false, why: 'rules_changed' }],
    })
    await expect(world.approve('carol', request.id, { seen: request })).rejects.toMatchObject({
      code: 'request_changed',
    })
    expect((await world.approve('carol', request.id)).state).toBe('approved')
  })
})

describe('a policy', () => {
  test('approves as the reviewer policy:NAME, in the asking transaction', async () => {
    await inForce(policy('office.ts'))
    answers['office.ts'] = says({ verdict: 'approve', reason: 'fine' })
    expect(await world.ask('alice', ['dba'])).toMatchObject({
      state: 'approved',
      resolution: 'approved by policy:office: fine',
      reviews: [{ reviewer: 'policy:office' }],
    })
  })

  test('may give several verdicts, of which each holds; a denial wins over its own approval', async () => {
    await inForce(policy('a.ts'))
    answers['a.ts'] = says({ verdict: 'limit', duration: '1h' }, { verdict: 'limit', duration: '30m' })
    expect((await world.ask('alice', ['dba'])).grantedDuration).toBe(30 * MINUTE)
    answers['a.ts'] = says({ verdict: 'approve', reason: '' }, { verdict: 'deny', reason: 'no' })
    expect((await world.ask('alice', ['dba'], { reason: 'again' })).state).toBe('denied')
  })

  test('that fails blocks until it is asked again and answers, at the next vote; also one that was cast before', async () => {
    await inForce(policy('a.ts'))
    answers['a.ts'] = fails
    const request = await world.ask('alice', ['dba'])
    expect(request.resolution).toBe('cannot be approved: policy:a failed: it took longer than 50 ms')
    expect((await world.approve('bob', request.id)).state).toBe('pending')
    expect((await world.eventTypes()).filter((type) => type === 'policy.fail').length).toBe(2)
    answers['a.ts'] = says({ verdict: 'abstain' })
    expect((await world.approve('bob', request.id)).state).toBe('approved')
  })

  test('that declares to approve only abstains when it fails', async () => {
    await inForce(policy('a.ts', { approveOnly: true }))
    answers['a.ts'] = fails
    const request = await world.ask('alice', ['dba'])
    expect(request).toMatchObject({ resolution: null, automatic: [{ by: 'policy:a' }] })
    expect((await world.approve('bob', request.id)).state).toBe('approved')
  })

  test('in the store that nothing can run has failed', async () => {
    await inForce(policy('a.ts'))
    world.asker = (await import('./ask-policies.ts')).NO_SANDBOX
    expect((await world.ask('alice', ['dba'])).resolution).toContain('there is nothing to run policies here')
  })

  test('is asked about the facts of the moment: who asks, for what, when', async () => {
    await inForce(policy('a.ts'))
    let seen: AutomationFacts | undefined
    answers['a.ts'] = (facts) => {
      seen = facts
      return says({ verdict: 'abstain' })
    }
    await world.ask('alice', ['dba'], { reason: 'ticket', duration: HOUR })
    expect(seen).toEqual({
      now: world.clock.now(),
      request: {
        kind: 'role',
        user: 'alice',
        roles: ['dba'],
        resources: [],
        reason: 'ticket',
        duration: HOUR,
        annotations: {},
        created: world.clock.now(),
        start: 'approval',
      },
      requester: { name: 'alice', roles: ['engineer'], traits: {} },
    })
  })
})

describe('while policies are asked', () => {
  test('other deeds go on: nothing waits for a policy inside a transaction', async () => {
    await inForce(policy('a.ts'))
    meanwhile = async () => {
      meanwhile = () => Promise.resolve()
      await world.user('dora')
    }
    expect((await world.ask('alice', ['dba'])).state).toBe('pending')
    expect(questions).toBe(1)
  })

  test('facts that change have them asked again, and only what they said of the new ones counts', async () => {
    await inForce(policy('a.ts'))
    answers['a.ts'] = ({ requester }) =>
      says(requester.traits['team'] ? { verdict: 'deny', reason: 'no' } : { verdict: 'approve', reason: '' })
    meanwhile = async () => {
      meanwhile = () => Promise.resolve()
      await world.user('alice', { roles: ['engineer'], traits: { team: ['x'] } })
    }
    expect((await world.ask('alice', ['dba'])).state).toBe('denied')
    expect(questions).toBe(2)
  })

  test('a policy that is put in force meanwhile is asked as well', async () => {
    await inForce(policy('a.ts'))
    answers['a.ts'] = says({ verdict: 'approve', reason: '' })
    answers['b.ts'] = says({ verdict: 'deny', reason: 'new' })
    meanwhile = async () => {
      meanwhile = () => Promise.resolve()
      await inForce(policy('a.ts'), policy('b.ts'))
    }
    expect(await world.ask('alice', ['dba'])).toMatchObject({ state: 'denied', resolution: 'denied by policy:b: new' })
  })

  test('answers that are too old when they come are asked for again', async () => {
    await inForce(policy('a.ts'))
    meanwhile = async () => {
      meanwhile = () => Promise.resolve()
      world.clock.advance(11_000)
    }
    await world.ask('alice', ['dba'])
    expect(questions).toBe(2)
  })

  test('facts that never stand still end in a refusal, with nothing stored', async () => {
    await inForce(policy('a.ts'))
    let round = 0
    meanwhile = () => world.user('alice', { roles: ['engineer'], traits: { round: [String(round++)] } })
    await expect(world.requests.ask(callerNamed('alice'), asked(['dba']))).rejects.toMatchObject({
      code: 'changed_meanwhile',
    })
    expect(questions).toBe(5)
    expect(await world.eventTypes()).not.toContain('access_request.create')
  })
})

test('what was seen and said is there for a replay, also of requests that no policy saw', async () => {
  await world.ask('alice', ['dba'], { reason: 'first' })
  await inForce(policy('a.ts'))
  answers['a.ts'] = says({ verdict: 'limit', duration: '1h' })
  await world.ask('alice', ['dba'], { reason: 'second' })
  const { items, next } = await pastJudgements(world.database.reads, 0, undefined)
  expect(next).toBeNull()
  expect(items.map(({ facts, judged }) => [facts.request.reason, judged])).toEqual([
    ['first', []],
    ['second', [{ by: 'policy:a', judgement: says({ verdict: 'limit', duration: '1h' }) }]],
  ])
  expect((await pastJudgements(world.database.reads, world.clock.now() + 1, undefined)).items).toEqual([])
})
