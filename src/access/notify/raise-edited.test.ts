import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, MINUTE } from '../../../test/support/access-world.ts'
import { until } from '../../../test/support/until.ts'
import { lastShown, NotifyWorld, type FakeVendor } from '../../../test/support/notify-world.ts'

let world: AccessWorld
let notify: NotifyWorld
let vendor: FakeVendor
const CHANNEL = 'C0OPS'

beforeEach(async () => {
  world = await AccessWorld.open()
  notify = new NotifyWorld(world)
  await world.role('dba')
  await world.role('asker', { allow: { request: { roles: ['dba'] } } })
  await world.role('reviewer', { allow: { review_requests: { roles: ['*'] } } })
  await world.role('bot', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['asker'] })
  await world.user('bob', { roles: ['reviewer'] })
  vendor = await notify.integration('chat', [{ channels: [CHANNEL] }])
})
afterEach(() => notify.close())

const due = async (): Promise<number> => (await notify.rows()).filter(({ state }) => state === 'due').length
/** A sweep a minute, as the engine does, until the message was shown so often. */
const shown = (times: number): Promise<unknown> =>
  until(`shown ${times} times`, async () => {
    world.clock.advance(MINUTE)
    await notify.plane.sweep()
    return timesShown()[0] === times
  })
const timesShown = (): number[] => vendor.requestsAt(CHANNEL).map(({ shown }) => shown.length)

describe('edits that show in messages', () => {
  test('of a role reach the message of every request that waits, however many there are; then nothing is looked at again', async () => {
    for (let at = 0; at < 12; at++) {
      await world.user(`asker-${at}`, { roles: ['asker'] })
      for (let count = 0; count < 18; count++) await world.ask(`asker-${at}`, ['dba'], { reason: `ticket ${count}` })
    }
    while ((await notify.plane.claimDeliveries()) > 0);
    const settle = () =>
      world.database.transact((tx) =>
        tx.updateTable('messages').set({ state: 'settled', content_hash: 'old', rendered_version: 9 }).execute(),
      )
    await settle()
    await notify.plane.sweep()
    expect(await due()).toBe(216)
    await settle()
    await notify.plane.sweep()
    expect(await due()).toBe(0)
    await world.role('dba', { allow: { logins: ['root'] } })
    await notify.plane.sweep()
    expect(await due()).toBe(216)
  })
  test('of nothing that shows change nothing, and what the clock changes is seen within a quarter of an hour', async () => {
    notify.start()
    await world.ask('alice', ['dba'])
    await notify.quiet()
    await notify.plane.sweep()
    expect(await due()).toBe(0)
    await world.lock('user', 'usr_bob', world.clock.now() + 5 * MINUTE)
    await shown(2)
    await notify.plane.sweep()
    expect(await due()).toBe(0)
    const before = world.clock.now()
    await shown(3)
    expect(world.clock.now() - before).toBeLessThan(30 * MINUTE)
  })
})

describe('notes of programs', () => {
  const annotate = async (id: string, text: string, key = 'note'): Promise<void> => {
    const actor = { kind: 'user', id: 'usr_helper', name: 'helper' } as const
    const caller = { actor, userId: actor.id, loginId: null, local: false }
    await world.requests.annotate(caller, id, { key, text })
    await notify.quiet()
  }
  const notesShown = (): string[] => {
    const content = vendor.requestsAt(CHANNEL)[0]?.shown.at(-1)?.content
    return content?.kind === 'request' ? content.view.notes.map(({ by, text }) => `${by}: ${text}`) : []
  }
  beforeEach(() => world.user('helper', { roles: ['bot'], owner: 'bob' }))

  test('are said once in the thread and stand on the message; replaced and taken back they change on the message alone', async () => {
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await notify.quiet()
    await annotate(id, 'the ticket is open')
    expect(vendor.linesAt(CHANNEL)).toEqual(['helper left a note: "the ticket is open"'])
    expect(notesShown()).toEqual(['helper: the ticket is open'])
    await annotate(id, 'the ticket is closed')
    expect(notesShown()).toEqual(['helper: the ticket is closed'])
    await annotate(id, '')
    expect(notesShown()).toEqual([])
    expect(vendor.linesAt(CHANNEL)).toHaveLength(1)
    expect(lastShown(vendor.requestsAt(CHANNEL)[0])).toBe('pending approve deny open')
  })
  test('that were there before the message was sent stand on it, the newest of many, with secrets masked', async () => {
    const { id } = await world.ask('alice', ['dba'])
    for (const key of ['a', 'b', 'c', 'd'])
      await world.requests.annotate(
        {
          actor: { kind: 'user', id: 'usr_helper', name: 'helper' },
          userId: 'usr_helper',
          loginId: null,
          local: false,
        },
        id,
        { key, text: key === 'd' ? 'key AKIAIOSFODNN7EXAMPLE' : key },
      )
    notify.start()
    await notify.quiet()
    expect(notesShown().slice(0, 3)).toEqual(['helper: a', 'helper: b', 'helper: c'])
    expect(notesShown()[3]).toBe('helper: key [secret removed]')
  })
  test('are left out where reasons are', async () => {
    vendor = await notify.integration('quiet', [{ channels: [CHANNEL] }], { omit_reason: true })
    notify.start()
    const { id } = await world.ask('alice', ['dba'])
    await notify.quiet()
    await annotate(id, 'the ticket is open')
    expect(vendor.linesAt(CHANNEL)).toEqual(['helper left a note'])
    expect(notesShown()).toEqual([])
  })
})
