import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, HOUR } from '../../../test/support/access-world.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', {})
  await world.role('dev', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('carol', { roles: ['lead'] })
  await world.user('olga')
  await world.user('bot', { roles: ['lead'], owner: 'olga' })
})
afterEach(() => world.close())

describe('a service account whose owner', () => {
  test.each([
    ['is disabled', 'user_disabled', () => world.user('olga', { disabled: true })],
    ['is locked', 'locked', () => world.lock('user', 'usr_olga')],
    ['is gone', 'user_disabled', () => world.user('bot', { roles: ['lead'], owner: 'nobody' })],
  ])('%s has no vote, by whatever way it comes', async (_what, code, happens) => {
    const { id } = await world.ask('alice', ['dba'])
    await happens()
    await expect(world.approve('bot', id)).rejects.toMatchObject({ code })
  })

  test('is disabled or locked later has cast a vote that counts no more, until the owner is back', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bot', id)
    const lock = await world.lock('user', 'usr_olga')
    expect((await world.show(id)).reviews).toMatchObject([{ reviewer: 'bot', counts: false, why: 'reviewer_locked' }])
    expect((await world.approve('carol', id)).state).toBe('pending')
    await world.unlock(lock)
    await world.user('olga', { disabled: true })
    expect((await world.show(id)).reviews[0]).toMatchObject({ counts: false, why: 'reviewer_disabled' })
  })

  test('is locked for an hour has it back after that hour', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.lock('user', 'usr_olga', world.clock.now() + HOUR)
    await expect(world.approve('bot', id)).rejects.toMatchObject({ code: 'locked' })
    world.clock.advance(HOUR)
    expect((await world.approve('bot', id)).reviews).toMatchObject([{ reviewer: 'bot', counts: true }])
  })
})
