// Thresholds and reviews. Numbers in the titles are those of the list of behaviours of request systems that we follow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { ConformanceHouse, refusalOf } from './house.ts'

const IN_X = '"x" in reviewer.traits.team'
const A_OR_X = [
  { name: 'anyone', approve: 3 },
  { name: 'team x', filter: IN_X, approve: 2, deny: 2 },
]
const X = { team: ['x'] }

describe.each(STORES)('thresholds and reviews on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test('1: without thresholds one eligible approval approves', async () => {
    const scene = await house.scene()
    expect(await scene.vote(0, await scene.ask(), 'approve')).toMatchObject({
      state: 'approved',
      grant: { state: 'active' },
    })
  })

  test('2: without thresholds one denial denies', async () => {
    const scene = await house.scene()
    expect(await scene.vote(0, await scene.ask(), 'deny')).toMatchObject({ state: 'denied', grant: null })
  })

  test('3: two approvals of the team approve through its own threshold', async () => {
    const scene = await house.scene({ request: { thresholds: A_OR_X }, reviewers: [X, X] })
    const request = await scene.ask()
    expect((await scene.vote(0, request, 'approve')).state).toBe('pending')
    expect((await scene.vote(1, request, 'approve')).state).toBe('approved')
  })

  test('4: three approvals from outside the team approve through the other threshold', async () => {
    const scene = await house.scene({ request: { thresholds: A_OR_X }, reviewers: [{}, {}, {}] })
    const request = await scene.ask()
    for (const index of [0, 1]) expect((await scene.vote(index, request, 'approve')).state).toBe('pending')
    expect((await scene.vote(2, request, 'approve')).state).toBe('approved')
  })

  test('5: denials of people whom no threshold with a denial count takes leave it pending', async () => {
    const scene = await house.scene({ request: { thresholds: A_OR_X }, reviewers: [{}, {}, {}, {}] })
    const request = await scene.ask()
    for (const index of [0, 1, 2, 3]) expect((await scene.vote(index, request, 'deny')).state).toBe('pending')
  })

  test.each([
    ['deny approve approve', [0, 1, 2]],
    ['approve deny approve', [1, 0, 2]],
  ])('6: one denial of two needed does not stop two approvals (%s)', async (_order, order) => {
    const scene = await house.scene({ request: { thresholds: A_OR_X }, reviewers: [X, X, X] })
    const request = await scene.ask()
    const states: string[] = []
    for (const index of order) states.push((await scene.vote(index, request, index === 0 ? 'deny' : 'approve')).state)
    expect(states).toEqual(['pending', 'pending', 'approved'])
  })

  test('7: two denials of the team before the quorum deny', async () => {
    const scene = await house.scene({ request: { thresholds: A_OR_X }, reviewers: [X, X] })
    const request = await scene.ask()
    await scene.vote(0, request, 'deny')
    expect((await scene.vote(1, request, 'deny')).state).toBe('denied')
  })

  test('9: one vote counts once in every threshold whose filter takes it', async () => {
    const thresholds = [
      { name: 'team', filter: IN_X, approve: 2 },
      { name: 'all', approve: 2 },
    ]
    const scene = await house.scene({ request: { thresholds }, reviewers: [X] })
    const voted = await scene.vote(0, await scene.ask(), 'approve')
    expect(voted.progress.map(({ name, approvals }) => [name, approvals])).toEqual([
      ['team', 1],
      ['all', 1],
    ])
  })

  test('11: a request for two roles waits until both have their approvals', async () => {
    const scene = await twoRoles(house)
    const request = await scene.ask()
    expect((await scene.vote(0, request, 'approve')).state).toBe('pending')
    expect((await scene.vote(1, request, 'approve')).state).toBe('approved')
  })

  test('12: a denial threshold of one of two roles denies all of it', async () => {
    const scene = await twoRoles(house)
    const request = await scene.ask()
    await scene.vote(0, request, 'approve')
    expect((await scene.vote(1, request, 'deny')).state).toBe('denied')
  })

  test('13: thresholds of roles that are not asked for play no part', async () => {
    const scene = await house.scene()
    await scene.define('other', {})
    await scene.define('strict', { allow: { request: { roles: [scene.role('other')], thresholds: [{ approve: 5 }] } } })
    await scene.give(scene.requester, ['dev', 'strict'])
    expect((await scene.vote(0, await scene.ask(), 'approve')).state).toBe('approved')
  })

  test('15: a threshold of no approvals is never met', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 0, deny: 1 }] } })
    const request = await scene.ask()
    expect(request.warnings).toContain('nobody_can_approve')
    expect((await scene.vote(0, request, 'approve')).state).toBe('pending')
  })

  test.each([
    ['16', 'approve'],
    ['17', 'deny'],
  ] as const)('%s: nothing is voted on after the decision (%s)', async (_number, decision) => {
    const scene = await house.scene()
    const request = await scene.ask()
    const decided = await scene.vote(0, request, decision)
    expect(await refusalOf(scene.vote(1, request, 'approve'))).toBe('already_resolved')
    expect((await scene.look(request)).state).toBe(decided.state)
  })

  test('18: a reviewer may change their mind before the decision, and the earlier vote is kept as replaced', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 2 }] } })
    const request = await scene.ask()
    await scene.vote(0, request, 'approve')
    const changed = await scene.vote(0, request, 'deny')
    expect(changed.reviews.map(({ decision, why }) => [decision, why])).toEqual([
      ['approve', 'replaced'],
      ['deny', null],
    ])
    expect(changed.progress[0]).toMatchObject({ approvals: 0, denials: 1 })
  })

  test('an approval that was given under other rules stays visible and does not count any more', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] }, reviewers: [{}, {}, {}] })
    const request = await scene.ask()
    await scene.vote(0, request, 'approve')
    await scene.define('dba', { allow: { logins: ['postgres', 'root'], node_labels: { env: 'prod' } } })
    expect((await scene.look(request)).reviews).toMatchObject([{ counts: false, why: 'rules_changed' }])
    expect((await scene.vote(1, request, 'approve')).state).toBe('pending')
    expect((await scene.vote(0, request, 'approve')).state).toBe('approved')
  })

  test('a vote for what its voter was not shown is refused', async () => {
    const scene = await house.scene()
    const request = await scene.ask()
    await scene.define('dba', { allow: { logins: ['postgres', 'root'], node_labels: { env: 'prod' } } })
    const { factsDigest } = request
    expect(await refusalOf(scene.vote(0, request, 'approve', { factsDigest }))).toBe('request_changed')
    expect(await refusalOf(scene.vote(0, request, 'approve', { requestDigest: '0'.repeat(64) }))).toBe(
      'request_changed',
    )
  })
})

/** A role `web` that one approval gives, and a role `dba` that team x decides about. */
async function twoRoles(house: ConformanceHouse): ReturnType<ConformanceHouse['scene']> {
  const scene = await house.scene({ roles: { web: {}, dba: {} }, reviewers: [{}, X] })
  const [web, dba] = [scene.role('web'), scene.role('dba')]
  const team = { approve: 1, deny: 1, filter: IN_X }
  await scene.define('dev', { allow: { request: { roles: [web], thresholds: [{ approve: 1, deny: 1 }] } } })
  await scene.define('dev2', { allow: { request: { roles: [dba], thresholds: [team] } } })
  await scene.give(scene.requester, ['dev', 'dev2'])
  return scene
}
