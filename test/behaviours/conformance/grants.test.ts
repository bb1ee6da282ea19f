// Durations, and what an approved request becomes. Numbers in the titles are those of the list of behaviours of request systems
// that we follow; where ours is better on purpose, the title says what ours does.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { STORES } from '../../support/stores.ts'
import { until } from '../../support/until.ts'
import { ConformanceHouse, HOUR, refusalOf, type Scene } from './house.ts'

const DAY = 24 * HOUR

describe.each(STORES)('durations and grants on %s', (kind) => {
  let house: ConformanceHouse
  beforeAll(async () => {
    house = await ConformanceHouse.start(kind)
  })
  afterAll(async () => {
    await house?.[Symbol.asyncDispose]()
  })

  test.each([
    ['60: nothing asked and no cap', undefined, undefined, 8 * HOUR],
    ['61: five hours asked and no cap', undefined, 5 * HOUR, 5 * HOUR],
    ['62: nothing asked and a cap of three days', '3d', undefined, 3 * DAY],
    ['63: a day asked and a cap of seven', '7d', DAY, DAY],
  ])('%s', async (_title, cap, duration, given) => {
    const scene = await house.scene({ request: cap === undefined ? {} : { max_duration: cap } })
    const approved = await scene.vote(0, await scene.ask(duration === undefined ? {} : { duration }), 'approve')
    expect(approved.grant!.endsAt - approved.grant!.startsAt).toBe(given)
  })

  test.each([
    ['61: more than the eight hours of no cap', undefined, 10 * HOUR, 'duration_over_cap'],
    ['62: more than the cap', '3d', 7 * DAY, 'duration_over_cap'],
    ['66: more than 14 days', '14d', 15 * DAY, 'over_limit'],
  ])('%s is an error, never clamped in silence', async (_title, cap, duration, code) => {
    const scene = await house.scene({ request: cap === undefined ? {} : { max_duration: cap } })
    expect(await refusalOf(scene.ask({ duration }))).toBe(code)
  })

  test('the smallest cap over the roles counts, whatever their order', async () => {
    const scene = await house.scene({ roles: { web: {}, dba: {} } })
    await scene.define('dev', { allow: { request: { roles: [scene.role('web')], max_duration: '4h' } } })
    await scene.define('dev2', { allow: { request: { roles: [scene.role('dba')], max_duration: '1h' } } })
    await scene.give(scene.requester, ['dev', 'dev2'])
    expect((await scene.ask({ reason: '1' }, ['web', 'dba'])).duration).toBe(HOUR)
    expect((await scene.ask({ reason: '2' }, ['dba', 'web'])).duration).toBe(HOUR)
  })

  test.each([
    [7 * DAY, 'was not refused'],
    [7 * DAY + 1, 'over_limit'],
  ])('68: a decision may be waited for for %i ms: %s', async (pendingFor, answer) => {
    const scene = await house.scene()
    expect(await refusalOf(scene.ask({ pendingFor }))).toBe(answer)
  })

  test('a request that nobody decided in time is expired, and no vote brings it back', async () => {
    const scene = await house.scene()
    const request = await scene.ask({ pendingFor: 1500 })
    for (;;) {
      const { state, version } = await scene.look(request)
      if (state === 'expired') break
      await scene.requester.api.watchRequest({ params: { id: request.id }, query: { version } })
    }
    expect(await refusalOf(scene.vote(0, request, 'approve'))).toBe('request_expired')
  })

  test('72: approved for a later start, it gives nothing before', async () => {
    const scene = await house.scene()
    await scene.node('box')
    const instant = Date.now() + 2 * HOUR
    const approved = await scene.vote(0, await scene.ask({ start: { at: 'instant', instant } }), 'approve')
    expect(approved.grant).toMatchObject({ state: 'scheduled', startsAt: instant })
    expect(await scene.loginsAt('box')).toEqual([])
  })

  test('73: of the starts that reviewers name, the latest counts', async () => {
    const scene = await house.scene({ request: { thresholds: [{ approve: 2, deny: 1 }] } })
    const request = await scene.ask({ duration: HOUR })
    const [soon, later] = [Date.now() + HOUR, Date.now() + 2 * HOUR]
    const first = await scene.vote(0, request, 'approve', { startAt: later })
    expect(first.grantedStart).toBe(later)
    const shown = { duration: first.grantedDuration, startAt: first.grantedStart }
    const second = await scene.vote(1, request, 'approve', { startAt: soon, shown })
    expect(second.grant).toMatchObject({ state: 'scheduled', startsAt: later, endsAt: later + HOUR })
  })

  test('74: two grants add up, and ending one leaves the other', async () => {
    const scene = await house.scene({ roles: { dba: postgres('postgres'), ops: postgres('deploy') } })
    await scene.node('box')
    const dba = await scene.vote(0, await scene.ask({}, ['dba']), 'approve')
    await scene.vote(0, await scene.ask({}, ['ops']), 'approve')
    expect(await scene.loginsAt('box')).toEqual(['deploy', 'postgres'])
    await scene.requester.api.returnGrant({ params: { id: dba.id } })
    expect(await scene.loginsAt('box')).toEqual(['deploy'])
  })

  test('78: a grant of somebody else is not to be found, and not to be given back', async () => {
    const scene = await house.scene({ reviewers: [{}, {}] })
    const approved = await scene.vote(0, await scene.ask(), 'approve')
    const outsider = scene.reviewers[1]!
    await scene.give(outsider, [])
    expect(await refusalOf(outsider.api.returnGrant({ params: { id: approved.id } }))).toBe('not_found')
  })

  test('80: of requests that are pending, denied or cancelled there is no grant to be used, returned or revoked', async () => {
    const scene = await house.scene()
    const pending = await scene.ask()
    const denied = await scene.ask({ reason: 'two' })
    await scene.vote(0, denied, 'deny')
    for (const { id } of [pending, denied]) {
      expect(await refusalOf(scene.requester.api.returnGrant({ params: { id } }))).toBe('not_found')
      expect(await refusalOf(house.admin.revokeGrant({ params: { id }, body: {} }))).toBe('not_found')
    }
    expect((await scene.requester.api.me({})).grants.filter(({ requestId }) => requestId === denied.id)).toEqual([])
  })

  test('81: a lock on the request ends its grant for good, also when the lock is removed', async () => {
    const scene = await house.scene()
    await scene.node('box')
    const { id } = await scene.vote(0, await scene.ask(), 'approve')
    const lock = await house.admin.addLock({ body: { kind: 'request', target: id, message: 'looked odd' } })
    expect(await scene.loginsAt('box')).toEqual([])
    await house.admin.removeLock({ params: { id: lock.id } })
    expect(await scene.loginsAt('box')).toEqual([])
  })

  test('83: revoking takes the access away at once, says by whom and why, and cannot be done twice', async () => {
    const scene = await house.scene()
    await scene.node('box')
    const { id } = await scene.vote(0, await scene.ask(), 'approve')
    expect(await scene.loginsAt('box')).toEqual(['postgres'])
    await scene.reviewers[1]!.api.revokeGrant({ params: { id }, body: { reason: 'done with it' } })
    expect(await scene.loginsAt('box')).toEqual([])
    const seen = await scene.look({ id } as Parameters<Scene['look']>[0])
    expect(seen.grant).toMatchObject({ state: 'ended', endReason: 'revoked', endComment: 'done with it' })
    expect(await refusalOf(house.admin.revokeGrant({ params: { id }, body: {} }))).toBe('grant_ended')
  })

  test('an edit of the role narrows a live grant at once and never widens it', async () => {
    const scene = await house.scene()
    await scene.node('box')
    await scene.vote(0, await scene.ask(), 'approve')
    await scene.define('dba', { allow: { logins: ['postgres', 'root'], node_labels: { scene: scene.role('x') } } })
    expect(await scene.loginsAt('box')).toEqual([])
    await scene.define('dba', postgres('postgres', 'root'))
    expect(await scene.loginsAt('box')).toEqual(['postgres'])
  })

  test('a role that is made anew under an old name revives no grant', async () => {
    const scene = await house.scene()
    await scene.node('box')
    await scene.vote(0, await scene.ask(), 'approve')
    await house.admin.removeRole({ params: { name: scene.role('dba') } })
    await scene.define('dba', postgres('postgres'))
    expect(await scene.loginsAt('box')).toEqual([])
  })

  test('an account that is disabled and enabled again at once has lost its grants', async () => {
    const scene = await house.scene()
    await scene.node('box')
    const { id } = await scene.vote(0, await scene.ask(), 'approve')
    const { name } = scene.requester
    for (const disabled of [true, false]) {
      const spec = { roles: [scene.role('dev')], disabled }
      await house.sallyport.document({ kind: 'user', metadata: { name }, spec })
    }
    const grant = await until('the end of the grant', async () => {
      const shown = await house.admin.showRequest({ params: { id } })
      return shown.grant?.state === 'ended' && shown.grant
    })
    expect(grant.endReason).toBe('user_removed')
  })
})

const postgres = (...logins: string[]) => ({ allow: { logins, node_labels: { env: 'prod' } } })
