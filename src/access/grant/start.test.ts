import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import { silentLog } from '../../foundation/log.ts'
import { Sweeper } from '../sweeper.ts'
import type { AccessRequest, Start } from '../../contract/request.ts'
import { replayDisableUser } from '../../identity/users.ts'

const DAY = 24 * HOUR

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba')
  const thresholds = [{ name: 'two', approve: 2, deny: 1 }]
  await world.role('dev', { allow: { request: { roles: ['dba'], thresholds } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  for (const name of ['bob', 'carol', 'dan']) await world.user(name, { roles: ['lead'] })
})
afterEach(() => world.close())

const at = (ms: number): Start => ({ at: 'instant', instant: world.clock.now() + ms })
const ask = (start: Start, more: object = {}): Promise<AccessRequest> =>
  world.ask('alice', ['dba'], { duration: HOUR, start, ...more })
async function granted(start: Start, more: object = {}): Promise<AccessRequest> {
  const { id } = await ask(start, more)
  await world.approve('bob', id)
  return world.approve('carol', id)
}
const grantStates = async (id: string): Promise<(string | null | undefined)[]> => {
  const before = (await world.show(id)).grant
  await world.sweeper.sweep('overdue')
  const after = (await world.show(id)).grant
  expect(after).toMatchObject({ state: before?.state, endReason: before?.endReason })
  return [after?.state, after?.endReason]
}

describe('asking for a start', () => {
  test.each([
    ['in the past', -1, 'malformed'],
    ['now', 0, 'malformed'],
    ['1 ms ahead', 1, null],
    ['7 days ahead', 7 * DAY, null],
    ['7 days and 1 ms ahead', 7 * DAY + 1, 'over_limit'],
  ])('%s', async (_, ms, code) => {
    const asked = ask(at(ms))
    if (code === null) expect((await asked).start).toMatchObject({ at: 'instant' })
    else await expect(asked).rejects.toMatchObject({ code })
  })
  test('undecided at its start it has expired', async () => {
    const { id, pendingUntil } = await ask(at(HOUR))
    expect(pendingUntil).toBe(world.clock.now() + HOUR)
    world.clock.advance(HOUR - 1)
    await world.approve('bob', id)
    world.clock.advance(1)
    await expect(world.approve('carol', id)).rejects.toMatchObject({ code: 'request_expired' })
    expect(await world.show(id)).toMatchObject({ state: 'expired', grant: null })
  })
  test('to wait beyond the start is refused, not cut in silence', async () => {
    await expect(ask(at(HOUR), { pendingFor: 2 * HOUR })).rejects.toMatchObject({ code: 'over_limit' })
    expect((await ask(at(3 * DAY))).pendingUntil).toBe(world.clock.now() + DAY)
  })
  test('the start is part of what is asked: another one is another request, with other digests', async () => {
    const now = await ask({ at: 'approval' })
    const used = await ask({ at: 'first-use' })
    expect(used.id).not.toBe(now.id)
    expect((await ask({ at: 'first-use' })).id).toBe(used.id)
    expect(used.requestDigest).not.toBe(now.requestDigest)
  })
})

describe('a grant with a start', () => {
  test('scheduled, active, ended: by the millisecond, swept or not', async () => {
    const { id } = await granted(at(2 * HOUR))
    const startsAt = world.clock.now() + 2 * HOUR
    const table = [
      [startsAt - 1, 'scheduled', null],
      [startsAt, 'active', null],
      [startsAt + HOUR - 1, 'active', null],
      [startsAt + HOUR, 'ended', 'expired'],
    ] as const
    for (const [now, ...state] of table) {
      world.clock.jumpTo(now)
      expect(await grantStates(id)).toEqual(state)
    }
    expect((await world.eventTypes()).filter((type) => type.startsWith('grant.'))).toEqual([
      'grant.schedule',
      'grant.start',
      'grant.notice',
      'grant.end',
    ])
  })
  test('a daemon that was away for all of it finds it over', async () => {
    const { id } = await granted(at(2 * HOUR))
    world.clock.advance(4 * DAY)
    await world.sweeper.sweep()
    expect(await world.show(id)).toMatchObject({ grant: { state: 'ended', endReason: 'expired' } })
  })
  test('revoked or returned before its start it never starts', async () => {
    const { id } = await granted(at(2 * HOUR))
    await world.requests.return(callerNamed('alice'), id)
    world.clock.advance(2 * HOUR)
    expect(await grantStates(id)).toEqual(['ended', 'returned'])
  })
  test('what changed until then is judged at the start', async () => {
    const { id } = await granted(at(2 * HOUR))
    await world.role('dev', {})
    world.clock.advance(2 * HOUR)
    await world.sweeper.sweep()
    await world.sweeper.sweep()
    const suspended = await world.database.reads.selectFrom('grants').select('suspended').executeTakeFirst()
    expect(suspended?.suspended).toContain('may no longer be asked for')
    expect(await world.eventTypes()).toContain('grant.suspend')
    expect((await world.show(id)).grant?.state).toBe('active')
  })
})

describe('a grant that waits for its first use', () => {
  test('lapses a day after the approval, by the millisecond, swept or not', async () => {
    const { id } = await granted({ at: 'first-use' })
    const useBy = world.clock.now() + DAY
    expect(await world.show(id)).toMatchObject({ grantedDuration: HOUR, grant: { useBy, endsAt: useBy + HOUR } })
    world.clock.jumpTo(useBy - 1)
    expect(await grantStates(id)).toEqual(['scheduled', null])
    world.clock.advance(1)
    expect(await grantStates(id)).toEqual(['ended', 'lapsed'])
    expect(await world.show(id)).toMatchObject({ can: [], grant: { endedAt: useBy } })
    const told = (await world.outbox()).at(-1)
    expect(told).toMatchObject({ topic: 'grant.ended', body: { reason: 'lapsed' } })
  })
  test('can be revoked, returned and extended while it waits', async () => {
    const { id } = await granted({ at: 'first-use' })
    const can = async (who: string): Promise<string[]> => (await world.requests.show(callerNamed(who), id)).can
    expect([await can('alice'), await can('bob')]).toEqual([['return', 'extend'], ['revoke']])
  })
})

describe('a reviewer moves the start', () => {
  test('the latest of the approvals that count; the others see it before they vote', async () => {
    const { id } = await ask(at(HOUR))
    const [one, two] = [world.clock.now() + 2 * HOUR, world.clock.now() + 3 * HOUR]
    expect(await world.approve('bob', id, { startAt: two })).toMatchObject({ grantedStart: two })
    await world.approve('bob', id, { startAt: one })
    const decided = await world.approve('carol', id)
    expect(decided).toMatchObject({
      grantedStart: one,
      grant: { state: 'scheduled', startsAt: one, endsAt: one + HOUR },
    })
  })
  test('never earlier than asked, never into the past, never with a denial', async () => {
    const { id } = await ask(at(HOUR))
    const now = world.clock.now()
    await expect(world.approve('bob', id, { startAt: now + HOUR - 1 })).rejects.toMatchObject({
      code: 'widens_request',
    })
    await expect(world.approve('bob', id, { startAt: now + 8 * DAY })).rejects.toMatchObject({ code: 'over_limit' })
    await expect(world.vote('bob', id, 'deny', { startAt: now + 2 * HOUR })).rejects.toMatchObject({
      code: 'malformed',
    })
    const plain = await ask({ at: 'approval' })
    await expect(world.approve('bob', plain.id, { startAt: now })).rejects.toMatchObject({ code: 'malformed' })
  })
  test('of a first use: not before that, and a day to use it from then', async () => {
    const { id } = await ask({ at: 'first-use' })
    const startAt = world.clock.now() + 5 * HOUR
    await world.approve('bob', id, { startAt })
    expect(await world.approve('carol', id)).toMatchObject({
      grant: { state: 'scheduled', startsAt: startAt, useBy: startAt + DAY, endsAt: startAt + DAY + HOUR },
    })
  })
  test('a start that has passed when the last approval lands is no delay', async () => {
    const { id } = await ask({ at: 'approval' })
    await world.approve('bob', id, { startAt: world.clock.now() + HOUR })
    world.clock.advance(2 * HOUR)
    const now = world.clock.now()
    expect(await world.approve('carol', id)).toMatchObject({
      grant: { state: 'active', startsAt: now, endsAt: now + HOUR },
    })
  })
})

describe('an approval binds to the terms that were shown', () => {
  test('what changed since the look is refused, and said', async () => {
    const { id } = await ask({ at: 'approval' })
    const seen = await world.show(id)
    await world.approve('bob', id, { duration: 10 * MINUTE })
    await expect(world.approve('carol', id, { seen })).rejects.toMatchObject({
      code: 'request_changed',
      details: { grantedDuration: 10 * MINUTE, grantedStart: null },
    })
    expect(await world.deny('carol', id, { seen })).toMatchObject({ state: 'denied' })
  })
  test('who says nothing of the terms has seen the request as it was asked', async () => {
    const { id, requestDigest, factsDigest } = await ask({ at: 'approval' })
    await world.approve('bob', id, { duration: 10 * MINUTE })
    const ballot = { decision: 'approve', reason: '', durationMs: null, startAt: null, shown: null } as const
    await expect(
      world.requests.review(callerNamed('carol'), id, { ...ballot, requestDigest, factsDigest }, async () => null),
    ).rejects.toMatchObject({ code: 'request_changed' })
  })
  test('who makes it longer again afterwards does so for nobody who was shown less', async () => {
    await world.role('dev', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 3, deny: 1 }] } } })
    const { id } = await ask({ at: 'approval' })
    const startAt = world.clock.now() + HOUR
    await world.approve('bob', id, { duration: 10 * MINUTE, startAt })
    await world.approve('carol', id)
    await world.approve('bob', id, { duration: HOUR })
    const shown = await world.show(id)
    expect(shown).toMatchObject({ grantedDuration: 10 * MINUTE, grantedStart: startAt })
    expect(await world.approve('dan', id)).toMatchObject({
      grant: { startsAt: startAt, endsAt: startAt + 10 * MINUTE },
    })
  })
})

/** As after a restart: the first sweep comes when everything has happened. */
function sweepLate(): Promise<void> {
  const { database, deeds, clock } = world
  return new Sweeper({ reads: database.reads, deeds, clock, log: silentLog }).sweep()
}

describe('a lock on the request', () => {
  test('ends grant and question for good, however soon it is taken away', async () => {
    const { id } = await granted({ at: 'approval' })
    const { id: pending } = await ask({ at: 'approval' })
    await world.sweeper.stop()
    for (const each of [id, pending]) await world.unlock(await world.lock('request', each))
    await sweepLate()
    expect(await world.show(id)).toMatchObject({ grant: { state: 'ended', endReason: 'locked' } })
    expect((await world.show(pending)).state).toBe('cancelled')
  })
})

describe('a user who was disabled', () => {
  test('loses grants and requests for good, however soon the account is enabled again', async () => {
    const { id } = await granted({ at: 'first-use' })
    const { id: pending } = await ask({ at: 'approval' })
    // Both edits before any sweep: this is what the stored instant remembers.
    await world.sweeper.stop()
    await world.user('alice', { roles: ['dev'], disabled: true })
    world.clock.advance(1)
    await world.user('alice', { roles: ['dev'] })
    await sweepLate()
    expect(await world.show(id)).toMatchObject({ grant: { state: 'ended', endReason: 'user_removed' } })
    expect(await world.show(pending)).toMatchObject({ state: 'cancelled', resolution: 'the user was disabled' })
    expect((await granted({ at: 'approval' }, { reason: 'anew' })).grant?.state).toBe('active')
  })
  test('loses them, too, when the disabling had to wait for room on the disk', async () => {
    const { id } = await granted({ at: 'approval' })
    const { id: pending } = await ask({ at: 'approval' })
    await world.sweeper.stop()
    const actor = { kind: 'system', id: null, name: 'test' }
    await world.deeds.commitDeed(replayDisableUser({ userId: 'usr_alice', actor, by: null }))
    world.clock.advance(1)
    await world.user('alice', { roles: ['dev'] })
    await sweepLate()
    expect(await world.show(id)).toMatchObject({ grant: { state: 'ended', endReason: 'user_removed' } })
    expect((await world.show(pending)).state).toBe('cancelled')
  })
})
