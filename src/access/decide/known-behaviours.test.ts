import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN } from '../../../test/support/access-world.ts'
import { ReviewBody } from '../../contract/request.ts'

// Numbers in brackets are those of the list of behaviours that the field knows; here stand those that are ours by choice, and
// those of which only the safe half exists here: no bots, no impersonation, no promotion.

let world: AccessWorld
const refusal = (code: string) => ({ code })
const DAY = 24 * HOUR

beforeEach(async () => {
  world = await AccessWorld.open()
  for (const name of ['dba', 'web']) await world.role(name)
  await world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve: 2, deny: 2 }] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('ada', { roles: ['dev'] })
  for (const name of ['bob', 'carol', 'dan']) await world.user(name, { roles: ['lead'] })
})
afterEach(() => world.close())

describe('reviews', () => {
  test('[18] who reviews again changes their vote until the decision, whatever it was (the field refuses it)', async () => {
    const { id } = await world.ask('ada', ['dba'])
    await world.approve('bob', id)
    const changed = await world.deny('bob', id)
    expect(changed.reviews.map(({ counts, why }) => [counts, why])).toEqual([
      [false, 'replaced'],
      [true, null],
    ])
    await world.approve('carol', id)
    expect((await world.approve('dan', id)).state).toBe('approved')
    await expect(world.approve('bob', id)).rejects.toMatchObject(refusal('already_resolved'))
  })
  test('[23] a review without a user behind it is refused: no identity, a removed one, the local admin', async () => {
    const { id } = await world.ask('ada', ['dba'])
    const ballot = {
      ...(await world.show(id)),
      decision: 'approve' as const,
      reason: '',
      durationMs: null,
      startAt: null,
      shown: null,
    }
    const nobody = {
      actor: { kind: 'user' as const, id: 'usr_gone', name: 'gone' },
      userId: 'usr_gone',
      loginId: 'x',
      local: false,
    }
    for (const caller of [nobody, { ...nobody, userId: null }, LOCAL_ADMIN])
      await expect(world.requests.review(caller, id, ballot, async () => null)).rejects.toMatchObject(
        refusal('not_a_reviewer'),
      )
    expect((await world.show(id)).reviews).toEqual([])
  })
  test('[24] the reviewer is who is signed in: a body that names another author is refused', () => {
    const body = { decision: 'approve', requestDigest: 'x', factsDigest: 'y' }
    expect(ReviewBody.safeParse(body).success).toBe(true)
    for (const key of ['author', 'reviewer', 'user'])
      expect(ReviewBody.safeParse({ ...body, [key]: 'bob' }).success).toBe(false)
  })
  test('[24] naming an absent one whom the caller does not stand in for is refused', async () => {
    const { id } = await world.ask('ada', ['dba'])
    await expect(world.approve('bob', id, { onBehalfOf: 'carol' })).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
  test.each(['pending', 'none', 'promote', '', null])(
    '[25] [27] %j is no decision, and nothing promotes a request',
    (decision) => {
      expect(ReviewBody.safeParse({ decision, requestDigest: 'x', factsDigest: 'y' }).success).toBe(false)
    },
  )
  test('[26] a review of a part counts for that part: the other half still waits for its own', async () => {
    await world.role('dbl', { allow: { review_requests: { roles: ['dba'] } } })
    for (const name of ['x', 'y']) await world.user(name, { roles: ['dbl'] })
    const { id } = await world.ask('ada', ['dba', 'web'])
    await world.approve('x', id)
    const half = await world.approve('y', id)
    expect(half.state).toBe('pending')
    expect(half.progress.map(({ role, approvals, met }) => [role, approvals, met])).toEqual(
      half.roles.map((role) => [role, role === 'dba' ? 2 : 0, role === 'dba']),
    )
    expect(half.grant).toBeNull()
    await world.approve('bob', id)
    expect((await world.approve('carol', id)).state).toBe('approved')
  })
  test('[30] with one of two roles unmatched the reviewer votes on the other (the field refuses it), and on neither is refused', async () => {
    await world.role('dbl', { allow: { review_requests: { roles: ['dba'] } } })
    await world.role('none', { allow: { review_requests: { roles: ['nothing-*'] } } })
    await world.user('x', { roles: ['dbl'] })
    await world.user('y', { roles: ['none'] })
    const { id } = await world.ask('ada', ['dba', 'web'])
    expect((await world.approve('x', id)).reviews).toMatchObject([{ roles: ['dba'], counts: true }])
    await expect(world.approve('y', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
})

describe('groups', () => {
  beforeEach(async () => {
    await world.role('dev', {
      allow: {
        request: {
          roles: ['dba'],
          thresholds: [{ name: 'dba team', filter: '"db" in reviewer.traits.team', approve: 1, deny: 1 }],
        },
      },
    })
    await world.role('staff', {
      allow: {
        request: {
          roles: ['d*'],
          thresholds: [{ name: 'security', filter: '"sec" in reviewer.traits.team', approve: 1, deny: 1 }],
        },
      },
    })
    await world.user('ada', { roles: ['dev', 'staff'] })
    await world.user('db', { roles: ['lead'], traits: { team: ['db'] } })
    await world.user('sec', { roles: ['lead'], traits: { team: ['sec'] } })
    await world.user('both', { roles: ['lead'], traits: { team: ['db', 'sec'] } })
  })
  test.each([
    [['db', 'sec'], 'approved'],
    [['sec', 'db'], 'approved'],
    [['db', 'bob', 'carol'], 'pending'],
    [['both'], 'approved'],
  ])('both must agree, in any order: %j gives %s', async (voters, state) => {
    const { id } = await world.ask('ada', ['dba'])
    for (const voter of voters) await world.approve(voter, id)
    expect((await world.show(id)).state).toBe(state)
  })
  test('either denies the whole', async () => {
    const { id } = await world.ask('ada', ['dba'])
    await world.approve('db', id)
    expect((await world.deny('sec', id)).state).toBe('denied')
  })
  test('a group nobody is in makes it unreachable, and it says so', async () => {
    await world.user('sec', { roles: [] })
    await world.user('both', { roles: [] })
    expect((await world.ask('ada', ['dba'])).warnings).toEqual(['nobody_can_approve'])
  })
})

test('a reset by an admin holds the votes of its user for 24 hours to the millisecond', async () => {
  await world.role('dev', { allow: { request: { roles: ['*'] } } })
  const from = world.clock.now() + DAY
  await world.user('bob', { roles: ['lead'], votesCountFrom: from })
  const { id } = await world.ask('ada', ['dba'], { pendingFor: 3 * DAY })
  world.clock.jumpTo(from - 1)
  expect(await world.approve('bob', id)).toMatchObject({ state: 'pending', reviews: [{ why: 'reviewer_reset' }] })
  world.clock.jumpTo(from)
  expect((await world.approve('bob', id, { reason: 'now' })).state).toBe('approved')
})

test('suggested reviewers get no right, keep nobody from voting, and are shown', async () => {
  await world.role('dev', { allow: { request: { roles: ['*'], suggested_reviewers: ['ada', 'bob'] } } })
  await world.user('eve')
  const { id, suggestedReviewers } = await world.ask('ada', ['dba'], { reviewers: ['eve'] })
  expect(suggestedReviewers.toSorted()).toEqual(['ada', 'bob', 'eve'])
  await expect(world.approve('eve', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  await expect(world.requests.show(callerNamed('eve'), id)).rejects.toMatchObject(refusal('not_found'))
  expect((await world.approve('carol', id)).state).toBe('approved')
})
