// What a vendor allows, on both kinds of store: who goes first, who does not wait for whom, and what is said of it.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { integrationStatus } from '../../src/access/notify/integration-status.ts'
import { DeliveryFailed, type Connector, type LaneLimit } from '../../src/notify/connector.ts'
import type { NotifyEngine } from '../../src/notify/engine/notify-engine.ts'
import { AccessWorld, MINUTE } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { lastShown, NotifyWorld, type FakeVendor, type Mishap } from '../support/notify-world.ts'
import { STORES, useStores } from '../support/stores.ts'
import { until } from '../support/until.ts'

const POSTS: LaneLimit = { of: 'new', per: 'destination', burst: 1, everyMs: 1000 }
const CHANGES: LaneLimit = { of: 'change', per: 'integration', burst: 1, everyMs: MINUTE }

describe.each(STORES)('the limits of a vendor, on %s', (kind) => {
  const stores = useStores(kind)
  let world: AccessWorld
  let notify: NotifyWorld
  let vendor: FakeVendor

  beforeEach(async () => {
    const clock = new ManualClock()
    world = await AccessWorld.open(clock, await stores.open(clock))
    notify = new NotifyWorld(world)
    for (const name of ['full', 'free']) await world.role(name)
    const roles = ['full', 'free']
    await world.role('asker', { allow: { request: { roles, thresholds: [{ approve: 2, deny: 1 }] } } })
    await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
    for (const name of ['alice', 'dora']) await world.user(name, { roles: ['asker'] })
    for (const name of ['bob', 'carol']) await world.user(name, { roles: ['reviewer'] })
    const deliver = roles.map((name) => ({ roles: [name], channels: [`C0${name.toUpperCase()}`] }))
    vendor = await notify.integration('chat', [...deliver, { roles: ['free'], requester: true }])
    await notify.link('chat', 'dora')
  })
  afterEach(() => notify.stop())

  const limited = (limits: readonly LaneLimit[]): NotifyEngine =>
    notify.start(notify.plane, { through: (connector: Connector) => ({ ...connector, limits }) })
  /** On in small steps until it is so; how long it took. */
  const after = async (what: string, isSo: () => Promise<boolean> | boolean, step = 100): Promise<number> => {
    const began = world.clock.now()
    await until(
      what,
      async () => {
        if (await isSo()) return true
        world.clock.advance(step)
        return false
      },
      { every: 2 },
    )
    return world.clock.now() - began
  }

  test('messages of a full channel hide neither those of another channel nor those of a person', async () => {
    limited([POSTS])
    vendor.mishap = (task): Mishap =>
      task.destination.channel === 'C0FULL'
        ? { when: 'before', error: new DeliveryFailed('retry', 'too many for C0FULL', 600_000) }
        : null
    for (let count = 0; count < 12; count++) await world.ask('alice', ['full'], { reason: String(count) })
    await after('a first answer', async () => (await notify.rows()).some((row) => row.failure !== null))
    const calls = vendor.calls
    await world.ask('dora', ['free'])
    await after('the others', () => vendor.requestsAt('C0FREE').length + vendor.requestsAt('dora').length === 2)
    expect(vendor.calls).toBe(calls + 2)
    await until('the first to count no attempt', async () => (await notify.rows()).every((row) => row.attempts === 0))
  })

  test('a backlog goes out no faster than the vendor allows', async () => {
    const times: number[] = []
    vendor.mishap = () => (times.push(world.clock.now()), null)
    limited([POSTS])
    for (let count = 0; count < 6; count++) await world.ask('alice', ['full'], { reason: String(count) })
    await after('all of them', () => vendor.requestsAt('C0FULL').length === 6)
    const gaps = times.slice(1).map((at, index) => at - (times[index] ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(1000)
  })

  test('buttons that have to go do not wait behind messages that show one vote more', async () => {
    limited([CHANGES])
    const ids: string[] = []
    for (let count = 0; count < 4; count++)
      ids.push((await world.ask('alice', ['full'], { reason: `number ${count}` })).id)
    await after('all of them', () => vendor.requestsAt('C0FULL').length === 4)
    for (const id of ids) await world.approve('bob', id)
    await after('the lines of the votes', () => vendor.linesAt('C0FULL').length === 4, 1)
    const changed = (): string[] =>
      vendor
        .requestsAt('C0FULL')
        .filter(({ shown }) => shown.length > 1)
        .map(lastShown)
    await after('one change', () => changed().length === 1, 1)
    await world.vote('carol', ids.at(-1) ?? '', 'deny')
    await after('the next change', () => changed().length === 2, MINUTE / 4)
    expect(changed().filter((shown) => shown === 'denied')).toHaveLength(1)
  })

  test('status says what waits for what: a limit, the vendor’s word, or a vendor that is down', async () => {
    const engine = limited([POSTS])
    const waits = async () => {
      const { reads } = world.database
      const [status] = await integrationStatus(reads, world.clock.now(), (name) => engine.waits(name))
      return status?.waits ?? []
    }
    await world.ask('alice', ['full'])
    await after('the message', () => vendor.requestsAt('C0FULL').length === 1, 1)
    expect(await waits()).toMatchObject([{ what: 'limit', of: 'new', destination: 'channel:C0FULL', why: null }])
    vendor.mishap = () => ({ when: 'before', error: new DeliveryFailed('retry', 'too many', 60_000) })
    world.clock.advance(1000)
    await world.ask('alice', ['full'], { reason: 'another' })
    await after('an answer', async () => (await notify.rows()).some((row) => row.failure === 'too many'), 1)
    expect(await waits()).toMatchObject([{ what: 'asked', of: 'new', destination: 'channel:C0FULL', why: 'too many' }])
    vendor.mishap = () => ({ when: 'before', error: new Error('connect ECONNREFUSED') })
    await after('an outage', async () => (await waits()).some(({ what }) => what === 'outage'), 10_000)
    expect((await waits())[0]).toMatchObject({ what: 'outage', of: 'all', why: 'connect ECONNREFUSED' })
    vendor.mishap = () => null
    await after('all of them', () => vendor.requestsAt('C0FULL').length === 2, 10_000)
    expect((await waits()).filter(({ what }) => what === 'outage')).toEqual([])
  })
})
