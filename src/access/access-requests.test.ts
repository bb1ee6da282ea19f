import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessWorld, HOUR } from '../../test/support/access-world.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await world.role('dev', {
    allow: { request: { roles: ['dba'], max_duration: '4h', thresholds: [{ approve: 2, deny: 1 }] } },
  })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  for (const [name, role] of [
    ['alice', 'dev'],
    ['bob', 'lead'],
    ['carol', 'lead'],
  ] as const)
    await world.user(name, { roles: [role] })
})
afterEach(() => world.close())

test('the story: ask, two approvals, a grant that ends with its hour', async () => {
  const asked = await world.ask('alice', ['dba'], { duration: HOUR })
  expect(asked).toMatchObject({ state: 'pending', can: ['cancel'], reviewers: ['bob', 'carol'], warnings: [] })
  const first = await world.approve('bob', asked.id)
  expect(first).toMatchObject({ state: 'pending', grant: null, reviewers: ['carol'] })
  expect(first.progress).toMatchObject([{ role: 'dba', approvals: 1, approve: 2, met: false }])
  const second = await world.approve('carol', asked.id)
  expect(second).toMatchObject({
    state: 'approved',
    resolution: 'approved by bob, carol',
    grant: { state: 'active', roles: ['dba'] },
  })
  expect(second.grant?.endsAt).toBe(world.clock.now() + HOUR)
  expect((await world.eventTypes()).slice(-5)).toEqual([
    'access_request.create',
    'access_request.review',
    'access_request.review',
    'access_request.approve',
    'grant.start',
  ])
  world.clock.advance(HOUR)
  expect((await world.show(asked.id)).grant).toMatchObject({ state: 'ended', endReason: 'expired' })
  await world.sweeper.sweep()
  expect((await world.eventTypes()).at(-1)).toBe('grant.end')
  expect((await world.outbox()).map((message) => [message.topic, message.body['to']])).toEqual([
    ['request.created', ['bob', 'carol']],
    ['request.reviewed', ['alice']],
    ['request.reviewed', ['alice']],
    ['request.decided', ['alice']],
    ['grant.ended', ['alice']],
  ])
})
