import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import type { AccessRequest } from '../../contract/request.ts'

const DAY = 24 * HOUR

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
const extend = (id: string, durationMs = 30 * MINUTE, more: object = {}, who = 'alice'): Promise<AccessRequest> =>
  world.requests.extend(callerNamed(who), id, {
    durationMs,
    reason: 'still at it',
    pendingForMs: null,
    reviewers: [],
    ...more,
  })
const endOf = async (id: string): Promise<number | undefined> => (await world.show(id)).grant?.endsAt

describe('asking for more time', () => {
  test('an approved extension moves the end of the grant from where it was', async () => {
    const { id, grant } = await granted()
    world.clock.advance(50 * MINUTE)
    const extension = await extend(id)
    expect(extension).toMatchObject({ kind: 'extension', extends: grant?.id, roles: ['dba'], state: 'pending' })
    world.clock.advance(5 * MINUTE)
    expect(await world.approve('bob', extension.id)).toMatchObject({ state: 'approved', grant: { id: grant?.id } })
    expect(await endOf(id)).toBe((grant?.endsAt ?? 0) + 30 * MINUTE)
    world.clock.jumpTo((grant?.endsAt ?? 0) + 30 * MINUTE - 1)
    await world.sweeper.sweep()
    expect(await world.show(id)).toMatchObject({ grant: { state: 'active' } })
    world.clock.advance(1)
    expect(await world.show(id)).toMatchObject({ grant: { state: 'ended', endReason: 'expired' } })
    expect(await world.eventTypes()).toContain('grant.extend')
  })
  test('the grant is named by its own id, its request or an earlier extension', async () => {
    const { id, grant } = await granted()
    const first = await extend(grant?.id ?? '')
    await world.approve('bob', first.id)
    const second = await extend(first.id, HOUR)
    expect(second.extends).toBe(grant?.id)
    await world.deny('bob', second.id)
    world.clock.advance(10 * MINUTE)
    expect((await extend(id)).extends).toBe(grant?.id)
  })
  test('an approved extension is a change of the first request: whoever watches that hears of it', async () => {
    const { id, version } = await granted()
    const extension = await extend(id)
    await world.approve('bob', extension.id)
    expect((await world.show(id)).version).toBeGreaterThan(version)
  })
  test('nobody else asks for it, and who may not see the request is told it is not there', async () => {
    const { id } = await granted()
    await world.user('eve', { roles: ['dev'] })
    await expect(extend(id, HOUR, {}, 'bob')).rejects.toMatchObject({ code: 'not_allowed' })
    await expect(extend(id, HOUR, {}, 'eve')).rejects.toMatchObject({ code: 'not_found' })
    await expect(extend('req_nothing')).rejects.toMatchObject({ code: 'not_found' })
  })
  test('one waits at a time; the identical one is found again', async () => {
    const { id } = await granted()
    const first = await extend(id)
    expect((await extend(id)).id).toBe(first.id)
    await expect(extend(id, HOUR)).rejects.toMatchObject({ code: 'exists', hint: expect.stringContaining(first.id) })
    await world.requests.cancel(callerNamed('alice'), first.id)
    expect((await extend(id, HOUR)).id).not.toBe(first.id)
  })
  test('one that nobody decided in time makes room for another, also before it is swept', async () => {
    const { id } = await granted(2 * HOUR)
    const late = await extend(id, 30 * MINUTE, { pendingForMs: 10 * MINUTE })
    world.clock.advance(10 * MINUTE)
    const next = await extend(id, HOUR)
    expect(next).toMatchObject({ state: 'pending', duration: HOUR })
    expect((await world.show(late.id)).state).toBe('expired')
    expect((await world.eventTypes()).filter((type) => type === 'access_request.expire')).toHaveLength(1)
  })
  test('each within the cap, all together within 14 days', async () => {
    const { id } = await granted(4 * DAY)
    await expect(extend(id, 4 * DAY + 1)).rejects.toMatchObject({ code: 'duration_over_cap' })
    for (let times = 0; times < 2; times++) await world.approve('bob', (await extend(id, 4 * DAY)).id)
    await expect(extend(id, 2 * DAY + 1)).rejects.toMatchObject({
      code: 'over_limit',
      message: expect.stringContaining('2d more'),
    })
    await world.approve('bob', (await extend(id, 2 * DAY)).id)
    await expect(extend(id, 1)).rejects.toMatchObject({ code: 'over_limit' })
  })
  test('roles and thresholds are those of today: what may no longer be asked for is not extended', async () => {
    const { id } = await granted()
    await world.role('dev', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
    await world.user('carol', { roles: ['lead'] })
    const extension = await extend(id)
    expect((await world.approve('bob', extension.id)).state).toBe('pending')
    expect((await world.approve('carol', extension.id)).state).toBe('approved')
    await world.role('dev', {})
    await expect(extend(id, HOUR)).rejects.toMatchObject({ code: 'role_not_requestable' })
  })
  test('contents that came later are not given by an extension: the grant keeps what it pinned', async () => {
    const { id } = await granted()
    const pins = async (): Promise<unknown> =>
      (await world.database.reads.selectFrom('grants').select('roles_json').executeTakeFirstOrThrow()).roles_json
    const before = await pins()
    await world.role('dba', { allow: { logins: ['root'] } })
    await world.approve('bob', (await extend(id)).id)
    expect(await pins()).toBe(before)
  })
  test('a reviewer shortens it, and cannot give it a start', async () => {
    const { id, grant } = await granted()
    const extension = await extend(id)
    const startAt = world.clock.now() + HOUR
    await expect(world.approve('bob', extension.id, { startAt })).rejects.toMatchObject({ code: 'malformed' })
    await world.approve('bob', extension.id, { duration: 10 * MINUTE })
    expect(await endOf(id)).toBe((grant?.endsAt ?? 0) + 10 * MINUTE)
  })
  test('before its first use a grant gets longer, and lapses when it would have', async () => {
    const { id, grant } = await granted(HOUR, { start: { at: 'first-use' } })
    await world.approve('bob', (await extend(id)).id)
    expect(await world.show(id)).toMatchObject({
      grantedDuration: 90 * MINUTE,
      grant: { state: 'scheduled', useBy: grant?.useBy, endsAt: (grant?.endsAt ?? 0) + 30 * MINUTE },
    })
  })
  test('nobody approves an extension of their own', async () => {
    await world.user('alice', { roles: ['dev', 'lead'] })
    const { id } = await granted()
    await expect(world.approve('alice', (await extend(id)).id)).rejects.toMatchObject({ code: 'own_request' })
  })
})

describe('an extension whose grant is over', () => {
  test.each([
    ['1 ms before the end it is approved', -1, 'approved'],
    ['at the end it is over', 0, 'grant_ended'],
    ['1 ms after the end it is over', 1, 'grant_ended'],
  ])('%s', async (_, offset, outcome) => {
    const { id, grant } = await granted()
    const extension = await extend(id)
    world.clock.jumpTo((grant?.endsAt ?? 0) + offset)
    const voted = await world.approve('bob', extension.id).then(
      (request) => request.state,
      (error: { code: string }) => error.code,
    )
    expect(voted).toBe(outcome)
    expect((await world.show(id)).grant?.state).toBe(offset < 0 ? 'active' : 'ended')
  })
  test.each(['revoked', 'returned'] as const)('%s: it becomes expired in the same deed, and says why', async (how) => {
    const { id } = await granted()
    const extension = await extend(id)
    if (how === 'returned') await world.requests.return(callerNamed('alice'), id)
    else await world.requests.revoke(callerNamed('bob'), id, '')
    expect(await world.show(extension.id)).toMatchObject({
      state: 'expired',
      resolution: 'the grant that it would extend has ended',
      can: [],
    })
    await expect(world.approve('bob', extension.id)).rejects.toMatchObject({ code: 'grant_ended' })
    await expect(world.requests.cancel(callerNamed('alice'), extension.id)).rejects.toMatchObject({
      code: 'grant_ended',
    })
    await expect(extend(id)).rejects.toMatchObject({ code: 'grant_ended' })
    const about = (await world.outbox()).filter(({ body }) => body['request'] === extension.id)
    expect(about.at(-1)).toMatchObject({ topic: 'request.decided', body: { state: 'expired' } })
  })
  test('a grant that runs out takes its extension with it', async () => {
    const { id } = await granted()
    const extension = await extend(id, HOUR, { pendingForMs: 30 * MINUTE })
    await expect(extend(id, HOUR, { pendingForMs: 2 * HOUR })).rejects.toMatchObject({ code: 'over_limit' })
    world.clock.advance(2 * HOUR)
    await world.sweeper.sweep()
    expect(await world.show(extension.id)).toMatchObject({ state: 'expired' })
  })
  test('a user who was disabled gets no more time', async () => {
    const { id } = await granted()
    const extension = await extend(id)
    await world.user('alice', { roles: ['dev'], disabled: true })
    expect((await world.show(extension.id)).state).not.toBe('pending')
    expect(await world.show(id)).toMatchObject({ grant: { state: 'ended', endReason: 'user_removed' } })
  })
})
