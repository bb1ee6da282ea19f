import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'
import { systemClock } from '../../foundation/clock.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await world.role('web')
  await world.role('dev', { allow: { request: { roles: ['dba', 'web'] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.role('operator', { allow: { rules: [{ resources: ['request'], verbs: ['list', 'delete'] }] } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
  await world.user('olga', { roles: ['operator'] })
  await world.user('eve', { roles: ['dev'] })
})
afterEach(() => world.close())

const refusal = (code: string): object => ({ code })
async function granted(roles = ['dba'], duration = HOUR, reason = 'x'): Promise<string> {
  const { id } = await world.ask('alice', roles, { duration, reason })
  await world.approve('bob', id)
  return id
}
const grantOf = async (id: string) => (await world.show(id)).grant

describe('taking back', () => {
  test.each([
    ['whoever may review it', callerNamed('bob')],
    ['an operator', callerNamed('olga')],
    ['the local admin', LOCAL_ADMIN],
  ])('%s revokes, in memory before anything is stored', async (_who, caller) => {
    const id = await granted()
    const shown = await world.requests.revoke(caller, id, 'enough')
    expect(shown.grant).toMatchObject({
      state: 'ended',
      endReason: 'revoked',
      endedBy: caller.actor.name,
      endComment: 'enough',
    })
    expect(world.taken).toMatchObject([{ kind: 'grant', id: shown.grant?.id, reason: 'revoked' }])
    expect((await world.eventTypes()).at(-1)).toBe('grant.revoke')
    await expect(world.requests.revoke(caller, id, '')).rejects.toMatchObject(refusal('grant_ended'))
  })
  test('nobody else revokes, and who may not know of it learns nothing', async () => {
    const id = await granted()
    await expect(world.requests.revoke(callerNamed('eve'), id, '')).rejects.toMatchObject(refusal('not_found'))
    await expect(world.requests.revoke(callerNamed('alice'), id, '')).rejects.toMatchObject(refusal('not_allowed'))
    await world.role('reader', { allow: { rules: [{ resources: ['request'], verbs: ['read'] }] } })
    await world.user('rita', { roles: ['reader'] })
    await expect(world.requests.revoke(callerNamed('rita'), id, '')).rejects.toMatchObject(refusal('not_allowed'))
    expect(world.taken).toEqual([])
  })
  test('the requester returns it, nobody else does', async () => {
    const id = await granted()
    await expect(world.requests.return(callerNamed('bob'), id)).rejects.toMatchObject(refusal('not_allowed'))
    await expect(world.requests.return(callerNamed('eve'), id)).rejects.toMatchObject(refusal('not_found'))
    expect((await world.requests.return(callerNamed('alice'), id)).grant).toMatchObject({
      endReason: 'returned',
      endedBy: 'alice',
    })
    await expect(world.requests.return(callerNamed('alice'), id)).rejects.toMatchObject(refusal('grant_ended'))
  })
  test('with a store that cannot write it happens all the same, and is stored later, once', async () => {
    const id = await granted()
    world.deeds.becomeReadOnly('somebody put an old backup back')
    const shown = await world.requests.revoke(callerNamed('bob'), id, 'now')
    expect(shown).toMatchObject({ can: [], grant: { state: 'ended', endReason: 'revoked', endedBy: 'bob' } })
    expect(world.taken).toHaveLength(1)
    expect(await grantOf(id)).toMatchObject({ state: 'active' })
    await world.deeds.commitAcceptance(async () => ({
      result: null,
      events: [{ type: 'audit.accept_rollback', actor: LOCAL_ADMIN.actor, outcome: 'success' }],
    }))
    await world.deeds.retrySpilled()
    expect(await grantOf(id)).toMatchObject({ state: 'ended', endReason: 'revoked', endedBy: 'bob', endComment: 'now' })
    expect(world.deeds.spilled).toBe(0)
  })
  test('a pending request was never granted: there is nothing to revoke', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.requests.revoke(callerNamed('bob'), id, '')).rejects.toMatchObject(refusal('not_found'))
  })
  test('only the requester cancels, only while it waits', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.requests.cancel(callerNamed('bob'), id)).rejects.toMatchObject(refusal('not_allowed'))
    await expect(world.requests.cancel(callerNamed('eve'), id)).rejects.toMatchObject(refusal('not_found'))
    expect(await world.requests.cancel(callerNamed('alice'), id)).toMatchObject({ state: 'cancelled', can: [] })
    await expect(world.requests.cancel(callerNamed('alice'), id)).rejects.toMatchObject(refusal('already_resolved'))
    await expect(world.approve('bob', id)).rejects.toMatchObject(refusal('already_resolved'))
    const late = await world.ask('alice', ['dba'], { pendingFor: MINUTE, reason: 'late' })
    world.clock.advance(MINUTE)
    await expect(world.requests.cancel(callerNamed('alice'), late.id)).rejects.toMatchObject(refusal('request_expired'))
  })
})

describe('several grants', () => {
  test('[74] add up, and each ends alone', async () => {
    const first = await granted(['dba'], HOUR, 'one')
    const second = await granted(['dba'], 2 * HOUR, 'two')
    await world.requests.revoke(callerNamed('bob'), first, '')
    expect(await grantOf(second)).toMatchObject({ state: 'active' })
    world.clock.advance(2 * HOUR)
    await world.sweeper.sweep()
    expect(await grantOf(second)).toMatchObject({ state: 'ended', endReason: 'expired' })
    expect(await grantOf(first)).toMatchObject({ endReason: 'revoked' })
  })
})

describe('consequences', () => {
  const ended = (reason: string): object => ({ state: 'ended', endReason: reason })
  test('a disabled user: the pending request closes and the grant ends for good', async () => {
    const grant = await granted()
    const { id } = await world.ask('alice', ['web'])
    await world.user('alice', { roles: ['dev'], disabled: true })
    await world.user('alice', { roles: ['dev'] })
    expect(await grantOf(grant)).toMatchObject(ended('user_removed'))
    expect(await world.show(id)).toMatchObject({ state: 'cancelled', resolution: 'the user was disabled' })
  })
  test('a deleted user, and nobody of the same name revives anything', async () => {
    const grant = await granted()
    await world.deleteUser('usr_alice')
    await world.user('alice', { roles: ['dev'] }, 'usr_alice2')
    expect(await grantOf(grant)).toMatchObject(ended('user_removed'))
    expect((await world.show(grant)).user).toBe('alice')
    await expect(world.requests.show(callerNamed('alice', 'usr_alice2'), grant)).rejects.toMatchObject(
      refusal('not_found'),
    )
  })
  test('a deleted role ends it, and a new role of that name revives nothing', async () => {
    const grant = await granted()
    const { id } = await world.ask('alice', ['dba'], { reason: 'pending' })
    await world.deleteRole('rol_dba')
    await world.role('dba', {}, 'rol_dba2')
    expect(await grantOf(grant)).toMatchObject(ended('role_deleted'))
    expect(await world.show(id)).toMatchObject({ state: 'cancelled', resolution: 'the role dba was deleted' })
  })
  test('[81] a lock on the request ends it for good, whatever happens to the lock', async () => {
    const grant = await granted()
    const { id } = await world.ask('alice', ['web'])
    const locks = [await world.lock('request', grant), await world.lock('request', id)]
    for (const lock of locks) await world.unlock(lock)
    expect(await grantOf(grant)).toMatchObject(ended('locked'))
    expect(await world.show(id)).toMatchObject({ state: 'cancelled', resolution: 'locked: held' })
  })
  test.each([
    ['a lock on the user', () => world.lock('user', 'usr_alice'), 'the user is locked'],
    ['a lock on the role', () => world.lock('role', 'rol_dba'), 'the role dba is locked'],
  ])('%s suspends while it lasts; the clock runs on; each turn is an event', async (_what, lock, why) => {
    const grant = await granted()
    const id = await lock()
    const row = () =>
      world.database.reads.selectFrom('grants').select(['state', 'suspended', 'ends_at']).executeTakeFirstOrThrow()
    const { ends_at } = await row()
    expect(await row()).toMatchObject({ state: 'active', suspended: why, ends_at })
    await world.unlock(id)
    expect(await row()).toMatchObject({ state: 'active', suspended: null, ends_at })
    expect((await world.eventTypes()).filter((type) => /suspend|resume/.test(type))).toEqual([
      'grant.suspend',
      'grant.resume',
    ])
    expect((await world.show(grant)).grant?.state).toBe('active')
  })
  test('so does losing the permission to ask', async () => {
    await granted()
    await world.user('alice', { roles: [] })
    const row = await world.database.reads.selectFrom('grants').selectAll().executeTakeFirstOrThrow()
    expect(row).toMatchObject({ state: 'active', suspended: 'the role dba may no longer be asked for' })
  })
  test('a reviewer who loses the right afterwards takes nothing away', async () => {
    const grant = await granted()
    await world.user('bob', { roles: [] })
    expect(await grantOf(grant)).toMatchObject({ state: 'active' })
  })
  test('what ended while nobody swept is shown as ended, and stored with the instant of its end', async () => {
    const grant = await granted()
    const end = (await grantOf(grant))?.endsAt
    world.clock.advance(5 * HOUR)
    expect(await grantOf(grant)).toMatchObject({ state: 'ended', endReason: 'expired', endedAt: end })
    await world.sweeper.sweep()
    const row = await world.database.reads.selectFrom('grants').selectAll().executeTakeFirstOrThrow()
    expect(row).toMatchObject({ state: 'ended', ended_at: end, end_reason: 'expired' })
    const events = (await world.eventTypes()).length
    await world.sweeper.sweep()
    expect((await world.eventTypes()).length).toBe(events)
  })
})

describe('the sweep', () => {
  test('goes by itself, second by second', async () => {
    await world.sweeper.start()
    const { id } = await world.ask('alice', ['dba'], { pendingFor: MINUTE })
    const stored = () =>
      world.database.reads.selectFrom('access_requests').select('state').where('id', '=', id).executeTakeFirstOrThrow()
    world.clock.advance(MINUTE + 1000)
    for (let turn = 0; turn < 200 && (await stored()).state === 'pending'; turn++) {
      world.clock.advance(1000)
      await new Promise<void>((resolve) => void systemClock.after(5, resolve))
    }
    expect((await stored()).state).toBe('expired')
  })
})

test('the grant pins the revisions that the approvals named', async () => {
  const { id } = await world.ask('alice', ['dba'])
  await world.role('dba', { allow: { logins: ['other'] } })
  await world.approve('bob', id)
  await world.role('dba', { allow: { logins: ['postgres', 'root'] } })
  const row = await world.database.reads.selectFrom('grants').select('roles_json').executeTakeFirstOrThrow()
  expect(JSON.parse(row.roles_json)).toMatchObject([{ id: 'rol_dba', revision: 2 }])
})
