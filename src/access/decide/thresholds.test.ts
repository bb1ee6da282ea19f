import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld } from '../../../test/support/access-world.ts'

// Numbers in brackets are those of the list of behaviours that the field knows.

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  for (const name of ['dba', 'web', 'other']) await world.role(name)
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.role('x', { allow: { review_requests: { roles: ['*'] } } })
  for (const name of ['n1', 'n2', 'n3', 'n4']) await world.user(name, { roles: ['lead'] })
  for (const name of ['x1', 'x2', 'x3']) await world.user(name, { roles: ['x'], traits: { team: ['x'] } })
})
afterEach(() => world.close())

const requesting = (roles: string[], thresholds: object[] = []): object => ({
  allow: { request: { roles, thresholds } },
})

/** Asks for `roles` as somebody with these thresholds and plays the votes, `+bob` or `-bob`; returns the states after each. */
async function play(roles: string[], thresholds: object[], votes: string): Promise<string[]> {
  await world.role('dev', requesting(['*'], thresholds))
  await world.user('ada', { roles: ['dev'] })
  const { id } = await world.ask('ada', roles)
  return playVotes(id, votes)
}

async function playVotes(id: string, votes: string): Promise<string[]> {
  const states: string[] = []
  for (const vote of votes.split(' ').filter(Boolean)) {
    const { state } = await world.vote(vote.slice(1), id, vote.startsWith('+') ? 'approve' : 'deny')
    states.push(state)
  }
  return states
}

const A_OR_B = [
  { name: 'A', approve: 3 },
  { name: 'B', filter: '"x" in reviewer.roles', approve: 2, deny: 2 },
]
const last = (states: string[]): string | undefined => states.at(-1)

describe('thresholds', () => {
  test('[1] a role without thresholds is approved by one eligible reviewer', async () => {
    expect(await play(['dba'], [], '+n1')).toEqual(['approved'])
  })
  test('[2] and denied by one', async () => {
    expect(await play(['dba'], [], '-n1')).toEqual(['denied'])
  })
  test('[3] two of a group approve through the threshold of the group', async () => {
    expect(await play(['dba'], A_OR_B, '+x1 +x2')).toEqual(['pending', 'approved'])
  })
  test('[4] three of anybody approve through the other threshold', async () => {
    expect(await play(['dba'], A_OR_B, '+n1 +n2 +n3')).toEqual(['pending', 'pending', 'approved'])
  })
  test('[5] denials that no threshold counts leave it pending, and say so', async () => {
    expect(await play(['dba'], A_OR_B, '-n1 -n2 -n3 -n4')).toEqual(['pending', 'pending', 'pending', 'pending'])
    const [item] = (await world.requests.list(admin, { scope: 'all' })).items
    expect(item?.reviews.map((review) => review.why)).toEqual(Array(4).fill('no_threshold_counts_it'))
  })
  test.each(['-x1 +x2 +x3', '+x2 -x1 +x3', '+x2 +x3'])(
    '[6] one denial of two does not stop two approvals: %s',
    async (votes) => {
      expect(last(await play(['dba'], A_OR_B, votes))).toBe('approved')
    },
  )
  test('[7] two of the group deny before the quorum', async () => {
    expect(await play(['dba'], A_OR_B, '-x1 +n1 +n2 -x2')).toEqual(['pending', 'pending', 'pending', 'denied'])
  })
  test('[9] a reviewer who passes several filters counts one in each', async () => {
    const both = [
      { name: 'P', filter: '"x" in reviewer.traits.team', approve: 2 },
      { name: 'Q', filter: '"x" in reviewer.roles', approve: 2 },
    ]
    expect(await play(['dba'], both, '+x1')).toEqual(['pending'])
    const [shown] = (await world.requests.list(admin, { scope: 'all' })).items
    expect(shown?.progress.map((entry) => entry.approvals)).toEqual([1, 1])
  })
  test('[11] two roles with thresholds of their own: one quorum met is not enough', async () => {
    await world.role('d1', requesting(['dba'], [{ approve: 1 }]))
    await world.role('d2', requesting(['web'], [{ approve: 2 }]))
    await world.user('eve', { roles: ['d1', 'd2'] })
    const { id } = await world.ask('eve', ['dba', 'web'])
    expect(await playVotes(id, '+n1 +n2')).toEqual(['pending', 'approved'])
  })
  test('[12] a denial threshold of either role denies the whole', async () => {
    await world.role('d1', requesting(['dba'], [{ approve: 1, deny: 1 }]))
    await world.role('d2', requesting(['web'], [{ approve: 2, deny: 2 }]))
    await world.user('eve', { roles: ['d1', 'd2'] })
    const { id } = await world.ask('eve', ['dba', 'web'])
    expect(await playVotes(id, '-n1')).toEqual(['denied'])
  })
  test('[13] thresholds for a role that is not asked for are not attached', async () => {
    await world.role('d1', requesting(['dba']))
    await world.role('d2', requesting(['other'], [{ approve: 9 }]))
    await world.user('eve', { roles: ['d1', 'd2'] })
    const { id } = await world.ask('eve', ['dba'])
    expect(await playVotes(id, '+n1')).toEqual(['approved'])
  })
  test('every own role that lets the requester ask must be satisfied', async () => {
    await world.role('d1', requesting(['dba'], [{ approve: 1 }]))
    await world.role('d2', requesting(['db*'], [{ approve: 2 }]))
    await world.user('eve', { roles: ['d1', 'd2'] })
    const { id } = await world.ask('eve', ['dba'])
    expect(await playVotes(id, '+n1 +n2')).toEqual(['pending', 'approved'])
  })
  test('[15] approve 0 never approves and deny 0 never denies', async () => {
    expect(await play(['dba'], [{ name: 'no', approve: 0, deny: 2 }], '+n1 +n2 +n3 -n4')).toEqual(
      Array(4).fill('pending'),
    )
    expect(await play(['web'], [{ name: 'no', approve: 3, deny: 0 }], '-n1 -n2 -n3 -n4')).toEqual(
      Array(4).fill('pending'),
    )
  })
  test('a distinct threshold keeps its reviewers for itself', async () => {
    const set = [
      { name: 'own', filter: '"x" in reviewer.roles', approve: 3, distinct: true },
      { name: 'rest', approve: 2 },
    ]
    expect(await play(['dba'], set, '+x1 +x2 +n1 +n2')).toEqual(['pending', 'pending', 'pending', 'approved'])
  })
  test('a distinct threshold never swallows a denial', async () => {
    const set = [
      { name: 'own', filter: '"x" in reviewer.roles', approve: 3, distinct: true },
      { name: 'rest', approve: 2, deny: 1 },
    ]
    expect(await play(['dba'], set, '-x1')).toEqual(['denied'])
  })
  test('a filter that fails counts no approval and every denial, and raises an event', async () => {
    const set = [{ name: 'f', filter: '1 / size(reviewer.traits.nothing) == 1', approve: 1, deny: 1 }]
    expect(await play(['dba'], set, '+n1 -n2')).toEqual(['pending', 'denied'])
    expect((await world.eventTypes()).filter((type) => type === 'condition.fail')).toHaveLength(2)
  })
  test('filters see the review', async () => {
    expect(await play(['dba'], [{ filter: 'review.reason.contains("ok")', approve: 1 }], '+n1')).toEqual(['pending'])
    const [shown] = (await world.requests.list(admin, { scope: 'all' })).items
    expect((await world.approve('n2', shown?.id ?? '', { reason: 'looks ok' })).state).toBe('approved')
  })
})

const admin = {
  actor: { kind: 'local-admin', id: null, name: 'local-admin' },
  userId: null,
  loginId: null,
  local: true,
} as const

describe('votes count role by role', () => {
  beforeEach(async () => {
    await world.role('dev', requesting(['*']))
    await world.role('dbl', { allow: { review_requests: { roles: ['dba'] } } })
    await world.role('webl', { allow: { review_requests: { roles: ['web'] } } })
    await world.user('ada', { roles: ['dev'] })
    await world.user('dan', { roles: ['dbl'] })
    await world.user('wil', { roles: ['webl'] })
    await world.user('both', { roles: ['dbl', 'webl'] })
  })
  test('a vote counts only for the roles that its voter may review', async () => {
    const { id } = await world.ask('ada', ['dba', 'web'])
    const first = await world.approve('dan', id)
    expect(first.reviews.map((review) => review.roles)).toEqual([['dba']])
    expect(first.state).toBe('pending')
    expect((await world.approve('wil', id)).state).toBe('approved')
  })
  test('[30] two roles, each allowed by another rule: the reviewer may review both', async () => {
    const { id } = await world.ask('ada', ['dba', 'web'])
    expect((await world.approve('both', id)).state).toBe('approved')
  })
})
