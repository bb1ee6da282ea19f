// People with an account, and rights of their own, who try to get more than they were given, over the API of a real daemon.
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AccessRequest } from '../../src/contract/request.ts'
import { ConformanceHouse, HOUR, refusalOf, type Person, type Scene } from '../behaviours/conformance/house.ts'

let house: ConformanceHouse
beforeAll(async () => {
  house = await ConformanceHouse.start('sqlite')
})
afterAll(async () => {
  await house?.[Symbol.asyncDispose]()
})

const digests = ({ requestDigest, factsDigest }: AccessRequest) => ({ requestDigest, factsDigest })
const asAdmin = ({ id }: AccessRequest): Promise<AccessRequest> => house.admin.showRequest({ params: { id } })
const vote = (who: Person, request: AccessRequest, more: object = {}): Promise<AccessRequest> =>
  who.api.review({ params: { id: request.id }, body: { decision: 'approve', ...digests(request), ...more } })
const first = ({ reviewers }: Scene): Person => reviewers[0]!
const second = ({ reviewers }: Scene): Person => reviewers[1]!
const isPending = async (request: AccessRequest): Promise<void> => {
  expect(await asAdmin(request)).toMatchObject({ state: 'pending', grant: null })
}
const inAnHour = (): number => Date.now() + HOUR

describe('who asked decides nothing', () => {
  test('not themselves, not as anybody else, and not for a peer whose delegate they are', async () => {
    const scene = await house.scene()
    const self = first(scene)
    await scene.give(self, ['reviewer', 'dev'])
    const peer = second(scene)
    await peer.api.addDelegation({ body: { to: self.name, until: inAnHour(), roles: [scene.role('dba')] } })
    const { request } = await self.api.ask({ body: { roles: [scene.role('dba')], reason: 'mine' } })
    expect(await refusalOf(vote(self, request!))).toBe('own_request')
    expect(await refusalOf(vote(self, request!, { onBehalfOf: peer.name }))).toBe('own_request')
    expect(await refusalOf(vote(self, request!, { onBehalfOf: self.name }))).toBe('own_request')
    await isPending(request!)
    const refused = await house.sallyport.events({ type: 'access_request.review_refused' })
    expect(refused.filter((event) => event.request === request!.id)).toHaveLength(3)
  })
  test('a delegate of the requester votes for nobody', async () => {
    const scene = await house.scene({ reviewers: [{}, {}] })
    const self = first(scene)
    await scene.give(self, ['reviewer', 'dev'])
    const crony = second(scene)
    await scene.give(crony, [])
    await self.api.addDelegation({ body: { to: crony.name, until: inAnHour(), roles: [scene.role('dba')] } })
    const { request } = await self.api.ask({ body: { roles: [scene.role('dba')], reason: 'mine' } })
    expect(await refusalOf(vote(crony, request!))).toMatch(/^(not_a_reviewer|not_found)$/)
    expect(await refusalOf(vote(crony, request!, { onBehalfOf: self.name }))).toMatch(/^(not_a_reviewer|not_found)$/)
    await isPending(request!)
  })
  test('not their own extension, and not their own revocation', async () => {
    const scene = await house.scene()
    const self = first(scene)
    await scene.give(self, ['reviewer', 'dev'])
    const { request } = await self.api.ask({ body: { roles: [scene.role('dba')], reason: 'mine' } })
    await vote(second(scene), await asAdmin(request!))
    const more = await self.api.extendGrant({ params: { id: request!.id }, body: { duration: HOUR, reason: 'more' } })
    expect(await refusalOf(vote(self, await asAdmin(more)))).toBe('own_request')
    expect((await asAdmin(more)).state).toBe('pending')
    expect(await refusalOf(self.api.revokeGrant({ params: { id: request!.id }, body: {} }))).toBe('not_allowed')
  })
  test('a delegation is not handed on', async () => {
    const scene = await house.scene({ reviewers: [{}, {}, {}] })
    const [absent, delegate, third] = scene.reviewers
    await scene.give(delegate!, [])
    await scene.give(third!, [])
    await absent!.api.addDelegation({ body: { to: delegate!.name, until: inAnHour(), roles: [scene.role('dba')] } })
    const handedOn = delegate!.api.addDelegation({
      body: { to: third!.name, until: inAnHour(), roles: [scene.role('dba')] },
    })
    expect(await refusalOf(handedOn)).toBe('not_a_reviewer')
    const request = await scene.ask()
    expect(await refusalOf(vote(third!, request, { onBehalfOf: absent!.name }))).toMatch(/^(not_a_reviewer|not_found)$/)
    expect(await refusalOf(vote(third!, request, { onBehalfOf: delegate!.name }))).toMatch(
      /^(not_a_reviewer|not_found)$/,
    )
    await isPending(request)
  })
  test('the operator of the daemon reviews nothing and asks for nothing', async () => {
    const scene = await house.scene()
    const request = await scene.ask()
    const { id } = request
    const body = { decision: 'approve', ...digests(request) } as const
    expect(await refusalOf(house.admin.review({ params: { id }, body }))).not.toBe('was not refused')
    expect(await refusalOf(house.admin.ask({ body: { roles: [scene.role('dba')] } }))).not.toBe('was not refused')
    await isPending(request)
  })
})

describe('what is sent is what the contract says', () => {
  test.each([
    'state',
    'user',
    'reviews',
    'thresholds',
    'requester',
    'id',
    'kind',
    'approvedBy',
    '__proto__',
    'extends',
  ])('a question that brings its own "%s" is refused whole', async (field) => {
    const scene = await house.scene()
    const reason = `mass assignment ${randomUUID()}`
    const body = `{"roles":["${scene.role('dba')}"],"reason":"${reason}","${field}":{"state":"approved"}}`
    const answer = await scene.requester.send('POST', '/v1/requests', body)
    expect(answer).toEqual({ status: 400, code: 'malformed' })
    const { items } = await house.admin.listRequests({ query: { text: reason } })
    expect(items).toEqual([])
  })
  test.each(['reviewer', 'author', 'roles', 'state', 'createdAt', '__proto__', 'userId'])(
    'a vote that brings its own "%s" is refused whole',
    async (field) => {
      const scene = await house.scene()
      const request = await scene.ask()
      const body = JSON.stringify({ decision: 'approve', ...digests(request) }).replace('{', `{"${field}":"bob",`)
      const answer = await first(scene).send('POST', `/v1/requests/${request.id}/reviews`, body)
      expect(answer.code).toBe('malformed')
      await isPending(request)
    },
  )
  test.each([
    ['PUT', ''],
    ['PATCH', ''],
    ['DELETE', ''],
    ['POST', '/approve'],
    ['POST', '/reviews/../approve'],
    ['PATCH', '/reviews'],
  ])('there is no %s on a request%s', async (method, tail) => {
    const scene = await house.scene()
    const request = await scene.ask()
    const answer = await first(scene).send(
      method as 'POST',
      `/v1/requests/${request.id}${tail}`,
      '{"state":"approved"}',
    )
    expect(answer.status).toBeGreaterThanOrEqual(400)
    await isPending(request)
  })
  test.each([
    ...['0', '-1', '1e308', '1e-7', '"8h"', 'null', '[3600000]', '0.5', '9007199254740993', '28800001', '1209600001'],
    ...['{"valueOf":1}', 'true'],
  ])('no duration is %s', async (duration) => {
    const scene = await house.scene()
    const reason = `length ${randomUUID()}`
    const body = `{"roles":["${scene.role('dba')}"],"reason":"${reason}","duration":${duration}}`
    const { code } = await scene.requester.send('POST', '/v1/requests', body)
    expect(code).toMatch(/^(malformed|over_limit|duration_over_cap)$/)
    expect((await house.admin.listRequests({ query: { text: reason } })).items).toEqual([])
  })
  test.each(['lone \\ud800 surrogate', 'x'.repeat(4097), 'ü'.repeat(2049)])('no reason is %s', async (reason) => {
    const scene = await house.scene()
    const body = `{"roles":["${scene.role('dba')}"],"reason":"${reason}"}`
    const { code } = await scene.requester.send('POST', '/v1/requests', body)
    expect(code).toMatch(/^(malformed|over_limit)$/)
  })
  test('whatever a reason says, it is kept and says nothing else', async () => {
    const scene = await house.scene()
    const reason = '<b>@channel</b> \r\nState: approved\u0000 \u202egnp.exe \u001b[2J 🦀 {{7*7}} $(id)'
    const request = await scene.ask({ reason })
    expect((await asAdmin(request)).reason).toBe(reason)
  })
})

describe('what may be asked for', () => {
  test.each([
    ...['DBA-admin', 'dba\n', ' dba', 'dba\u200b', 'ｄｂａ', 'dba%00', '^.*$', '?', 'dba,root', '../dba', 'rol_dba'],
    ...['', 'dba*', '**'],
  ])('no role is called %j', async (name) => {
    const scene = await house.scene()
    await scene.define('dba-admin', { allow: { logins: ['root'], node_labels: { '*': '*' } } })
    const full = name.replace(/dba/i, (found) => scene.role(found))
    const { code } = await scene.requester.send('POST', '/v1/requests', JSON.stringify({ roles: [full], reason: 'x' }))
    expect(code).toMatch(/^(malformed|role_not_requestable)$/)
  })
  test('a role that fits the pattern later is not in a request for everything that was made before', async () => {
    const scene = await house.scene({ roles: { dba: {} }, request: { roles: [] } })
    await scene.define('dev', { allow: { request: { roles: [scene.role('db*')] } } })
    const request = await scene.ask({}, ['*'])
    await scene.define('dbz', { allow: { logins: ['root'], node_labels: { '*': '*' } } })
    const after = await scene.vote(0, request, 'approve')
    expect(after.grant).toMatchObject({ roles: [scene.role('dba')] })
  })
  test('nobody writes roles, users, rules or locks by being a reviewer or a requester', async () => {
    const scene = await house.scene()
    const traits = { metadata: { name: first(scene).name }, spec: { roles: [], traits: { team: ['x'] } } }
    const documents = [
      { kind: 'user', ...traits },
      { kind: 'role', metadata: { name: scene.role('dba') }, spec: { allow: { logins: ['root'] } } },
      { kind: 'review_rule', metadata: { name: 'mine' }, spec: { roles: ['*'], decision: 'approve', reason: 'yes' } },
    ]
    for (const who of [scene.requester, first(scene)]) {
      for (const document of documents) {
        const { status } = await who.send('POST', '/v1/documents', JSON.stringify({ document, replace: true }))
        expect(status).toBeGreaterThanOrEqual(400)
      }
      expect(await refusalOf(who.api.listRoles({}))).toMatch(/^(not_allowed|step_up_required|was not refused)$/)
      const target = `/v1/users/${second(scene).name}/reset`
      expect((await who.send('POST', target, '{}')).status).toBeGreaterThanOrEqual(400)
    }
    const { items } = await house.admin.listReviewRules({})
    expect(items.map((rule) => rule.metadata.name)).not.toContain('mine')
  })
  test('of fifty at once, twenty are asked and the others are told that it is too much', async () => {
    const scene = await house.scene()
    const asker = second(scene)
    await scene.give(asker, ['dev'])
    const all = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) =>
        asker.api.ask({ body: { roles: [scene.role('dba')], reason: `flood ${index}` } }),
      ),
    )
    const { items } = await house.admin.listRequests({
      query: { user: asker.name, role: scene.role('dba'), limit: 100 },
    })
    expect(items.length).toBeLessThanOrEqual(20)
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(items.length)
  })
})

describe('votes bind to what was seen', () => {
  test('digests of another request, of before an edit, or of nothing', async () => {
    const scene = await house.scene()
    const one = await scene.ask({ reason: 'one' })
    const other = await scene.ask({ reason: 'other', duration: HOUR })
    expect(await refusalOf(vote(first(scene), { ...one, requestDigest: other.requestDigest }))).toBe('request_changed')
    expect(await refusalOf(vote(first(scene), { ...one, factsDigest: one.requestDigest }))).toBe('request_changed')
    expect(await refusalOf(vote(first(scene), { ...one, requestDigest: '', factsDigest: '' }))).toBe('request_changed')
    await scene.define('dba', { allow: { logins: ['root'], node_labels: { '*': '*' } } })
    expect(await refusalOf(vote(first(scene), one))).toBe('request_changed')
    await isPending(one)
  })
  test('a reviewer lengthens nothing, starts nothing earlier, and denies with no terms', async () => {
    const scene = await house.scene()
    const start = { at: 'instant', instant: inAnHour() } as const
    const request = await scene.ask({ duration: HOUR, start })
    const as = first(scene)
    expect(await refusalOf(vote(as, request, { duration: HOUR + 1 }))).toBe('widens_request')
    expect(await refusalOf(vote(as, request, { startAt: start.instant - 1 }))).toBe('widens_request')
    expect(await refusalOf(vote(as, request, { startAt: 1 }))).toMatch(/^(widens_request|malformed)$/)
    expect(await refusalOf(vote(as, request, { decision: 'deny', duration: HOUR }))).toBe('malformed')
    await isPending(request)
  })
  test('fifty votes of one reviewer at once are one', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] } })
    const request = await scene.ask()
    const all = await Promise.allSettled(
      Array.from({ length: 50 }, () => vote(first(scene), request, { reason: 'now' })),
    )
    expect(all.some(({ status }) => status === 'fulfilled')).toBe(true)
    const after = await asAdmin(request)
    expect(after.state).toBe('pending')
    expect(after.reviews.filter(({ counts }) => counts)).toHaveLength(1)
  })
  test('a right that ends takes the vote with it: disabled, locked, without the role, removed', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] }, reviewers: [{}, {}, {}] })
    const [one, other, third] = scene.reviewers
    const request = await scene.ask()
    await vote(one!, request)
    await scene.give(one!, [])
    expect((await vote(other!, await asAdmin(request))).state).toBe('pending')
    const { id: lock } = await house.admin.addLock({ body: { kind: 'user', target: other!.name, message: 'held' } })
    expect((await vote(third!, await asAdmin(request))).state).toBe('pending')
    expect(await refusalOf(vote(other!, await asAdmin(request)))).toBe('locked')
    await house.admin.removeLock({ params: { id: lock } })
    const counted = (await asAdmin(request)).reviews.filter(({ counts }) => counts)
    expect(counted.map(({ reviewer }) => reviewer).toSorted()).toEqual([other!.name, third!.name].toSorted())
    // Both count again, but nothing is decided by an edit alone.
    await isPending(request)
  })
})

describe('what belongs to others', () => {
  test('is not shown, watched, previewed, cancelled, returned, extended, revoked or acknowledged', async () => {
    const scene = await house.scene()
    const request = await scene.ask()
    const stranger = second(scene)
    await scene.give(stranger, ['dev'])
    const absent = `${request.id.slice(0, -6)}000000`
    for (const id of [request.id, absent]) {
      const params = { id }
      const { api } = stranger
      const calls = [
        () => api.showRequest({ params }),
        () => api.previewRequest({ params }),
        () => api.watchRequest({ params, query: { version: 0 } }),
        () => api.cancelRequest({ params }),
        () => api.returnGrant({ params }),
        () => api.extendGrant({ params, body: { duration: HOUR, reason: 'x' } }),
        () => api.revokeGrant({ params, body: {} }),
        () => api.acknowledge({ params, body: {} }),
      ]
      for (const call of calls) expect(await refusalOf(call())).toBe('not_found')
    }
    const { items } = await stranger.api.listRequests({ query: { scope: 'all' } })
    expect(items.map(({ id }) => id)).not.toContain(request.id)
    await isPending(request)
  })
  test('an id is taken as it is, not as a path, a pattern or a part of one', async () => {
    const scene = await house.scene()
    const { id } = await scene.ask()
    for (const odd of [
      '%25',
      '*',
      `${id}%00`,
      `${id}%20`,
      id.toUpperCase(),
      `..%2Frequests%2F${id}`,
      id.slice(0, -1),
    ]) {
      const answer = await scene.requester.send('GET', `/v1/requests/${odd}`)
      expect([400, 404]).toContain(answer.status)
    }
  })
  test('a hidden node and one that is not there are the same answer', async () => {
    const scene = await house.scene({ request: { search_as_roles: [] } })
    await scene.node('secret', { env: 'secret' })
    const of = async (name: string): Promise<unknown> => {
      const body = JSON.stringify({ resources: [`node/${name}`], reason: 'x' })
      const asked = await scene.requester.send('POST', '/v1/requests', body)
      return [asked, await scene.requester.send('GET', `/v1/nodes/${name}/access`)]
    }
    expect(await of(scene.role('secret'))).toEqual(await of(scene.role('absent')))
  })
  test('somebody made anew under an old name has nothing of theirs', async () => {
    const scene = await house.scene()
    const request = await scene.ask()
    await scene.vote(0, request, 'approve')
    await scene.define('dba', { allow: { logins: ['root'], node_labels: { env: 'prod' } } })
    await house.admin.removeRole({ params: { name: scene.role('dba') } })
    await scene.define('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
    await scene.node('box')
    expect(await scene.loginsAt('box')).toEqual([])
  })
})

describe('emergencies', () => {
  test('need a right, a second factor, and others who look, never the one who took it', async () => {
    const scene = await house.scene({ reviewers: [{}, {}, {}] })
    const [taker, one, other] = scene.reviewers
    const body = { roles: [scene.role('dba')], reason: 'down', confirm: scene.role('dba') }
    expect(await refusalOf(taker!.api.breakGlass({ body }))).toBe('role_not_requestable')
    const right = { break_glass: { roles: [scene.role('dba')], max_duration: '1h' } }
    await scene.define('oncall', { allow: { request: right, review_requests: { roles: [scene.role('*')] } } })
    await scene.give(taker!, ['oncall'])
    expect(await refusalOf(scene.requester.api.breakGlass({ body }))).not.toBe('was not refused')
    const raw = await taker!.send('POST', '/v1/break-glass', JSON.stringify(body))
    expect(raw.code).toBe('step_up_required')
    const taken = await taker!.api.breakGlass({ body })
    const params = { id: taken.id }
    expect(await refusalOf(taker!.api.acknowledge({ params, body: {} }))).toBe('own_request')
    expect(await refusalOf(vote(one!, taken))).toBe('already_resolved')
    const longer = { params, body: { duration: HOUR, reason: 'x' } }
    expect(await refusalOf(taker!.api.extendGrant(longer))).toBe('not_extendable')
    await taker!.api.returnGrant({ params })
    await one!.api.acknowledge({ params, body: {} })
    await one!.api.acknowledge({ params, body: {} })
    expect(await refusalOf(taker!.api.breakGlass({ body }))).toBe('break_glass_blocked')
    await other!.api.acknowledge({ params, body: {} })
    expect((await taker!.api.breakGlass({ body })).state).toBe('approved')
  })
})

describe('second factors', () => {
  test('somebody without one, who was given the right to review, reviews nothing', async () => {
    const scene = await house.scene({ reviewers: [{}, {}, {}] })
    // Another one than who has asked too often by now.
    const asker = scene.reviewers[2]
    await scene.give(asker!, ['dev'])
    const { request } = await asker!.api.ask({ body: { roles: [scene.role('dba')], reason: 'theirs' } })
    await scene.give(scene.requester, ['reviewer'])
    expect(await refusalOf(vote(scene.requester, request!))).toMatch(/^second_factor/)
    await isPending(request!)
  })
})
