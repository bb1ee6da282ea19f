import { afterEach, describe, expect, it } from 'vitest'
import { AccessWorld, callerNamed, HOUR, MINUTE } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { STORES, useStores } from '../support/stores.ts'

// Every query of the request engine runs here on both stores: SQL that only one of them knows fails this file.
describe.each(STORES)('the request engine on %s', (kind) => {
  const stores = useStores(kind)
  let world: AccessWorld

  afterEach(async () => {
    await world.sweeper.stop()
    await world.deeds.close()
  })

  async function house(): Promise<void> {
    const clock = new ManualClock()
    world = await AccessWorld.open(clock, await stores.open(clock))
    await world.role('prod', { allow: { logins: ['deploy'], node_labels: { env: ['prod'] } } })
    await world.role('spare', { allow: { logins: ['spare'] } })
    const thresholds = [{ name: 'two', approve: 2, deny: 1 }]
    await world.role('dev', { allow: { request: { roles: ['prod', 'spare'], max_duration: '4h', thresholds } } })
    await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('alice', { roles: ['dev'] })
    for (const name of ['bob', 'carol', 'dave']) await world.user(name, { roles: ['lead'] })
  }

  it('asks, counts two approvals, grants, and ends the grant by revoke', async () => {
    await house()
    const asked = await world.ask('alice', ['prod'], { duration: HOUR })
    expect(asked).toMatchObject({ state: 'pending', user: 'alice', roles: ['prod'] })
    expect(await world.ask('alice', ['prod'], { duration: HOUR })).toMatchObject({ id: asked.id })
    expect((await world.approve('bob', asked.id)).state).toBe('pending')
    await expect(world.approve('alice', asked.id)).rejects.toMatchObject({ code: 'own_request' })
    const approved = await world.approve('carol', asked.id, { duration: 30 * MINUTE })
    expect(approved).toMatchObject({ state: 'approved', grantedDuration: 30 * MINUTE, grant: { state: 'active' } })
    await expect(world.approve('dave', asked.id)).rejects.toMatchObject({ code: 'already_resolved' })
    const revoked = await world.requests.revoke(callerNamed('bob'), asked.id, 'enough')
    expect(revoked.grant).toMatchObject({ state: 'ended', endReason: 'revoked', endedBy: 'bob' })
    const types = (await world.eventTypes()).filter((type) => /^(access_request|grant)\./.test(type))
    expect(types).toEqual([
      'access_request.create',
      ...['access_request.review', 'access_request.review_refused', 'access_request.review'],
      ...['access_request.approve', 'grant.start', 'grant.revoke'],
    ])
    expect((await world.outbox()).map(({ topic }) => topic)).toEqual([
      'request.created',
      ...['request.reviewed', 'request.reviewed', 'request.decided', 'grant.ended'],
    ])
  })

  it('denies, lets the clock expire, suspends by a lock and lists what everybody may see', async () => {
    await house()
    const denied = await world.ask('alice', ['prod'], { duration: HOUR })
    expect((await world.deny('bob', denied.id, { reason: 'not now' })).state).toBe('denied')
    const late = await world.ask('alice', ['spare'], { pendingFor: 10 * MINUTE })
    world.clock.advance(10 * MINUTE)
    await expect(world.approve('bob', late.id)).rejects.toMatchObject({ code: 'request_expired' })
    expect((await world.show(late.id)).state).toBe('expired')
    const granted = await world.ask('alice', ['spare'], { duration: HOUR })
    for (const name of ['bob', 'carol']) await world.approve(name, granted.id)
    const lock = await world.lock('user', 'usr_alice')
    expect((await world.show(granted.id)).grant?.state).toBe('active')
    await world.unlock(lock)
    world.clock.advance(HOUR)
    await world.sweeper.sweep()
    expect((await world.show(granted.id)).grant).toMatchObject({ state: 'ended', endReason: 'expired' })
    const open = await world.ask('alice', ['prod', 'spare'])
    const mine = await world.requests.list(callerNamed('alice'), { scope: 'mine', limit: 2 })
    expect(mine.items.map(({ id }) => id)).toEqual([open.id, granted.id])
    const rest = await world.requests.list(callerNamed('alice'), { scope: 'mine', cursor: mine.next ?? '' })
    expect(rest.items.map(({ id }) => id)).toEqual([late.id, denied.id])
    const reviewable = await world.requests.list(callerNamed('bob'), { scope: 'reviewable' })
    expect(reviewable.items.map(({ id }) => id)).toEqual([open.id])
    expect((await world.requests.cancel(callerNamed('alice'), open.id)).state).toBe('cancelled')
  })

  it('lets twenty reviewers vote at once and decides once', async () => {
    await house()
    const names = Array.from({ length: 20 }, (_, index) => `rev${index}`)
    for (const name of names) await world.user(name, { roles: ['lead'] })
    const { id } = await world.ask('alice', ['prod'])
    const seen = await world.show(id)
    const votes = await Promise.allSettled(names.map((name) => world.approve(name, id, { seen })))
    expect(votes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2)
    const types = await world.eventTypes()
    expect(types.filter((type) => type === 'access_request.approve')).toHaveLength(1)
    expect(types.filter((type) => type === 'grant.start')).toHaveLength(1)
  })
})
