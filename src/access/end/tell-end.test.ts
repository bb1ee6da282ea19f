import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import type { AccessRequest } from '../../contract/request.ts'
import { Sweeper } from '../sweeper.ts'
import { silentLog } from '../../foundation/log.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba')
  await world.role('dev', { allow: { request: { roles: ['dba'], max_duration: '4d' } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

async function granted(duration = HOUR, more: object = {}): Promise<AccessRequest> {
  const { id } = await world.ask('alice', ['dba'], { duration, ...more })
  return world.approve('bob', id)
}
/** What is left of the access at each notice that waits to be delivered, in minutes. */
async function told(): Promise<number[]> {
  const waiting = (await world.outbox()).filter(({ topic }) => topic === 'grant.ending')
  return waiting.map(({ body }) => Number(body['left']) / MINUTE)
}
async function pass(ms: number): Promise<void> {
  world.clock.advance(ms)
  await world.sweeper.sweep('overdue')
}

test('the requester is told 15, 5 and 1 minute before the end, each once, with the command for more time', async () => {
  const { id } = await granted()
  await pass(45 * MINUTE - 1)
  expect(await told()).toEqual([])
  await pass(1)
  await pass(0)
  expect(await told()).toEqual([15])
  expect((await world.outbox()).at(-1)).toMatchObject({
    body: { to: ['alice'], roles: ['dba'], extend: expect.stringContaining(`sally request extend ${id}`) },
  })
  for (let minute = 0; minute < 16; minute++) await pass(MINUTE)
  expect(await told()).toEqual([15, 5, 1])
  expect((await world.eventTypes()).filter((type) => type === 'grant.notice')).toHaveLength(3)
})
test('who was away for some of them is told the latest alone', async () => {
  await granted()
  await pass(57 * MINUTE)
  expect(await told()).toEqual([3])
  await pass(2 * MINUTE)
  expect(await told()).toEqual([3, 1])
})
test('a grant that is shorter than a mark begins without one', async () => {
  await granted(10 * MINUTE)
  await pass(0)
  expect(await told()).toEqual([])
  await pass(5 * MINUTE)
  expect(await told()).toEqual([5])
})
test('a moved end is told anew, and the old one no more', async () => {
  const { id } = await granted()
  await pass(56 * MINUTE)
  const more = { durationMs: HOUR, reason: '', pendingForMs: null, reviewers: [] }
  const extension = await world.requests.extend(callerNamed('alice'), id, more)
  await world.approve('bob', extension.id)
  await pass(MINUTE)
  await pass(2 * MINUTE)
  expect(await told()).toEqual([4])
  await pass(46 * MINUTE)
  expect(await told()).toEqual([4, 15])
})
test('what has not begun ends without a word', async () => {
  await granted(10 * MINUTE, { start: { at: 'first-use' } })
  await granted(HOUR, { start: { at: 'instant', instant: world.clock.now() + 2 * HOUR }, reason: 'later' })
  await pass(24 * HOUR)
  expect(await told()).toEqual([])
})
test('two instances that look at the same moment tell once; a restart tells nothing again', async () => {
  await granted()
  world.clock.advance(46 * MINUTE)
  const { database, deeds, clock } = world
  const other = new Sweeper({ reads: database.reads, deeds, clock, log: silentLog })
  await Promise.all([world.sweeper.sweep('overdue'), other.sweep('overdue')])
  await new Sweeper({ reads: database.reads, deeds, clock, log: silentLog }).sweep()
  expect(await told()).toEqual([14])
})
test('while it runs, the requester is told when the mark is passed, as terminals are, not at the next look', async () => {
  const armed = vi.spyOn(world.clock, 'after')
  await world.sweeper.start()
  await granted()
  world.clock.advance(45 * MINUTE - 400)
  await expect.poll(() => armed.mock.calls.map(([ms]) => ms)).toContain(401)
  expect(await told()).toEqual([])
  world.clock.advance(401)
  await expect.poll(told).toHaveLength(1)
})
