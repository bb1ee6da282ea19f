// Who may review. Numbers in the titles are those of the list of behaviours of request systems that we follow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { ConformanceHouse, HOUR, refusalOf } from './house.ts'

describe.each(STORES)('who may review on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test('19: nobody reviews a request of their own, whatever their roles', async () => {
    const scene = await house.scene()
    const [self] = scene.reviewers
    await scene.give(scene.reviewers[0]!, ['reviewer', 'dev'])
    const { request } = await self!.api.ask({ body: { roles: [scene.role('dba')], reason: 'mine' } })
    const { id, requestDigest, factsDigest } = request!
    const body = { decision: 'approve', reason: '', requestDigest, factsDigest } as const
    expect(await refusalOf(self!.api.review({ params: { id }, body }))).toBe('own_request')
    expect(await self!.api.showRequest({ params: { id } })).toMatchObject({ state: 'pending', can: ['cancel'] })
  })

  test('22: a right to review that comes from a grant does not count', async () => {
    const scene = await house.scene({ roles: { dba: {}, approver: {} } })
    await scene.define('approver', { allow: { review_requests: { roles: [scene.role('dba')] } } })
    const borrower = scene.reviewers[1]!
    await scene.define('asks', { allow: { request: { roles: [scene.role('approver')], escalating: true } } })
    await scene.give(borrower, ['asks'])
    const body = { roles: [scene.role('approver')], reason: 'for a day' }
    const { request: borrowed } = await borrower.api.ask({ body })
    expect((await scene.vote(0, borrowed!, 'approve')).grant).toMatchObject({ state: 'active' })
    const request = await scene.ask({}, ['dba'])
    expect(await refusalOf(scene.vote(borrower, request, 'approve'))).toMatch(/^(not_a_reviewer|not_found)$/)
  })

  test('25: a vote is an approval or a denial and nothing else', async () => {
    const scene = await house.scene()
    const request = await scene.ask()
    const decision = 'pending' as 'approve'
    expect(await refusalOf(scene.vote(0, request, decision))).toBe('malformed')
  })

  test('26: a vote counts for those requested roles that its voter may review', async () => {
    const scene = await house.scene({ roles: { web: {}, dba: {} } })
    await scene.define('half', { allow: { review_requests: { roles: [scene.role('web')] } } })
    await scene.give(scene.reviewers[0]!, ['half'])
    const request = await scene.ask()
    const after = await scene.vote(0, request, 'approve')
    expect(after).toMatchObject({ state: 'pending', reviews: [{ roles: [scene.role('web')], counts: true }] })
    expect((await scene.vote(1, request, 'approve')).state).toBe('approved')
  })

  test('28: where a condition on the request is not met, its reviewer can neither see nor review it', async () => {
    const scene = await house.scene({ review: { where: 'request.annotations.team.exists(t, t == "payments")' } })
    const request = await scene.ask()
    const reviewer = scene.reviewers[0]!
    expect(await refusalOf(reviewer.api.showRequest({ params: { id: request.id } }))).toBe('not_found')
    expect(await refusalOf(scene.vote(0, request, 'approve'))).toMatch(/^(not_a_reviewer|not_found)$/)
  })

  test('28: where the request has it, they may', async () => {
    const scene = await house.scene({
      request: { annotations: { team: ['payments'] } },
      review: { where: 'request.annotations.team.exists(t, t == "payments")' },
    })
    expect((await scene.vote(0, await scene.ask(), 'approve')).state).toBe('approved')
  })

  test('29: a denied role may not be reviewed while its condition holds, and may when it does not', async () => {
    const scene = await house.scene()
    await scene.define('no-reason-no-vote', {
      deny: { review_requests: { roles: [scene.role('dba')], where: 'request.reason == ""' } },
    })
    await scene.give(scene.reviewers[0]!, ['reviewer', 'no-reason-no-vote'])
    expect(await refusalOf(scene.vote(0, await scene.ask({ reason: '' }), 'approve'))).toMatch(
      /^(not_a_reviewer|not_found)$/,
    )
    expect((await scene.vote(0, await scene.ask({ reason: 'ticket' }), 'approve')).state).toBe('approved')
  })

  test('30: two requested roles may be allowed by two roles of the reviewer', async () => {
    const scene = await house.scene({ roles: { web: {}, dba: {} } })
    await scene.define('one', { allow: { review_requests: { roles: [scene.role('web')] } } })
    await scene.define('two', { allow: { review_requests: { roles: [scene.role('dba')] } } })
    await scene.give(scene.reviewers[0]!, ['one', 'two'])
    expect((await scene.vote(0, await scene.ask(), 'approve')).state).toBe('approved')
  })

  test('a vote of somebody who has lost the right stays visible and does not count any more', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] }, reviewers: [{}, {}, {}] })
    const request = await scene.ask()
    await scene.vote(0, request, 'approve')
    await scene.give(scene.reviewers[0]!, [])
    expect((await scene.vote(1, request, 'approve')).state).toBe('pending')
    expect((await scene.look(request)).reviews[0]).toMatchObject({ counts: false, why: 'right_lost' })
    expect((await scene.vote(2, request, 'approve')).state).toBe('approved')
  })

  test('a reviewer shortens what is granted, and never widens it', async () => {
    const scene = await house.scene()
    const request = await scene.ask({ duration: HOUR })
    expect(await refusalOf(scene.vote(0, request, 'approve', { duration: 2 * HOUR }))).toBe('widens_request')
    const approved = await scene.vote(0, request, 'approve', { duration: HOUR / 2 })
    expect(approved.grant!.endsAt - approved.grant!.startsAt).toBe(HOUR / 2)
  })

  test('somebody who may neither ask, review nor administer does not learn that a request exists', async () => {
    const scene = await house.scene({ reviewers: [{}, {}] })
    const request = await scene.ask()
    const outsider = scene.reviewers[1]!
    await scene.give(outsider, [])
    expect(await refusalOf(outsider.api.showRequest({ params: { id: request.id } }))).toBe('not_found')
    const seen = await outsider.api.listRequests({})
    expect(seen.items.filter(({ user }) => user !== outsider.name)).toEqual([])
    const absent = { params: { id: 'req_01890000-0000-7000-8000-000000000000' } }
    expect(await refusalOf(outsider.api.showRequest(absent))).toBe('not_found')
  })
})
