import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await developer()
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev', 'lead'] })
  for (const name of ['bob', 'carol', 'dan']) await world.user(name, { roles: ['lead'] })
})
afterEach(() => world.close())

const developer = (approve = 2, more: object = {}): Promise<void> =>
  world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve, deny: 1 }], ...more } } })
const refusal = (code: string): object => ({ code })

describe('who may vote', () => {
  test('[19] nobody reviews a request of their own, and each attempt is an event', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.approve('alice', id)).rejects.toMatchObject(refusal('own_request'))
    await expect(world.deny('alice', id)).rejects.toMatchObject(refusal('own_request'))
    const events = (await world.events()).filter((event) => event.type === 'access_request.review_refused')
    expect(events.map(({ outcome, details }) => [outcome, details['code']])).toEqual(
      Array(2).fill(['refused', 'own_request']),
    )
  })
  test('nor after being renamed: ids are compared, not names', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.user('somebody-else', { roles: ['dev', 'lead'] }, 'usr_alice')
    await expect(
      world.requests.review(callerNamed('somebody-else', 'usr_alice'), id, await ballot(id), async () => null),
    ).rejects.toMatchObject(refusal('own_request'))
  })
  test('a new user under an old name is somebody else, with rights of their own', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.user('alicia', { roles: ['dev'] }, 'usr_alice')
    await world.user('alice', { roles: ['lead'] }, 'usr_alice2')
    const shown = await world.requests.review(
      callerNamed('alice', 'usr_alice2'),
      id,
      await ballot(id),
      async () => null,
    )
    expect(shown.reviews).toMatchObject([{ reviewer: 'alice', counts: true }])
    expect(shown.user).toBe('alicia')
  })
  test('the local admin never reviews', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.requests.review(LOCAL_ADMIN, id, await ballot(id), async () => null)).rejects.toMatchObject(
      refusal('not_a_reviewer'),
    )
  })
  test('who may review none of the roles is refused as such', async () => {
    await world.user('eve')
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.approve('eve', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
  test('a reviewer who is disabled, locked or deleted is refused whatever token is still valid', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.user('bob', { roles: ['lead'], disabled: true })
    await expect(world.approve('bob', id)).rejects.toMatchObject(refusal('user_disabled'))
    await world.lock('user', 'usr_carol')
    await expect(world.approve('carol', id)).rejects.toMatchObject(refusal('locked'))
    await world.deleteUser('usr_dan')
    await expect(world.approve('dan', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
  test('[22] rights from a grant never count', async () => {
    await world.role('boss', { allow: { review_requests: { roles: ['*'] } } })
    await developer(1, { escalating: true })
    await world.user('erin', { roles: ['dev'] })
    const { id: own } = await world.ask('erin', ['boss'])
    expect((await world.approve('bob', own)).grant).toMatchObject({ state: 'active', roles: ['boss'] })
    const { id } = await world.ask('alice', ['dba'])
    await expect(world.approve('erin', id)).rejects.toMatchObject(refusal('not_a_reviewer'))
  })
  test('[28] where on an annotation: without it the reviewer can neither see nor review', async () => {
    await world.role('paged', {
      allow: { review_requests: { roles: ['*'], where: '"P1" in request.annotations.service' } },
    })
    await world.user('pat', { roles: ['paged'] })
    const plain = await world.ask('alice', ['dba'])
    await expect(world.requests.show(callerNamed('pat'), plain.id)).rejects.toMatchObject(refusal('not_found'))
    await expect(world.approve('pat', plain.id)).rejects.toMatchObject(refusal('not_a_reviewer'))
    await developer(2, { annotations: { service: ['P1'] } })
    const annotated = await world.ask('alice', ['dba'], { reason: 'other' })
    expect((await world.approve('pat', annotated.id)).reviews).toMatchObject([{ reviewer: 'pat', counts: true }])
  })
  test('[29] a deny with a condition applies exactly when the condition holds', async () => {
    await world.role('careful', {
      allow: { review_requests: { roles: ['*'] } },
      deny: { review_requests: { roles: ['dba'], where: 'request.reason == ""' } },
    })
    await world.user('cat', { roles: ['careful'] })
    const without = await world.ask('alice', ['dba'], { reason: '' })
    await expect(world.approve('cat', without.id)).rejects.toMatchObject(refusal('not_a_reviewer'))
    const withReason = await world.ask('alice', ['dba'], { reason: 'ticket' })
    expect((await world.approve('cat', withReason.id)).reviews).toMatchObject([{ counts: true }])
  })
  test('a fresh second factor is demanded before anything is written, and not for what is refused anyway', async () => {
    const { id } = await world.ask('alice', ['dba'])
    const demanded: string[] = []
    const fresh = async (): Promise<never> => {
      demanded.push('asked')
      throw new Error('step up')
    }
    await expect(world.requests.review(callerNamed('alice'), id, await ballot(id), fresh)).rejects.toMatchObject(
      refusal('own_request'),
    )
    expect(demanded).toEqual([])
    await expect(world.requests.review(callerNamed('bob'), id, await ballot(id), fresh)).rejects.toThrow('step up')
    expect((await world.show(id)).reviews).toEqual([])
  })
  test('a vote uses up its confirmation; one that comes too late, which is stored as such, does not', async () => {
    const spent: string[] = []
    const vote = async (id: string) => {
      const confirmation = { checkedAt: 0, spend: async () => void spent.push(id) }
      return await world.requests.review(callerNamed('bob'), id, await ballot(id), async () => confirmation)
    }
    const { id } = await world.ask('alice', ['dba'])
    const late = await world.ask('alice', ['dba'], { reason: 'later', pendingFor: HOUR })
    await vote(id)
    expect(spent).toEqual([id])
    world.clock.jumpTo(late.pendingUntil)
    await expect(vote(late.id)).rejects.toMatchObject(refusal('request_expired'))
    expect((await world.show(late.id)).state).toBe('expired')
    expect(spent).toEqual([id])
  })
})

async function ballot(id: string) {
  const { requestDigest, factsDigest } = await world.show(id)
  return {
    decision: 'approve' as const,
    reason: '',
    durationMs: null,
    startAt: null,
    shown: null,
    requestDigest,
    factsDigest,
  }
}

describe('one vote each', () => {
  test('a vote may be changed before the decision: the later one counts and the history stays', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve: 2, deny: 2 }] } } })
    const changed = await world.deny('bob', id)
    expect(changed.reviews).toMatchObject([
      { reviewer: 'bob', decision: 'approve', counts: false, why: 'replaced' },
      { reviewer: 'bob', decision: 'deny', counts: true },
    ])
    expect((await world.approve('carol', id)).state).toBe('pending')
    expect((await world.deny('dan', id)).state).toBe('denied')
  })
  test('one person voting again and again never makes a quorum', async () => {
    const { id } = await world.ask('alice', ['dba'])
    for (const reason of ['a', 'b', 'c']) expect((await world.approve('bob', id, { reason })).state).toBe('pending')
    expect((await world.show(id)).progress).toMatchObject([{ approvals: 1 }])
  })
  test('the same vote again is the same vote: no row, no event, no error, also after it decided', async () => {
    const { id } = await world.ask('alice', ['dba'])
    const seen = await world.show(id)
    await Promise.all(Array.from({ length: 20 }, () => world.approve('bob', id, { seen })))
    expect((await world.show(id)).reviews).toHaveLength(1)
    const answers = await Promise.all(Array.from({ length: 5 }, () => world.approve('carol', id, { seen })))
    expect(answers.map((answer) => answer.state)).toEqual(Array(5).fill('approved'))
    const types = await world.eventTypes()
    expect(types.filter((type) => type === 'access_request.review')).toHaveLength(2)
    expect(types.filter((type) => type === 'access_request.approve')).toHaveLength(1)
  })
  test('[16] [17] once decided nothing changes it', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.approve('carol', id)
    await expect(world.deny('dan', id)).rejects.toMatchObject(refusal('already_resolved'))
    const denied = await world.ask('alice', ['dba'], { reason: 'again' })
    await world.deny('bob', denied.id)
    await expect(world.approve('carol', denied.id)).rejects.toMatchObject(refusal('already_resolved'))
    expect((await world.show(denied.id)).state).toBe('denied')
  })
  test('the order is the order of commit', async () => {
    const { id } = await world.ask('alice', ['dba'])
    const seen = await world.show(id)
    await Promise.all([world.approve('bob', id, { seen }), world.approve('carol', id, { seen })])
    const rows = await world.database.reads
      .selectFrom('reviews')
      .select(['ordinal', 'reviewer_id'])
      .orderBy('ordinal')
      .execute()
    expect(rows.map((row) => row.ordinal)).toEqual([1, 2])
  })
  test('approve and deny at the same moment have one outcome, and the loser is told', async () => {
    await developer(1)
    const { id } = await world.ask('alice', ['dba'])
    const seen = await world.show(id)
    const answers = await Promise.allSettled([world.approve('bob', id, { seen }), world.deny('carol', id, { seen })])
    expect(answers.map((answer) => answer.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(answers.find((answer) => answer.status === 'rejected')?.reason).toMatchObject(refusal('already_resolved'))
    expect((await world.eventTypes()).filter((type) => /\.(approve|deny)$/.test(type))).toHaveLength(1)
  })
})

describe('votes bind to what was seen', () => {
  test('a vote with other digests is refused and says what is current', async () => {
    const seen = await world.ask('alice', ['dba'])
    await developer(3)
    await expect(world.approve('bob', seen.id, { seen })).rejects.toMatchObject(refusal('request_changed'))
    const wrong = { ...(await world.show(seen.id)), requestDigest: 'x' }
    await expect(world.approve('bob', seen.id, { seen: wrong })).rejects.toMatchObject(refusal('request_changed'))
  })
  test.each([
    ['thresholds', () => developer(3)],
    ['the contents of the role', () => world.role('dba', { allow: { logins: ['root'], node_labels: { '*': '*' } } })],
    ['the cap', () => developer(2, { max_duration: '1h' })],
  ])('when %s change, earlier approvals stop counting and stay visible', async (_what, change) => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await change()
    const shown = await world.show(id)
    expect(shown.reviews).toMatchObject([{ reviewer: 'bob', counts: false, why: 'rules_changed' }])
    expect(shown.progress).toMatchObject([{ approvals: 0 }])
    expect((await world.approve('carol', id)).state).toBe('pending')
  })
  test('denials stay', async () => {
    await world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve: 2, deny: 2 }] } } })
    const { id } = await world.ask('alice', ['dba'])
    await world.deny('bob', id)
    await world.role('dba', { allow: { logins: ['other'] } })
    expect((await world.deny('carol', id)).state).toBe('denied')
  })
  test('an edit alone never decides: neither a lowered quorum nor a right that comes back', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.user('bob', { roles: [] })
    await world.approve('carol', id)
    expect((await world.show(id)).state).toBe('pending')
    await world.user('bob', { roles: ['lead'] })
    await world.sweeper.sweep()
    expect(await world.show(id)).toMatchObject({ state: 'pending', progress: [{ approvals: 2, approve: 2 }] })
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
  test("somebody else's denial never approves what a returned right made complete", async () => {
    await world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve: 2, deny: 2 }] } } })
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.user('bob', { roles: [] })
    await world.approve('carol', id)
    await world.user('bob', { roles: ['lead'] })
    expect((await world.deny('dan', id)).state).toBe('pending')
  })
  test('a vote of somebody who lost the right does not count any more', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.user('bob', { roles: [] })
    const shown = await world.approve('carol', id)
    expect(shown).toMatchObject({ state: 'pending', reviews: [{ why: 'right_lost' }, { counts: true }] })
    expect((await world.approve('dan', id)).state).toBe('approved')
  })
  test('votes from before a reset of the voter do not count', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.user('bob', { roles: ['lead'], votesCountFrom: world.clock.now() + 24 * HOUR })
    expect((await world.approve('carol', id)).state).toBe('pending')
    const during = await world.approve('bob', id, { reason: 'again' })
    expect(during).toMatchObject({ state: 'pending' })
    expect(during.reviews.at(-1)).toMatchObject({ counts: false, why: 'reviewer_reset' })
  })
  test('while the requester is locked or may no longer ask, nothing approves, and the request says why', async () => {
    await developer(1)
    const { id } = await world.ask('alice', ['dba'])
    const lock = await world.lock('user', 'usr_alice')
    expect(await world.approve('bob', id)).toMatchObject({
      state: 'pending',
      resolution: 'cannot be approved: the requester is locked',
    })
    await world.unlock(lock)
    await world.user('alice', { roles: [] })
    expect(await world.approve('carol', id)).toMatchObject({
      state: 'pending',
      resolution: 'cannot be approved: the requester may no longer ask for dba',
    })
    await world.user('alice', { roles: ['dev'] })
    expect((await world.approve('dan', id)).state).toBe('approved')
  })
})

describe('duration and time', () => {
  test('a reviewer may shorten: the shortest of the counted approvals is granted', async () => {
    const { id } = await world.ask('alice', ['dba'], { duration: 3 * HOUR })
    expect((await world.approve('bob', id, { duration: HOUR })).grantedDuration).toBe(HOUR)
    const shown = await world.approve('carol', id, { duration: 2 * HOUR })
    expect(shown.grant).toMatchObject({ startsAt: world.clock.now(), endsAt: world.clock.now() + HOUR })
  })
  test('and never lengthen', async () => {
    const { id } = await world.ask('alice', ['dba'], { duration: HOUR })
    await expect(world.approve('bob', id, { duration: HOUR + 1 })).rejects.toMatchObject(refusal('widens_request'))
    for (const duration of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      await expect(world.approve('bob', id, { duration }), String(duration)).rejects.toMatchObject(refusal('malformed'))
  })
  test('an approval that no longer counts shortens nothing', async () => {
    const { id } = await world.ask('alice', ['dba'], { duration: 3 * HOUR })
    await world.approve('bob', id, { duration: MINUTE })
    await world.user('bob', { roles: [] })
    await world.approve('carol', id)
    expect((await world.approve('dan', id)).grant?.endsAt).toBe(world.clock.now() + 3 * HOUR)
  })
  test.each([
    [-1, 'approved'],
    [0, 'request_expired'],
    [1, 'request_expired'],
  ])('a vote %s ms around the end of waiting: %s', async (offset, expected) => {
    await developer(1)
    const { id, pendingUntil } = await world.ask('alice', ['dba'], { pendingFor: HOUR })
    world.clock.jumpTo(pendingUntil + offset)
    const answer = await world.approve('bob', id).then(
      (shown) => shown.state,
      (error: { code: string }) => error.code,
    )
    expect(answer).toBe(expected)
    expect((await world.show(id)).state).toBe(offset < 0 ? 'approved' : 'expired')
  })
  test('what was expired stays expired when the clock is set back', async () => {
    await developer(1)
    const { id, pendingUntil } = await world.ask('alice', ['dba'], { pendingFor: HOUR })
    world.clock.jumpTo(pendingUntil)
    await world.sweeper.sweep()
    world.clock.jumpTo(pendingUntil - MINUTE)
    await expect(world.approve('bob', id)).rejects.toMatchObject(refusal('request_expired'))
  })
  test('nothing is approved on a clock that is more than a minute behind the last event', async () => {
    await developer(1)
    const { id } = await world.ask('alice', ['dba'])
    world.clock.jumpTo(world.clock.now() - 2 * HOUR)
    await expect(world.approve('bob', id)).rejects.toMatchObject(refusal('clock_set_back'))
    expect((await world.show(id)).state).toBe('pending')
  })
  test('a clock set 400 days ahead ends everything, for good', async () => {
    await developer(1)
    const granted = await world.ask('alice', ['dba'])
    await world.approve('bob', granted.id)
    const start = world.clock.now()
    world.clock.jumpTo(start + 400 * 24 * HOUR)
    await world.sweeper.sweep()
    world.clock.jumpTo(start)
    expect((await world.show(granted.id)).grant).toMatchObject({ state: 'ended', endReason: 'expired' })
  })
})

test('the decision event lists every vote with both digests and whether it counted', async () => {
  const { id } = await world.ask('alice', ['dba'])
  await world.approve('bob', id)
  await world.user('bob', { roles: [] })
  await world.approve('carol', id)
  const { factsDigest, requestDigest } = await world.approve('dan', id)
  const decision = (await world.events()).find((event) => event.type === 'access_request.approve')
  expect(decision?.details).toMatchObject({
    factsDigest,
    requestDigest,
    votes: [
      { reviewer: 'usr_bob', counts: false, why: 'right_lost' },
      { reviewer: 'usr_carol', counts: true, factsDigest },
      { reviewer: 'usr_dan', counts: true, factsDigest },
    ],
    rules: [],
    policies: [],
  })
})
