import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import {
  down,
  lastShown,
  NotifyWorld,
  pressedOn,
  startedAlone,
  type FakeVendor,
  type Mishap,
} from '../../../test/support/notify-world.ts'
import { until } from '../../../test/support/until.ts'
import type { NotifyPlane } from '../../contract/notify-plane.ts'
import { DeliveryFailed } from '../connector.ts'

let world: AccessWorld
let notify: NotifyWorld
let vendor: FakeVendor

const CHANNEL = 'C0OPS'
const EVERYWHERE = [{ channels: [CHANNEL], reviewers: true, requester: true }]

beforeEach(async () => {
  world = await AccessWorld.open()
  notify = new NotifyWorld(world)
  await world.role('dba')
  await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
  await world.role('admin', { allow: { rules: [{ resources: ['*'], verbs: ['*'] }] } })
  await world.user('alice', { roles: ['asker'] })
  for (const name of ['bob', 'carol', 'dave']) await world.user(name, { roles: ['reviewer'] })
  vendor = await notify.integration('chat', EVERYWHERE)
  for (const name of ['alice', 'bob', 'carol']) await notify.link('chat', name)
})
afterEach(() => notify.close())

/** Moves the clock on in steps until everything that waits was told. */
async function passing(ms: number, step = MINUTE): Promise<void> {
  for (let gone = 0; gone < ms; gone += step) {
    world.clock.advance(step)
    await notify.quiet()
  }
}

describe('messages of a request', () => {
  test('reach the channel, the reviewers that have an account and the requester, and change with each vote', async () => {
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await notify.quiet()
    expect(lastShown(vendor.requestsAt(CHANNEL)[0])).toBe('pending approve deny open')
    expect(lastShown(vendor.requestsAt('bob')[0])).toBe('pending approve deny open')
    expect(lastShown(vendor.requestsAt('carol')[0])).toBe('pending approve deny open')
    expect(lastShown(vendor.requestsAt('alice')[0])).toBe('pending cancel open')
    expect(vendor.requestsAt('dave')).toEqual([])

    await world.approve('bob', id)
    await notify.quiet()
    expect(vendor.linesAt(CHANNEL)).toEqual(['bob approved'])
    expect(lastShown(vendor.requestsAt('bob')[0])).toBe('pending open')
    const [channel] = vendor.requestsAt(CHANNEL)
    const content = channel?.shown.at(-1)?.content
    expect(content?.kind === 'request' && content.view.needed).toEqual([
      'dba: 1 more approval counted by "threshold 1"',
    ])

    await world.approve('carol', id)
    await notify.quiet()
    for (const at of [CHANNEL, 'bob', 'carol']) expect(lastShown(vendor.requestsAt(at)[0])).toBe('approved')
    expect(lastShown(vendor.requestsAt('alice')[0])).toBe('approved extend return open')
    for (const at of [CHANNEL, 'bob', 'carol', 'alice']) expect(vendor.requestsAt(at)).toHaveLength(1)
    expect(vendor.linesAt('alice').join('\n')).toContain('approved: dba for alice')
  })

  test('lose their buttons when the request expires', async () => {
    notify.start()
    await world.ask('alice', ['dba'], { pendingFor: HOUR })
    await notify.quiet()
    world.clock.advance(HOUR + 1)
    await world.sweeper.sweep()
    await notify.quiet()
    for (const at of [CHANNEL, 'bob', 'carol', 'alice']) expect(lastShown(vendor.requestsAt(at)[0])).toBe('expired')
  })

  test('trap 13: carry a new random id whenever they change, stored before it is sent and never in clear', async () => {
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await notify.quiet()
    await world.approve('bob', id)
    await notify.quiet()
    const [channel] = vendor.requestsAt(CHANNEL)
    const ids = (channel?.shown ?? []).map((task) => task.buttonId)
    expect(new Set(ids).size).toBe(2)
    const stored = await world.database.reads.selectFrom('message_buttons').selectAll().execute()
    expect(JSON.stringify(stored)).not.toContain(ids[0])
    expect(stored.filter((row) => row.request_id === id && row.version > 1).length).toBeGreaterThan(0)
  })

  test('trap 21: hold no secret that was typed into a reason, and no reason at all where they are left out', async () => {
    const quiet = await notify.integration('quiet', [{ channels: ['C0QUIET'] }], { omit_reason: true })
    notify.start()
    const { id } = await world.ask('alice', ['dba'], { reason: `fix it with AKIA${'ABCDEFGH12345678'}` })
    await world.deny('bob', id, { reason: 'password=hunter2 is wrong' })
    await notify.quiet()
    const sent = JSON.stringify([vendor.posts, quiet.posts])
    expect(sent).toContain('[secret removed]')
    expect(sent).not.toContain('ABCDEFGH12345678')
    expect(sent).not.toContain('hunter2')
    expect(JSON.stringify(quiet.posts)).not.toContain('fix it')
  })

  test('of one that was decided at once ping no reviewer', async () => {
    await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 1 }] } } })
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await notify.quiet()
    const before = vendor.requestsAt('carol').length
    expect(before).toBeLessThanOrEqual(1)
    expect(lastShown(vendor.requestsAt(CHANNEL)[0])).toBe('approved')
  })

  test('show an edit elsewhere that changes what approvals count for, within a minute', async () => {
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await notify.quiet()
    await world.role('asker', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 3, deny: 1 }] } } })
    world.clock.advance(MINUTE + 1)
    await until('the edit to show', () => {
      const content = vendor.requestsAt(CHANNEL)[0]?.shown.at(-1)?.content
      return content?.kind === 'request' && content.view.reviews.every((review) => !review.counts)
    })
  })
})

describe('fallbacks', () => {
  test('come when nobody has answered, and at once for whom the first integration cannot reach', async () => {
    const later = await notify.integration('later', [{ reviewers: true, after: '10m' }])
    for (const name of ['bob', 'dave']) await notify.link('later', name)
    notify.start()
    await world.ask('alice', ['dba'])
    await notify.quiet()
    expect(later.requestsAt('dave')).toHaveLength(1)
    expect(later.requestsAt('bob')).toHaveLength(0)
    await passing(11 * MINUTE)
    expect(later.requestsAt('bob')).toHaveLength(1)
  })

  test('wait again after an answer, and never come for who has answered or once it is decided', async () => {
    const later = await notify.integration('later', [{ reviewers: true, after: '10m' }])
    for (const name of ['bob', 'carol']) await notify.link('later', name)
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await passing(9 * MINUTE)
    await world.approve('bob', id)
    await passing(5 * MINUTE)
    expect(later.posts).toEqual([])
    await world.approve('carol', id)
    await passing(20 * MINUTE)
    expect(later.posts).toEqual([])
  })

  test('come at once where the vendor says that nobody is there', async () => {
    const later = await notify.integration('later', [{ reviewers: true, after: '10m' }])
    await notify.link('later', 'bob')
    vendor.mishap = (task) =>
      task.destination.person?.name === 'bob'
        ? { when: 'before', error: new DeliveryFailed('destination', 'user_disabled') }
        : null
    notify.start()
    await world.ask('alice', ['dba'])
    await until('the fallback', () => later.requestsAt('bob').length === 1)
    expect((await notify.rows()).filter((row) => row.state === 'dead').map((row) => row.failure)).toEqual([
      'user_disabled',
    ])
  })
})

describe('a vendor that fails', () => {
  test('trap 24: down for ten minutes, it gets exactly one message for each destination, in the newest state', async () => {
    vendor.mishap = down
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    for (let minute = 0; minute < 10; minute++) {
      world.clock.advance(MINUTE)
      if (minute === 4) await world.approve('bob', id)
    }
    await until('an attempt', () => vendor.calls > 0)
    vendor.mishap = () => null
    await until('everything told', async () => {
      world.clock.advance(MINUTE)
      return (await notify.rows()).every((row) => row.state !== 'due')
    })
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(1)
    expect(vendor.requestsAt('carol')).toHaveLength(1)
    // He has answered in the meantime.
    expect(vendor.requestsAt('bob')).toHaveLength(0)
    expect(lastShown(vendor.requestsAt('carol')[0])).toBe('pending approve deny open')
    expect(vendor.requestsAt(CHANNEL)[0]?.shown).toHaveLength(1)
  })

  test('429 with Retry-After holds the whole integration, and no other one, for so long', async () => {
    const other = await notify.integration('other', [{ channels: ['C0OTHER'] }])
    vendor.mishap = (): Mishap => ({ when: 'before', error: new DeliveryFailed('retry', 'ratelimited', 30_000) })
    notify.start()
    await world.ask('alice', ['dba'])
    await until('the other one', () => other.requestsAt('C0OTHER').length === 1)
    await until('all that were on their way', async () => (await notify.rows()).every((row) => row.leased_by === null))
    const calls = vendor.calls
    expect(calls).toBeLessThanOrEqual(4)
    vendor.mishap = () => null
    world.clock.advance(29_000)
    await world.ask('alice', ['dba'], { reason: 'another' })
    await until('the other one again', () => other.requestsAt('C0OTHER').length === 2)
    expect(vendor.calls).toBe(calls)
    await until('what was held', async () => {
      world.clock.advance(1000)
      return (await notify.rows()).every((row) => row.state === 'settled')
    })
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(2)
  })

  test('an integration with bad credentials is disabled once, with an event, administrators are told, and editing it heals it', async () => {
    await world.user('erin', { roles: ['admin'] })
    const other = await notify.integration('other', [{ roles: ['nothing'], requester: true }])
    await notify.link('other', 'erin')
    vendor.mishap = (): Mishap => ({ when: 'before', error: new DeliveryFailed('integration', 'invalid_auth') })
    notify.start()
    await world.ask('alice', ['dba'])
    await until('somebody is told', () => other.linesAt('erin').length > 0)
    expect(other.linesAt('erin')).toEqual([
      'the integration chat works no more: invalid_auth; see: sallyctl integration status',
    ])
    expect((await world.eventTypes()).filter((type) => type === 'integration.disable')).toHaveLength(1)
    vendor.mishap = () => null
    await notify.integration('chat', EVERYWHERE)
    await until('what waited', async () => {
      world.clock.advance(MINUTE)
      return (await notify.rows()).every((row) => row.state !== 'due')
    })
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(1)
  })

  test('a message that was removed there is sent anew', async () => {
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await notify.quiet()
    vendor.remove(vendor.requestsAt(CHANNEL)[0]?.external ?? '')
    await world.approve('bob', id)
    await notify.quiet()
    expect(vendor.requestsAt(CHANNEL)).toHaveLength(1)
    expect((await notify.rows()).find((row) => row.channel === CHANNEL)?.state).toBe('settled')
  })

  test('what it finds wrong with a message is a dead letter and holds up nothing else', async () => {
    vendor.mishap = (task) =>
      task.destination.channel === CHANNEL
        ? { when: 'before', error: new DeliveryFailed('defect', 'invalid_blocks') }
        : null
    notify.start()
    await world.ask('alice', ['dba'])
    await notify.quiet()
    const dead = (await notify.rows()).filter((row) => row.state === 'dead')
    expect(dead.map((row) => [row.channel, row.failure_kind, row.failure])).toEqual([
      [CHANNEL, 'defect', 'invalid_blocks'],
    ])
    expect(vendor.requestsAt('bob')).toHaveLength(1)
  })
})

describe('a daemon that dies', () => {
  /** A plane that dies at the nth step: before it, or after it was done. */
  function dying(plane: NotifyPlane, step: number): { plane: NotifyPlane; dead: () => boolean; kill: () => void } {
    let left = step
    const turn = async <T>(work: () => Promise<T>): Promise<T> => {
      if (left <= 0) return new Promise<T>(() => {})
      left -= 1
      if (left === 0 && step % 2 === 0) return new Promise<T>(() => {})
      const result = await work()
      return left === 0 ? new Promise<T>(() => {}) : result
    }
    return {
      dead: () => left <= 0,
      kill: () => void (left = 0),
      plane: {
        integrations: () => plane.integrations(),
        claimDeliveries: () => turn(() => plane.claimDeliveries()),
        claimMessages: (order) => turn(() => plane.claimMessages(order)),
        storeDelivery: (results) => turn(() => plane.storeDelivery(results)),
        sweep: () => plane.sweep(),
      },
    }
  }

  test.each(Array.from({ length: 16 }, (_, index) => index + 1))(
    'between any two steps (%i): the next one leaves every destination with the newest state, and doubles are looked after',
    async (step) => {
      const { plane, dead, kill } = dying(notify.plane, step)
      notify.start(plane, { mortal: true })
      const { id } = await world.ask('alice', ['dba'])
      await until('the first daemon to die or to finish', async () => dead() || (await settledAll()))
      kill()
      await world.approve('bob', id)
      notify.start()
      await until('the second daemon to finish', async () => {
        world.clock.advance(10_000)
        return settledAll()
      })
      // A copy whose delivery was never confirmed is found when somebody presses a button on it.
      for (const post of vendor.posts) await pressedOn(world, post.shown[0]?.buttonId ?? '', post.external)
      await world.approve('carol', id)
      await until('all copies to be equal', async () => {
        world.clock.advance(10_000)
        return (await settledAll()) && vendor.requestsAt(CHANNEL).every((post) => lastShown(post) === 'approved')
      })
      for (const at of [CHANNEL, 'alice']) {
        expect(vendor.requestsAt(at).length).toBeGreaterThanOrEqual(1)
        expect(vendor.requestsAt(at).length).toBeLessThanOrEqual(2)
      }
      expect(vendor.linesAt(CHANNEL).filter((line) => line === 'bob approved').length).toBeLessThanOrEqual(1)
    },
  )

  test('the only daemon on its store sends at its start what the one before it was sending', async () => {
    const held = async (): Promise<number> => (await notify.rows()).filter((row) => row.leased_by !== null).length
    // What it claims is sent, and it dies before it can say so.
    const mute = { ...notify.plane, storeDelivery: () => new Promise<never>(() => {}) }
    notify.start(mute, { mortal: true })
    await world.ask('alice', ['dba'])
    await until('a message to be in its hands', async () => (await held()) > 0)
    await startedAlone(world)
    notify.start()
    // The clock stands still: nothing waits for the end of a lease.
    await until('all to be sent', async () => (await settledAll()) && (await held()) === 0)
    // Whether the vendor took the first one, this vendor cannot be asked.
    expect([1, 2]).toContain(vendor.requestsAt(CHANNEL).length)
  })

  async function settledAll(): Promise<boolean> {
    const waiting = await world.database.reads
      .selectFrom('outbox')
      .select('id')
      .where('routed_at', 'is', null)
      .executeTakeFirst()
    const rows = await notify.rows()
    return waiting === undefined && rows.length > 0 && rows.every((row) => row.state !== 'due')
  }

  test('two daemons on one store send each message once', async () => {
    notify.start()
    notify.start()
    for (let count = 0; count < 5; count++) await world.ask('alice', ['dba'], { reason: String(count) })
    await notify.quiet()
    for (const at of [CHANNEL, 'bob', 'carol', 'alice']) expect(vendor.requestsAt(at)).toHaveLength(5)
  })
})
