import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, asked, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import { Sweeper } from '../sweeper.ts'
import { silentLog } from '../../foundation/log.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba')
  await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await world.role('boss')
  await world.user('bob', { roles: ['lead'] })
  await world.user('carol', { roles: ['lead'] })
  await world.user('zoe', { roles: ['boss'], traits: { team: ['db'] } })
  await asking([{ after: '15m', notify: ['zoe'] }])
})
afterEach(() => world.close())

async function asking(escalation: object[], more: object = {}): Promise<void> {
  const thresholds = [{ approve: 2, deny: 2 }]
  await world.role('dev', { allow: { request: { roles: ['dba'], thresholds, escalation, ...more } } })
  await world.user('alice', { roles: ['dev'] })
}
async function later(ms: number): Promise<void> {
  world.clock.jumpTo(world.clock.now() + ms)
  await world.sweeper.sweep('overdue')
}
const escalated = async () => (await world.outbox()).filter(({ topic }) => topic === 'request.escalated')
const told = async () => (await escalated()).flatMap(({ body }) => body['to'] as string[])

describe('when nobody answers', () => {
  test('further people are told at the instant, once, with an event', async () => {
    const { id, version } = await world.ask('alice', ['dba'])
    await later(15 * MINUTE - 1)
    expect(await escalated()).toEqual([])
    await later(1)
    await later(MINUTE)
    await later(HOUR)
    expect(await escalated()).toMatchObject([
      { body: { request: id, user: 'alice', to: ['zoe'], reviewers: [], step: 1, after: 15 * MINUTE } },
    ])
    const events = (await world.events()).filter(({ type }) => type === 'access_request.escalate')
    expect(events).toMatchObject([
      { actor: { name: 'sallyport' }, details: { told: [{ user: 'usr_zoe', mayReview: false }] } },
    ])
    const shown = await world.show(id)
    expect(shown.version).toBeGreaterThan(version)
    expect(shown.escalation).toMatchObject([{ after: 15 * MINUTE, notify: ['zoe'], told: ['zoe'] }])
    expect(shown.escalation[0]?.at).toBe(world.clock.now() - MINUTE - HOUR)
  })
  test('being told gives no right: neither to see the request nor to vote', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await later(15 * MINUTE)
    expect(await told()).toEqual(['zoe'])
    await expect(world.requests.show(callerNamed('zoe'), id)).rejects.toMatchObject({ code: 'not_found' })
    await expect(world.approve('zoe', id)).rejects.toMatchObject({ code: 'not_a_reviewer' })
  })
  test('an answer starts the wait anew', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await later(14 * MINUTE)
    await world.approve('bob', id)
    await later(14 * MINUTE)
    expect(await told()).toEqual([])
    await later(MINUTE)
    expect(await told()).toEqual(['zoe'])
  })
  test('nothing is told of what is decided, cancelled or over', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.approve('carol', id)
    const cancelled = await world.ask('alice', ['dba'], { reason: 'other' })
    await world.requests.cancel(callerNamed('alice'), cancelled.id)
    await world.ask('alice', ['dba'], { reason: 'short', pendingFor: 10 * MINUTE })
    await later(HOUR)
    expect(await told()).toEqual([])
    expect(await world.database.reads.selectFrom('escalations').select('id').execute()).toEqual([])
  })
  test('each step in its turn, a daemon that slept takes all that are due, once each', async () => {
    await asking([
      { after: '1h', notify: ['{lead}'] },
      { after: '15m', notify: ['zoe'] },
    ])
    const { id } = await world.ask('alice', ['dba'])
    await later(3 * HOUR)
    await later(3 * HOUR)
    expect((await escalated()).map(({ body }) => [body['step'], body['to'], body['reviewers']])).toEqual([
      [1, ['zoe'], []],
      [2, ['bob', 'carol'], ['bob', 'carol']],
    ])
    expect((await world.show(id)).escalation.map(({ after }) => after)).toEqual([15 * MINUTE, HOUR])
  })
  test('two sweepers at once tell once', async () => {
    await world.ask('alice', ['dba'])
    const parts = { reads: world.database.reads, deeds: world.deeds, clock: world.clock, log: silentLog }
    const other = new Sweeper(parts)
    world.clock.jumpTo(world.clock.now() + HOUR)
    await Promise.all([world.sweeper.sweep('overdue'), other.sweep('overdue'), other.sweep(), world.sweeper.sweep()])
    expect(await told()).toEqual(['zoe'])
    await other.stop()
  })
  test('steps stay as they were when it was asked', async () => {
    await world.ask('alice', ['dba'])
    await asking([{ after: '1m', notify: ['bob'] }])
    await later(2 * MINUTE)
    expect(await told()).toEqual([])
    await later(15 * MINUTE)
    expect(await told()).toEqual(['zoe'])
  })
})

describe('who is meant', () => {
  test.each([
    ['a user', ['zoe'], ['zoe']],
    ['holders of a role', ['{boss}'], ['zoe']],
    ['all who may review', ['*'], ['bob', 'carol']],
    ['a condition', ['"db" in reviewer.traits.team || request.user == "nobody"'], ['zoe']],
    ['several, each once', ['zoe', '{boss}', 'bob'], ['bob', 'zoe']],
    ['a user who is not there', ['nobody'], []],
    ['the requester never', ['alice', '{dev}', 'zoe'], ['zoe']],
  ])('%s', async (_what, notify, expected) => {
    await asking([{ after: '15m', notify }])
    await world.ask('alice', ['dba'])
    await later(15 * MINUTE)
    expect(await told()).toEqual(expected)
    expect(await world.eventTypes()).toContain('access_request.escalate')
  })
  test('a condition that fails tells nobody, and is an event', async () => {
    await asking([{ after: '15m', notify: ['reviewer.traits.team[0] == "db"'] }])
    await world.ask('alice', ['dba'])
    await later(15 * MINUTE)
    expect(await told()).toEqual(['zoe'])
    expect(await world.eventTypes()).toContain('condition.fail')
  })
  test('nobody who is locked or disabled', async () => {
    await asking([{ after: '15m', notify: ['*', 'zoe'] }])
    await world.ask('alice', ['dba'])
    await world.lock('user', 'usr_bob')
    await world.user('zoe', { disabled: true })
    await later(15 * MINUTE)
    expect(await told()).toEqual(['carol'])
  })
})

describe('who is told first', () => {
  const first = async () => (await world.outbox()).findLast(({ topic }) => topic === 'request.created')?.body['to']

  test('suggested reviewers, where they may review; the others when it escalates', async () => {
    await asking([{ after: '15m', notify: ['*'] }], { suggested_reviewers: ['bob', 'zoe'] })
    await world.ask('alice', ['dba'])
    expect(await first()).toEqual(['bob'])
    await later(15 * MINUTE)
    expect(await told()).toEqual(['bob', 'carol'])
  })
  test('all who may review, when none is suggested or none of the suggested may', async () => {
    await world.ask('alice', ['dba'])
    expect(await first()).toEqual(['bob', 'carol'])
    await world.ask('alice', ['dba'], { reason: 'other', reviewers: ['zoe'] })
    expect(await first()).toEqual(['bob', 'carol'])
  })
  test('all who may review, when the suggested cannot decide alone and nothing would escalate', async () => {
    await asking([], { suggested_reviewers: ['bob'] })
    await world.ask('alice', ['dba'])
    expect(await first()).toEqual(['bob', 'carol'])
    await asking([], { suggested_reviewers: ['bob'], thresholds: [{ approve: 1 }] })
    await world.ask('alice', ['dba'], { reason: 'other' })
    expect(await first()).toEqual(['bob'])
  })
  test('a dry run shows the steps', async () => {
    const preview = await world.requests.forecast(callerNamed('alice'), asked(['dba']))
    expect(preview.escalation).toEqual([{ after: 15 * MINUTE, notify: ['zoe'] }])
  })
})
