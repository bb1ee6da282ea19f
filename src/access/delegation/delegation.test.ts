import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, asked, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'
import { Delegations } from './delegations.ts'

let world: AccessWorld
let delegations: Delegations
const DAY = 24 * HOUR

beforeEach(async () => {
  world = await AccessWorld.open()
  delegations = new Delegations({ reads: world.database.reads, deeds: world.deeds, clock: world.clock })
  await world.role('dba', { allow: { logins: ['deploy'], node_labels: { '*': '*' } } })
  await world.role('web')
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await asking([{ approve: 1, deny: 1 }])
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'], traits: { team: ['db'] } })
  await world.user('carol', { roles: ['lead'] })
  await world.user('dan')
  await world.user('eve')
})
afterEach(() => world.close())

const asking = (thresholds: object[]) =>
  world.role('dev', { allow: { request: { roles: ['dba', 'web'], thresholds } } })
const give = (absent: string, to: string, more: { until?: number; roles?: string[]; reason?: string } = {}) =>
  delegations.add(callerNamed(absent), {
    to,
    until: more.until ?? world.clock.now() + DAY,
    roles: more.roles ?? null,
    reason: more.reason ?? '',
  })
const whys = async (id: string) => (await world.show(id)).reviews.map(({ reviewer, why }) => `${reviewer}: ${why}`)
const refusal = (code: string) => ({ code })

describe('a delegate', () => {
  test('without any right of their own votes for the absent one, and the access works', async () => {
    await give('bob', 'dan')
    const { id } = await world.ask('alice', ['dba'])
    const decided = await world.approve('dan', id)
    expect(decided).toMatchObject({ state: 'approved', resolution: 'approved by dan for bob' })
    expect(decided.reviews).toMatchObject([{ reviewer: 'dan', onBehalfOf: 'bob', counts: true, roles: ['dba'] }])
    expect(decided.grant).toMatchObject({ state: 'active', roles: ['dba'] })
    const review = (await world.events()).find(({ type }) => type === 'access_request.review')
    expect(review).toMatchObject({ actor: { name: 'dan' }, details: { onBehalfOf: 'usr_bob' } })
  })
  test('passes the filters that the absent one passes, and no others', async () => {
    await asking([{ filter: '"db" in reviewer.traits.team && reviewer.name == "bob"', approve: 1 }])
    await give('bob', 'dan')
    await give('carol', 'eve')
    const { id } = await world.ask('alice', ['dba'])
    expect(await world.approve('eve', id)).toMatchObject({
      state: 'pending',
      reviews: [{ why: 'no_threshold_counts_it' }],
    })
    expect((await world.approve('dan', id)).state).toBe('approved')
  })
  test('sees the request, and is named beside the absent one', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.requests.show(callerNamed('dan'), id)).rejects.toMatchObject(refusal('not_found'))
    const { until } = await give('bob', 'dan')
    const shown = await world.requests.show(callerNamed('dan'), id)
    expect(shown.can).toEqual(['review'])
    expect(shown.reviewers).toEqual(['bob', 'carol'])
    expect(shown.delegates).toEqual([{ name: 'dan', onBehalfOf: 'bob', until }])
    const preview = await world.requests.forecast(callerNamed('alice'), asked(['dba']))
    expect(preview.delegates).toEqual([{ name: 'dan', onBehalfOf: 'bob', until }])
  })
  test('is one human with one vote: for bob or for carol, and the later replaces the earlier', async () => {
    await asking([{ approve: 2, deny: 2 }])
    await give('bob', 'dan')
    await give('carol', 'dan')
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.approve('dan', id)).rejects.toMatchObject({
      code: 'absent_one_unclear',
      message: expect.stringContaining('bob, carol'),
      hint: 'name one: --on-behalf-of=bob',
    })
    await world.approve('dan', id, { onBehalfOf: 'bob' })
    expect((await world.approve('dan', id, { onBehalfOf: 'carol' })).state).toBe('pending')
    expect(await whys(id)).toEqual(['dan: replaced', 'dan: null'])
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
  test('with a right of their own votes as self, unless they say otherwise', async () => {
    await asking([{ approve: 2 }])
    await give('bob', 'carol')
    const { id } = await world.ask('alice', ['dba'])
    expect((await world.approve('carol', id)).reviews).toMatchObject([{ reviewer: 'carol', onBehalfOf: null }])
    const changed = await world.approve('carol', id, { onBehalfOf: 'bob' })
    expect(changed.reviews.at(-1)).toMatchObject({ reviewer: 'carol', onBehalfOf: 'bob', counts: true })
    expect(changed).toMatchObject({ state: 'pending', progress: [{ approvals: 1 }] })
  })
  test('never votes on a request of their own, nor on one of the absent one', async () => {
    await world.user('dan', { roles: ['dev'] })
    await world.user('bob', { roles: ['lead', 'dev'] })
    await give('bob', 'dan')
    const own = await world.ask('dan', ['dba'])
    await expect(world.approve('dan', own.id)).rejects.toMatchObject(refusal('own_request'))
    const bobs = await world.ask('bob', ['dba'])
    await expect(world.approve('dan', bobs.id)).rejects.toMatchObject(refusal('not_a_reviewer'))
    await expect(world.approve('dan', bobs.id, { onBehalfOf: 'bob' })).rejects.toMatchObject(refusal('not_a_reviewer'))
    await give('carol', 'dan')
    await expect(world.approve('dan', bobs.id, { onBehalfOf: 'bob' })).rejects.toMatchObject(refusal('not_a_reviewer'))
    expect((await world.approve('dan', bobs.id)).reviews).toMatchObject([{ onBehalfOf: 'carol', counts: true }])
  })
  test('hands nothing on: there are no chains', async () => {
    await give('bob', 'dan')
    await expect(give('dan', 'eve')).rejects.toMatchObject(refusal('not_a_reviewer'))
    await world.role('webber', { allow: { review_requests: { roles: ['web'] } } })
    await world.user('dan', { roles: ['webber'] })
    await give('dan', 'eve')
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.approve('eve', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
    await expect(world.approve('eve', id, { onBehalfOf: 'bob' })).rejects.toMatchObject(refusal('not_a_reviewer'))
    expect(
      (await world.ask('alice', ['web'])).delegates.map(({ name, onBehalfOf }) => `${name} ${onBehalfOf}`),
    ).toEqual(['dan bob', 'eve dan'])
  })
  test('votes on the roles that the delegation names, role by role', async () => {
    await asking([{ approve: 1 }])
    await give('bob', 'dan', { roles: ['web'] })
    const { id } = await world.ask('alice', ['dba', 'web'])
    const shown = await world.approve('dan', id)
    expect(shown).toMatchObject({ state: 'pending', reviews: [{ roles: ['web'] }] })
    expect(shown.progress.map(({ role, met }) => `${role} ${met}`).sort()).toEqual(['dba false', 'web true'])
    const other = await world.ask('alice', ['dba'])
    await expect(world.approve('dan', other.id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
})

describe('one vote for each absent one', () => {
  beforeEach(async () => {
    await asking([{ approve: 3, deny: 2 }])
  })
  test('their own vote goes before that of their delegate, whichever was cast first', async () => {
    await give('bob', 'dan')
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('dan', id)
    await world.deny('bob', id)
    expect(await whys(id)).toEqual(['dan: absent_one_voted', 'bob: null'])
    expect((await world.show(id)).progress).toMatchObject([{ approvals: 0, denials: 1 }])
    const second = await world.ask('alice', ['web'])
    await world.deny('bob', second.id)
    await world.approve('dan', second.id)
    expect(await whys(second.id)).toEqual(['bob: null', 'dan: absent_one_voted'])
  })
  test('of two delegates a denial holds it, else the first vote', async () => {
    await give('bob', 'dan')
    await give('bob', 'eve')
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('dan', id)
    await world.approve('eve', id)
    expect(await whys(id)).toEqual(['dan: null', 'eve: another_delegate_voted'])
    await world.deny('eve', id)
    expect(await whys(id)).toEqual(['dan: another_delegate_voted', 'eve: replaced', 'eve: null'])
  })
  test('a vote that does not count keeps nobody from counting', async () => {
    await give('bob', 'dan')
    const first = await give('bob', 'eve')
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('eve', id)
    await world.approve('dan', id)
    await delegations.remove(callerNamed('bob'), first.id)
    expect(await whys(id)).toEqual(['eve: delegation_over', 'dan: null'])
  })
})

describe('a delegation ends', () => {
  const approve = async () => world.approve('dan', (await world.ask('alice', ['dba'])).id)

  test.each([
    [-1, 'approved'],
    [0, 'not_a_reviewer'],
  ])('at its end to the millisecond: %s ms gives %s', async (offset, expected) => {
    const { until } = await give('bob', 'dan', { until: world.clock.now() + HOUR })
    world.clock.jumpTo(until + offset)
    expect(
      await approve().then(
        (shown) => shown.state,
        (error: { code: string }) => error.code,
      ),
    ).toBe(expected)
  })
  test('and a vote cast inside stays', async () => {
    await asking([{ approve: 2 }])
    const { until } = await give('bob', 'dan', { until: world.clock.now() + HOUR })
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('dan', id)
    world.clock.jumpTo(until + MINUTE)
    await world.sweeper.sweep()
    expect((await world.approve('carol', id)).state).toBe('approved')
  })
  test('when removed, and undecided votes cast under it stop counting', async () => {
    await asking([{ approve: 2 }])
    const { id: delegation } = await give('bob', 'dan')
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('dan', id)
    await delegations.remove(callerNamed('bob'), delegation)
    expect((await world.approve('carol', id)).state).toBe('pending')
    expect(await whys(id)).toEqual(['dan: delegation_over', 'carol: null'])
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
  test.each([
    [
      'the absent one is disabled',
      () => world.user('bob', { roles: ['lead'], disabled: true }),
      () => world.user('bob', { roles: ['lead'] }),
    ],
    ['the delegate is disabled', () => world.user('dan', { disabled: true }), () => world.user('dan')],
    [
      'the absent one is locked',
      async () => void (lock = await world.lock('user', 'usr_bob')),
      () => world.unlock(lock),
    ],
    ['the delegate is locked', async () => void (lock = await world.lock('user', 'usr_dan')), () => world.unlock(lock)],
    ['the absent one is removed', () => world.deleteUser('usr_bob'), async () => {}],
    ['the delegate is removed', () => world.deleteUser('usr_dan'), async () => {}],
  ])('for good when %s', async (_what, trouble, over) => {
    await give('bob', 'dan')
    await trouble()
    await over()
    await expect(approve()).rejects.toMatchObject({ code: 'not_a_reviewer' })
    expect(await delegations.list(LOCAL_ADMIN, 'all')).toEqual([])
    expect((await world.eventTypes()).filter((type) => type === 'delegation.remove')).toHaveLength(1)
  })
  let lock = ''

  test('when the absent one loses the right', async () => {
    await give('bob', 'dan')
    await world.user('bob', { roles: [] })
    await expect(approve()).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
  test('with a reset of the absent one: what was arranged before or while it holds gives nothing', async () => {
    await give('bob', 'dan')
    await world.user('bob', { roles: ['lead'], votesCountFrom: world.clock.now() + DAY })
    await expect(approve()).rejects.toMatchObject(refusal('not_a_reviewer'))
    await give('bob', 'eve', { until: world.clock.now() + 3 * DAY })
    world.clock.jumpTo(world.clock.now() + 2 * DAY)
    const { id } = await world.ask('alice', ['web'])
    await expect(world.approve('eve', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
  test('and the votes of a delegate who was reset do not count for a day', async () => {
    await give('bob', 'dan', { until: world.clock.now() + 3 * DAY })
    await world.user('dan', { votesCountFrom: world.clock.now() + DAY })
    const { id } = await world.ask('alice', ['dba'])
    expect(await world.approve('dan', id)).toMatchObject({ state: 'pending', reviews: [{ why: 'reviewer_reset' }] })
  })
})

describe('adding one', () => {
  test.each([
    ['to oneself', { to: 'bob' }, 'malformed'],
    ['to nobody', { to: 'nobody' }, 'not_found'],
    ['without a future end', { until: -1 }, 'malformed'],
    ['with an end now', { until: 0 }, 'malformed'],
    ['for more than 90 days', { until: 90 * DAY + 1 }, 'over_limit'],
    ['for a role that is not there', { roles: ['nope'] }, 'not_a_reviewer'],
    ['with a reason over the limit', { reason: 'x'.repeat(4097) }, 'over_limit'],
  ])(
    '%s is refused',
    async (
      _what,
      { to = 'dan', until = DAY, ...more }: { to?: string; until?: number; roles?: string[]; reason?: string },
      code,
    ) => {
      await expect(give('bob', to, { ...more, until: world.clock.now() + until })).rejects.toMatchObject({ code })
      expect(await world.eventTypes()).not.toContain('delegation.create')
    },
  )
  test('is refused for who reviews nothing, who is locked, and the local admin', async () => {
    await expect(give('dan', 'eve')).rejects.toMatchObject(refusal('not_a_reviewer'))
    await world.lock('user', 'usr_bob')
    await expect(give('bob', 'dan')).rejects.toMatchObject(refusal('locked'))
    await world.user('eve', { disabled: true })
    await expect(give('carol', 'eve')).rejects.toMatchObject(refusal('user_disabled'))
    const wanted = { to: 'dan', until: world.clock.now() + DAY, roles: null, reason: '' }
    await expect(delegations.add(LOCAL_ADMIN, wanted)).rejects.toMatchObject(refusal('not_allowed'))
  })
  test('is refused for a role that a locked role of the absent one would let them review', async () => {
    await world.lock('role', 'rol_lead')
    await expect(give('bob', 'dan', { roles: ['dba'] })).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
  test('twice the same is refused, and over twenty', async () => {
    await give('bob', 'dan')
    await expect(give('bob', 'dan')).rejects.toMatchObject(refusal('exists'))
    for (let index = 1; index < 20; index++) {
      await world.user(`u${index}`)
      await give('bob', `u${index}`)
    }
    await expect(give('bob', 'eve')).rejects.toMatchObject(refusal('over_limit'))
  })
  test('tells the delegate and is an event; both may end it, others do not know of it', async () => {
    const made = await give('bob', 'dan', { roles: ['web', 'dba'], reason: 'holiday' })
    expect(made).toMatchObject({ absent: 'bob', delegate: 'dan', roles: ['dba', 'web'], reason: 'holiday' })
    expect((await world.outbox()).at(-1)).toMatchObject({
      topic: 'delegation.created',
      body: { to: ['dan'], absent: 'bob' },
    })
    expect(await delegations.list(callerNamed('dan'), 'mine')).toEqual([made])
    expect(await delegations.list(callerNamed('carol'), 'mine')).toEqual([])
    await expect(delegations.list(callerNamed('carol'), 'all')).rejects.toMatchObject(refusal('not_allowed'))
    await expect(delegations.remove(callerNamed('carol'), made.id)).rejects.toMatchObject(refusal('not_found'))
    await delegations.remove(callerNamed('dan'), made.id)
    await expect(delegations.remove(callerNamed('bob'), made.id)).rejects.toMatchObject(refusal('not_found'))
    const events = (await world.events()).filter(({ type }) => type.startsWith('delegation.'))
    expect(events.map(({ type, actor }) => `${actor.name} ${type}`)).toEqual([
      'bob delegation.create',
      'dan delegation.remove',
    ])
    expect((await world.outbox()).at(-1)).toMatchObject({ topic: 'delegation.removed', body: { to: ['bob', 'dan'] } })
  })
  test('a role made again under an old name is another role', async () => {
    await give('bob', 'dan', { roles: ['dba'] })
    await world.deleteRole('rol_dba')
    await world.role('dba', {}, 'rol_dba2')
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.approve('dan', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
})
