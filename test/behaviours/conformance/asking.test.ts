// What may be asked for, and how. Numbers in the titles are those of the list of behaviours of request systems that we follow.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { ConformanceHouse, HOUR, refusalOf, type Scene } from './house.ts'

const REQUIRED = { reason: { mode: 'required' } } as const

describe.each(STORES)('asking on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test('31: a required reason holds for every role that the pattern allows', async () => {
    const scene = await house.scene({ roles: { 'dev-a': {} } })
    await scene.define('dev', { allow: { request: { roles: [scene.role('dev-*')], ...REQUIRED } } })
    expect(await refusalOf(scene.ask({ reason: '' }))).toBe('reason_required')
    expect((await scene.ask({ reason: 'why' })).state).toBe('pending')
  })

  test('32: denied wins over allowed', async () => {
    const scene = await house.scene()
    await scene.define('never', { deny: { request: { roles: [scene.role('db*')] } } })
    await scene.give(scene.requester, ['dev', 'never'])
    expect(await refusalOf(scene.ask())).toBe('role_not_requestable')
  })

  test('33: a trait makes a role requestable, with what the pattern caught of it', async () => {
    const scene = await house.scene({ roles: { 'team-web': {} } })
    const claim = { claim: 'groups', value: '^squad-(.*)$', roles: [`${scene.role('team')}-$1`] }
    await scene.define('dev', { allow: { request: { claims_to_roles: [claim] } } })
    expect(await refusalOf(scene.ask())).toBe('role_not_requestable')
    await scene.give(scene.requester, ['dev'], { groups: ['squad-web'] })
    expect((await scene.ask()).roles).toEqual([scene.role('team-web')])
  })

  test('34: a star stands for every requestable role that is not held, and for none it is an error', async () => {
    const scene = await house.scene({ roles: { web: {}, dba: {} } })
    expect((await scene.ask({}, ['*'])).roles.toSorted()).toEqual([scene.role('dba'), scene.role('web')])
    await scene.give(scene.requester, ['dev', 'dba'])
    expect((await scene.ask({ reason: 'rest' }, ['*'])).roles).toEqual([scene.role('web')])
    await scene.give(scene.requester, ['dev', 'dba', 'web'])
    expect(await refusalOf(scene.ask({}, ['*']))).toBe('nothing_requestable')
  })

  test.each([
    ['', 'reason_required'],
    [' \t\n', 'reason_required'],
    ['ticket', 'was not refused'],
  ])('36: one role of two needs a reason, and %j is answered with %s', async (reason, answer) => {
    const scene = await house.scene({ roles: { web: {}, dba: {} } })
    await scene.define('dev', { allow: { request: { roles: [scene.role('web')] } } })
    await scene.define('dev2', { allow: { request: { roles: [scene.role('dba')], ...REQUIRED } } })
    await scene.give(scene.requester, ['dev', 'dev2'])
    expect(await refusalOf(scene.ask({ reason }))).toBe(answer)
  })

  test.each([
    ['x'.repeat(4096), 'was not refused'],
    ['x'.repeat(4097), 'malformed'],
    ['\u00e9'.repeat(2049), 'over_limit'],
  ])('40: a reason has 4096 bytes at most', async (reason, answer) => {
    const scene = await house.scene()
    expect(await refusalOf(scene.ask({ reason }))).toBe(answer)
  })

  test('44: the server makes the id, and takes none from outside', async () => {
    const scene = await house.scene()
    const more = { id: 'req_01890000-0000-7000-8000-000000000000' } as object
    expect(await refusalOf(scene.ask(more))).toBe('malformed')
    expect((await scene.ask()).id).toMatch(/^req_[0-9a-f-]{36}$/)
  })

  test.each([
    ['a condition with a syntax error', { request: { thresholds: [{ approve: 1, filter: 'reviewer.(' }] } }],
    ['an unknown field in a condition', { request: { thresholds: [{ approve: 1, filter: 'reviewer.shoe == "x"' }] } }],
    ['a cap over 14 days', { request: { max_duration: '15d' } }],
    ['a pattern that is no regular expression', { request: { roles: ['^(x$'] } }],
  ])('46: a role with %s is refused when it is written', async (_what, allow) => {
    const document = { kind: 'role', metadata: { name: 'wrong' }, spec: { allow } }
    expect(await refusalOf(house.admin.createDocument({ body: { document } }))).toBe('malformed')
  })

  test('46: thresholds in a denial are refused when the role is written', async () => {
    const spec = { deny: { request: { roles: ['x'], thresholds: [{ approve: 1 }] } } }
    const document = { kind: 'role', metadata: { name: 'wrong' }, spec }
    expect(await refusalOf(house.admin.createDocument({ body: { document } }))).toBe('malformed')
  })

  test('47: a dry run tells roles, reviewers, approvals and the longest duration, and stores and audits nothing', async () => {
    const scene = await house.scene({ request: { max_duration: '2h', thresholds: [{ name: 'two', approve: 2 }] } })
    const before = await eventsOf(house, scene)
    const body = { roles: [scene.role('dba')], dryRun: true }
    const { request, preview } = await scene.requester.api.ask({ body })
    expect(request).toBeNull()
    expect(preview).toMatchObject({
      roles: [scene.role('dba')],
      longest: 2 * HOUR,
      // The first administrator may review everything.
      reviewers: ['admin', ...scene.reviewers.map(({ name }) => name)],
      approvalsNeeded: [{ role: scene.role('dba'), name: 'two', approve: 2 }],
    })
    const mine = await scene.requester.api.listRequests({ query: { scope: 'mine', role: scene.role('dba') } })
    expect(mine.items).toEqual([])
    expect(await eventsOf(house, scene)).toBe(before)
  })

  test('an identical pending request is given again instead of a second one', async () => {
    const scene = await house.scene()
    const first = await scene.ask()
    expect((await scene.ask()).id).toBe(first.id)
    expect((await scene.ask({ reason: 'another' })).id).not.toBe(first.id)
  })

  test('what was just denied may not be asked for again at once', async () => {
    const scene = await house.scene()
    await scene.vote(0, await scene.ask(), 'deny')
    expect(await refusalOf(scene.ask({ reason: 'please' }))).toBe('cooling_down')
  })

  test('a role that one holds, that one must not ask for and that does not exist', async () => {
    const scene = await house.scene()
    await scene.define('secret', {})
    await scene.give(scene.requester, ['dev', 'dba'])
    expect(await refusalOf(scene.ask({}, ['dba']))).toBe('role_already_held')
    expect(await refusalOf(scene.ask({}, ['secret']))).toBe('role_not_requestable')
    expect(await refusalOf(scene.ask({}, ['absent']))).toBe('role_not_requestable')
  })

  test('an escalating role is asked for only where that is allowed by name, and never gives its rules', async () => {
    const scene = await house.scene({ roles: { admin: { allow: { rules: [{ resources: ['*'], verbs: ['*'] }] } } } })
    expect(await refusalOf(scene.ask())).toBe('role_not_requestable')
    await scene.define('dev', { allow: { request: { roles: [scene.role('admin')], escalating: true } } })
    expect((await scene.vote(0, await scene.ask(), 'approve')).state).toBe('approved')
    expect(await refusalOf(scene.requester.api.listUsers({}))).toBe('not_allowed')
  })

  test('fifty roles may be asked for, and the refusal of more names the overflow', async () => {
    const names = Array.from({ length: 51 }, (_, index) => `r${String(index).padStart(2, '0')}`)
    const scene = await house.scene({ roles: Object.fromEntries(names.map((name) => [name, {}])) })
    expect(await refusalOf(scene.ask({}, ['*']))).toBe('over_limit')
    expect((await scene.ask({}, names.slice(0, 50))).roles).toHaveLength(50)
  })

  test('the requester cancels while it waits, nobody else does, and it can be voted on no more', async () => {
    const scene = await house.scene()
    const request = await scene.ask()
    const params = { id: request.id }
    expect(await refusalOf(scene.reviewers[0]!.api.cancelRequest({ params }))).toBe('not_allowed')
    expect((await scene.requester.api.cancelRequest({ params })).state).toBe('cancelled')
    expect(await refusalOf(scene.vote(0, request, 'approve'))).toBe('already_resolved')
    expect(await refusalOf(scene.requester.api.cancelRequest({ params }))).toBe('already_resolved')
  })
})

async function eventsOf(house: ConformanceHouse, { requester }: Scene): Promise<number> {
  return (await house.sallyport.events({ user: requester.name })).length
}
