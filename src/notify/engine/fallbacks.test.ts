// Chat, then mail, then a page: each reviewer is told by the next way when nobody has answered.
import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessWorld, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import { NotifyWorld } from '../../../test/support/notify-world.ts'
import { until } from '../../../test/support/until.ts'
import type { NotifyEngine } from './notify-engine.ts'

let world: AccessWorld
let notify: NotifyWorld
let engine: NotifyEngine

beforeEach(async () => {
  world = await AccessWorld.open()
  notify = new NotifyWorld(world)
  await world.role('dba')
  await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['asker'] })
  for (const name of ['bob', 'carol', 'dave', 'erin']) await world.user(name, { roles: ['reviewer'] })
  await notify.integration('page', [{ reviewers: true, after: '30m' }])
  await notify.integration('mail', [{ reviewers: true, after: '10m' }])
  await notify.integration('chat', [{ reviewers: true }])
  const reached = { chat: ['bob', 'carol'], mail: ['bob', 'carol', 'dave'], page: ['bob', 'carol', 'dave', 'erin'] }
  for (const [way, names] of Object.entries(reached)) for (const name of names) await notify.link(way, name)
})
afterEach(() => notify.close())

/**
 * Moves the clock on in steps until everything that waits was told. Never lands where something is due to the millisecond, and
 * wakes the engine, which may have been about to sleep when the clock moved.
 */
async function passing(ms: number, step = MINUTE): Promise<void> {
  for (let gone = 0; gone <= ms; gone += step) {
    world.clock.advance(gone === 0 ? 11 : step)
    await until('everything told', async () => {
      engine.wake()
      const now = world.clock.now()
      const rows = await notify.rows()
      const routed = await world.database.reads
        .selectFrom('outbox')
        .select('id')
        .where('routed_at', 'is', null)
        .execute()
      return routed.length === 0 && !rows.some((row) => row.state === 'due' && row.due_at <= now)
    })
  }
}

/** By how many messages each of them was told so far, by which way. */
const told = (): Record<string, string> =>
  Object.fromEntries(
    ['bob', 'carol', 'dave', 'erin'].map((name) => [
      name,
      ['chat', 'mail', 'page'].map((way) => notify.vendor(way).requestsAt(name).length).join(''),
    ]),
  )

test('whoever is not reached by one way has the next one at once, and the ones after it at their times', async () => {
  engine = notify.start()
  await world.ask('alice', ['dba'])
  await passing(0)
  expect(told()).toEqual({ bob: '100', carol: '100', dave: '010', erin: '001' })
  await passing(9 * MINUTE, 3 * MINUTE)
  expect(told()).toEqual({ bob: '100', carol: '100', dave: '010', erin: '001' })
  await passing(2 * MINUTE)
  expect(told()).toEqual({ bob: '110', carol: '110', dave: '010', erin: '001' })
  await passing(20 * MINUTE, 5 * MINUTE)
  expect(told()).toEqual({ bob: '111', carol: '111', dave: '011', erin: '001' })
  await passing(60 * MINUTE, 15 * MINUTE)
  expect(told()).toEqual({ bob: '111', carol: '111', dave: '011', erin: '001' })
})

test('who has answered is told by no further way; for the others the time counts from the answer', async () => {
  engine = notify.start()
  const { id } = await world.ask('alice', ['dba'])
  await passing(8 * MINUTE, 4 * MINUTE)
  await world.approve('bob', id)
  await passing(9 * MINUTE, 3 * MINUTE)
  expect(told()).toEqual({ bob: '100', carol: '100', dave: '010', erin: '001' })
  await passing(2 * MINUTE)
  expect(told()).toEqual({ bob: '100', carol: '110', dave: '010', erin: '001' })
  await world.approve('carol', id)
  await passing(60 * MINUTE, 15 * MINUTE)
  expect(told()).toEqual({ bob: '100', carol: '110', dave: '010', erin: '001' })
})

test('a request that expires, or whose reviewers have lost the right, is told by no further way', async () => {
  engine = notify.start()
  await world.ask('alice', ['dba'])
  await passing(5 * MINUTE)
  await world.role('reviewer', { allow: {} })
  await passing(60 * MINUTE, 15 * MINUTE)
  expect(told()).toEqual({ bob: '100', carol: '100', dave: '010', erin: '001' })
})

test('a daemon that is away at the time tells them when it is back, and nobody twice', async () => {
  engine = notify.start()
  await world.ask('alice', ['dba'])
  await passing(0)
  await engine.stop()
  world.clock.advance(12 * MINUTE)
  engine = notify.start()
  await passing(0)
  expect(told()).toEqual({ bob: '110', carol: '110', dave: '010', erin: '001' })
  await engine.stop()
  world.clock.advance(HOUR)
  engine = notify.start()
  await passing(2 * MINUTE)
  expect(told()).toEqual({ bob: '111', carol: '111', dave: '011', erin: '001' })
})

test('a clock that is set on or back tells each way once', async () => {
  engine = notify.start()
  await world.ask('alice', ['dba'])
  await passing(0)
  world.clock.jumpTo(world.clock.now() + 11 * MINUTE)
  await passing(2 * MINUTE)
  expect(told()).toEqual({ bob: '110', carol: '110', dave: '010', erin: '001' })
  world.clock.jumpTo(world.clock.now() - 12 * MINUTE)
  await passing(20 * MINUTE, 5 * MINUTE)
  expect(told()).toEqual({ bob: '110', carol: '110', dave: '010', erin: '001' })
  world.clock.jumpTo(world.clock.now() + 40 * MINUTE)
  await passing(2 * MINUTE)
  expect(told()).toEqual({ bob: '111', carol: '111', dave: '011', erin: '001' })
})
