// Messages that go out once, reasons that are needed each time, votes of rules. Numbers in the titles are those of the list of
// behaviours of request systems that we follow; where ours is better on purpose, the title says what ours does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { ConformanceHouse, HOUR, refusalOf } from './house.ts'

const REQUIRED = { reason: { mode: 'required' } } as const

describe.each(STORES)('deliveries, reasons and rules on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test('24, 45: nobody asks or votes in the name of somebody else', async () => {
    const scene = await house.scene()
    const [voter, other] = scene.reviewers
    const request = await scene.ask()
    expect(await refusalOf(scene.ask({ user: other!.name } as object))).toBe('malformed')
    expect(await refusalOf(scene.vote(0, request, 'approve', { author: other!.name } as object))).toBe('malformed')
    expect(await refusalOf(scene.vote(0, request, 'approve', { onBehalfOf: other!.name }))).toBe('not_a_reviewer')
    const { reviews } = await scene.vote(0, request, 'approve')
    expect(reviews.map(({ reviewer }) => reviewer)).toEqual([voter!.name])
  })

  test('35: a star stands for what may be asked for: it is no role to be taken, to be extended, or asked for as decided', async () => {
    const scene = await house.scene({ request: { break_glass: { roles: ['*'] } } })
    const taker = scene.reviewers[1]!
    await scene.give(taker, ['dev'])
    const body = { roles: ['*'], reason: 'down', confirm: '*' }
    expect(await refusalOf(taker.api.breakGlass({ body }))).toBe('malformed')
    expect(await refusalOf(scene.ask({ state: 'approved' } as object, ['*']))).toBe('malformed')
    const approved = await scene.vote(0, await scene.ask({}, ['*']), 'approve')
    const more = { duration: HOUR, roles: ['*'] }
    const params = { id: approved.id }
    expect(await refusalOf(scene.requester.api.extendGrant({ params, body: more }))).toBe('malformed')
    expect(approved.roles).toEqual([scene.role('dba')])
  })

  test('39: where a role says that a reason is required, whatever it allows needs one: roles, resources, more time', async () => {
    const scene = await house.scene({ request: REQUIRED, roles: { dba: {}, box: {} } })
    await scene.define('box', { allow: { logins: ['root'], node_labels: { env: 'prod' } } })
    const block = { roles: [scene.role('dba')], search_as_roles: [scene.role('box')], ...REQUIRED }
    await scene.define('dev', { allow: { request: block } })
    await scene.node('db')
    const asResource = { resources: [`node/${scene.role('db')}`] }
    for (const reason of ['', ' \t'])
      for (const wanted of [() => scene.ask({ reason }, ['dba']), () => scene.ask({ reason, ...asResource }, [])])
        expect(await refusalOf(wanted())).toBe('reason_required')
    const approved = await scene.vote(0, await scene.ask({ reason: 'ticket', duration: HOUR }, ['dba']), 'approve')
    const more = (reason: string) =>
      scene.requester.api.extendGrant({ params: { id: approved.id }, body: { duration: HOUR, reason } })
    expect(await refusalOf(more(' '))).toBe('reason_required')
    expect((await more('still at it')).kind).toBe('extension')
    expect((await scene.ask({ reason: 'ticket', ...asResource }, [])).kind).toBe('resource')
  })

  test('88: of many deliverers at once each message goes to one, and none is lost or doubled', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] } })
    const asked = await Promise.all([1, 2, 3, 4, 5].map((index) => scene.ask({ reason: `message ${index}` })))
    await Promise.all(asked.flatMap((request) => [0, 1].map((index) => scene.vote(index, request, 'approve'))))
    const claims = await Promise.all(Array.from({ length: 20 }, () => house.admin.claimDeliveries({})))
    const ids = claims.flatMap(({ items }) => items.map(({ id }) => id))
    expect(new Set(ids).size).toBe(ids.length)
    const of = (topic: string, id: string): number =>
      claims
        .flatMap(({ items }) => items)
        .filter((each) => each.topic === topic && JSON.stringify(each.body).includes(id)).length
    for (const { id } of asked) {
      expect([of('request.created', id), of('request.reviewed', id), of('request.decided', id)]).toEqual([1, 2, 1])
    }
    for (const id of ids) await house.admin.confirmDelivery({ params: { id } })
    expect((await house.admin.claimDeliveries({})).items).toEqual([])
  })

  test('91: a rule about who is on call votes once and counts as one review; for others it says nothing', async () => {
    const scene = await house.scene({
      request: { thresholds: [{ approve: 2, deny: 1 }] },
      traits: { oncall: ['second'] },
    })
    const name = scene.role('oncall')
    const condition = '"second" in requester.traits.oncall'
    const spec = { roles: [scene.role('*')], decision: 'approve', reason: 'on call', condition }
    await house.sallyport.document({ kind: 'review_rule', version: 'v1', metadata: { name }, spec })
    const request = await scene.ask()
    const one = [{ reviewer: `rule:${name}`, decision: 'approve', counts: true }]
    expect(request).toMatchObject({ state: 'pending', reviews: one, progress: [{ approvals: 1, approve: 2 }] })
    const decided = await scene.vote(0, request, 'approve')
    expect(decided.state).toBe('approved')
    expect(decided.reviews.map(({ reviewer }) => reviewer)).toEqual([`rule:${name}`, scene.reviewers[0]!.name])
    await scene.give(scene.requester, ['dev'], { oncall: ['first'] })
    expect(await scene.ask({ reason: 'not on call' })).toMatchObject({ state: 'pending', reviews: [] })
  })
})
