// The engine of notify on both kinds of store: two daemons, an outage, a dead letter that is retried.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { integrationStatus, retryIntegration } from '../../src/access/notify/integration-status.ts'
import { previewDelivery } from '../../src/access/notify/preview-delivery.ts'
import { sendTest, testOutcomes } from '../../src/access/notify/test-message.ts'
import { DeliveryFailed } from '../../src/notify/connector.ts'
import { AccessWorld, LOCAL_ADMIN, MINUTE } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { down, lastShown, NotifyWorld, type FakeVendor } from '../support/notify-world.ts'
import { STORES, useStores } from '../support/stores.ts'
import { until } from '../support/until.ts'

const CHANNEL = 'C0OPS'

describe.each(STORES)('on %s', (kind) => {
  const stores = useStores(kind)
  let world: AccessWorld
  let notify: NotifyWorld
  let vendor: FakeVendor

  beforeEach(async () => {
    const clock = new ManualClock()
    world = await AccessWorld.open(clock, await stores.open(clock))
    notify = new NotifyWorld(world)
    await world.role('dba')
    await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
    await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('alice', { roles: ['asker'] })
    for (const name of ['bob', 'carol']) await world.user(name, { roles: ['reviewer'] })
    vendor = await notify.integration('chat', [{ channels: [CHANNEL], reviewers: true, requester: true }])
    for (const name of ['alice', 'bob']) await notify.link('chat', name)
  })
  afterEach(() => notify.stop())

  const told = (): Promise<unknown> =>
    until('everything told', async () => {
      world.clock.advance(5000)
      const waiting = await world.database.reads
        .selectFrom('outbox')
        .select('id')
        .where('routed_at', 'is', null)
        .executeTakeFirst()
      return waiting === undefined && (await notify.rows()).every((row) => row.state !== 'due')
    })

  test('two daemons tell each destination once, and all of them the newest state after an outage', async () => {
    vendor.mishap = down
    notify.start()
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await until('an attempt', () => vendor.calls > 0)
    await world.approve('bob', id)
    vendor.mishap = () => null
    await told()
    await world.approve('carol', id)
    await told()
    for (const at of [CHANNEL, 'alice']) {
      expect(vendor.requestsAt(at)).toHaveLength(1)
      expect(lastShown(vendor.requestsAt(at)[0]).split(' ')[0]).toBe('approved')
    }
    // What is edited elsewhere is found by the sweep, and what is old is forgotten.
    world.clock.advance(31 * 24 * 60 * MINUTE)
    await world.sweeper.sweep()
    await told()
    world.clock.advance(31 * 24 * 60 * MINUTE)
    await notify.plane.sweep()
    expect(await notify.rows()).toEqual([])
  })

  test('a dead letter says what helps, and retried it is sent in its newest state', async () => {
    vendor.mishap = (task) =>
      task.destination.channel === CHANNEL
        ? { when: 'before', error: new DeliveryFailed('destination', 'is_archived') }
        : null
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await told()
    const { reads } = world.database
    const [status] = await integrationStatus(reads, world.clock.now(), () => [])
    expect(status).toMatchObject({ name: 'chat', state: 'sending', dead: 1, waiting: 0 })
    expect(status?.deadLetters[0]).toMatchObject({ request: id, destination: `channel:${CHANNEL}`, why: 'is_archived' })
    expect(status?.deadLetters[0]?.help).toContain('sallyctl integration retry chat --message=msg_')
    await world.approve('bob', id)
    vendor.mishap = () => null
    const parts = { deeds: world.deeds, reads }
    expect(await retryIntegration(parts, LOCAL_ADMIN, 'chat', null)).toEqual({ retried: 1, mended: false })
    await told()
    const content = vendor.requestsAt(CHANNEL)[0]?.shown.at(-1)?.content
    expect(content?.kind === 'request' && content.view.reviews.map((review) => review.reviewer)).toEqual(['bob'])
    expect((await world.eventTypes()).at(-1)).toBe('integration.retry')
    expect((await integrationStatus(reads, world.clock.now(), () => []))[0]?.dead).toBe(0)
  })

  test('a test message says that it is one, once, where it was asked for, and who sent it is on record', async () => {
    notify.start()
    const { database, deeds, clock } = world
    const parts = { reads: database.reads, deeds, clock }
    const never = new AbortController().signal
    const send = async (target: { channel?: string; user?: string }) => {
      const ids = await sendTest(parts, LOCAL_ADMIN, 'chat', target)
      await told()
      return await testOutcomes(parts, ids, 0, never)
    }
    expect(await send({})).toMatchObject([{ destination: `channel:${CHANNEL}`, outcome: 'delivered', why: null }])
    expect(vendor.linesAt(CHANNEL)).toEqual([expect.stringMatching(/^Test message of Sallyport, sent by local-admin/)])
    expect(await send({ user: 'bob' })).toMatchObject([{ destination: 'user:bob', outcome: 'delivered' }])
    expect(await send({ channel: 'C0NEW' })).toMatchObject([{ destination: 'channel:C0NEW', outcome: 'delivered' }])
    vendor.mishap = () => ({ when: 'before', error: new DeliveryFailed('destination', 'is_archived') })
    expect(await send({})).toMatchObject([{ outcome: 'failed', why: 'is_archived' }])
    expect((await world.eventTypes()).filter((type) => type === 'integration.test')).toHaveLength(4)
  })

  test('a test message to nobody, to both, or through what does not work is refused with what to do', async () => {
    const { database, deeds, clock } = world
    const parts = { reads: database.reads, deeds, clock }
    const send = (name: string, target: { channel?: string; user?: string }) =>
      sendTest(parts, LOCAL_ADMIN, name, target)
    await expect(send('nothing', {})).rejects.toMatchObject({ code: 'not_found' })
    await expect(send('chat', { user: 'mallory' })).rejects.toMatchObject({ code: 'not_found' })
    await expect(send('chat', { user: 'carol' })).rejects.toMatchObject({ code: 'not_allowed' })
    await expect(send('chat', { user: 'bob', channel: CHANNEL })).rejects.toMatchObject({ code: 'malformed' })
    await notify.integration('silent', [])
    await expect(send('silent', {})).rejects.toMatchObject({ code: 'malformed' })
    await notify.integration('off', [{ channels: [CHANNEL] }], { enabled: false })
    await expect(send('off', {})).rejects.toMatchObject({ code: 'not_allowed' })
    expect(await notify.rows()).toEqual([])
  })

  test('a preview tells whom a request would reach, and who is reached by nobody', async () => {
    const preview = await previewDelivery(world.database.reads, 'dba', 'alice', world.clock.now())
    expect(preview.items.map(({ audience, destination }) => `${audience} ${destination}`).toSorted()).toEqual([
      `channel channel:${CHANNEL}`,
      'requester user:alice',
      'reviewer user:bob',
    ])
    expect(preview.unreached).toEqual(['carol'])
  })
})
