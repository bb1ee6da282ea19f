import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba')
  await world.role('web')
  await world.role('dev', { allow: { request: { roles: ['dba', 'web'], thresholds: [{ approve: 2, deny: 2 }] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await world.role('auditor', { allow: { rules: [{ resources: ['request'], verbs: ['read'] }] } })
  for (const name of ['alice', 'adam']) await world.user(name, { roles: ['dev'] })
  for (const name of ['bob', 'carol']) await world.user(name, { roles: ['lead'] })
  await world.user('rita', { roles: ['auditor'] })
  await world.user('eve')
})
afterEach(() => world.close())

const idsOf = async (
  name: string,
  query: Partial<Parameters<AccessWorld['requests']['list']>[1]> = {},
): Promise<string[]> =>
  (await world.requests.list(callerNamed(name), { scope: 'all', ...query })).items.map((item) => item.id)

describe('who sees what', () => {
  test('requester, reviewers and operators; for all others it does not exist', async () => {
    const { id } = await world.ask('alice', ['dba'])
    for (const name of ['alice', 'bob', 'rita']) expect((await world.requests.show(callerNamed(name), id)).id).toBe(id)
    expect((await world.requests.show(LOCAL_ADMIN, id)).id).toBe(id)
    const answer = async (name: string, which: string): Promise<unknown> =>
      world.requests.show(callerNamed(name), which).then(
        () => 'seen',
        (error: { code: string; message: string; hint: string }) => [error.code, error.message, error.hint],
      )
    for (const name of ['adam', 'eve', 'nobody'])
      expect(await answer(name, id)).toEqual(await answer(name, 'req_absent'))
  })
  test('[78] a request of another user cannot be found, cancelled, returned or waited for', async () => {
    const { id } = await world.ask('alice', ['dba'])
    const eve = callerNamed('eve')
    const never = new AbortController().signal
    for (const deed of [
      () => world.requests.cancel(eve, id),
      () => world.requests.return(eve, id),
      () => world.requests.revoke(eve, id, ''),
      () => world.requests.waitForChange(eve, id, 1, never),
    ])
      await expect(deed()).rejects.toMatchObject({ code: 'not_found' })
  })
  test('what the viewer may do now is said with it', async () => {
    const { id } = await world.ask('alice', ['dba'])
    const can = async (name: string): Promise<string[]> => (await world.requests.show(callerNamed(name), id)).can
    expect([await can('alice'), await can('bob'), await can('rita')]).toEqual([['cancel'], ['review'], []])
    await world.approve('bob', id)
    await world.approve('carol', id)
    expect([await can('alice'), await can('bob'), await can('rita')]).toEqual([['return', 'extend'], ['revoke'], []])
    world.clock.advance(8 * HOUR)
    expect([await can('alice'), await can('bob')]).toEqual([[], []])
  })
})

describe('lists', () => {
  test('[84] mine, reviewable and all: reviewable hides own, resolved and already reviewed ones', async () => {
    const first = await world.ask('alice', ['dba'])
    world.clock.advance(1)
    const second = await world.ask('adam', ['dba'])
    world.clock.advance(1)
    const web = await world.ask('adam', ['web'])
    expect(await idsOf('alice')).toEqual([first.id])
    expect(await idsOf('adam', { scope: 'mine' })).toEqual([web.id, second.id])
    expect(await idsOf('bob', { scope: 'reviewable' })).toEqual([second.id, first.id])
    await world.approve('bob', first.id)
    expect(await idsOf('bob', { scope: 'reviewable' })).toEqual([second.id])
    expect(await idsOf('carol', { scope: 'reviewable' })).toEqual([second.id, first.id])
    await world.approve('carol', first.id)
    expect(await idsOf('carol', { scope: 'reviewable' })).toEqual([second.id])
    expect(await idsOf('rita')).toEqual([web.id, second.id, first.id])
    expect(await idsOf('eve')).toEqual([])
  })
  test('a vote that no longer counts is asked for again', async () => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    await world.role('dba', { allow: { logins: ['x'] } })
    expect(await idsOf('bob', { scope: 'reviewable' })).toEqual([id])
  })
  test('filters by state, user and role; what the clock has expired is expired', async () => {
    const old = await world.ask('alice', ['dba'], { pendingFor: MINUTE })
    world.clock.advance(MINUTE)
    const fresh = await world.ask('alice', ['web'])
    expect(await idsOf('rita', { state: 'expired' })).toEqual([old.id])
    expect(await idsOf('rita', { state: 'pending' })).toEqual([fresh.id])
    expect(await idsOf('rita', { state: 'approved' })).toEqual([])
    expect(await idsOf('rita', { role: 'web' })).toEqual([fresh.id])
    expect(await idsOf('rita', { user: 'adam' })).toEqual([])
  })
  test('[86] pages under concurrent inserts neither skip nor double', async () => {
    for (let index = 0; index < 12; index++) {
      await world.ask(index % 2 ? 'alice' : 'adam', ['dba'], { reason: String(index) })
      if (index % 3 === 0) world.clock.advance(1)
    }
    const all = await idsOf('rita', { limit: 100 })
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await world.requests.list(callerNamed('rita'), { scope: 'all', limit: 5, cursor })
      seen.push(...page.items.map((item) => item.id))
      cursor = page.next ?? undefined
      world.clock.advance(1)
      await world.ask('alice', ['web'], { reason: `new ${seen.length}` })
    } while (cursor !== undefined)
    expect(seen).toEqual(all)
  })
  test('a cursor of somebody else is no cursor', async () => {
    for (const cursor of [
      '',
      'x',
      Buffer.from('[1]').toString('base64url'),
      Buffer.from('["a",1]').toString('base64url'),
    ])
      await expect(world.requests.list(callerNamed('rita'), { scope: 'all', cursor })).rejects.toMatchObject({
        code: 'malformed',
      })
  })
})

describe('waiting', () => {
  test('ends with the next change, and with what it is when the time is over', async () => {
    const { id, version } = await world.ask('alice', ['dba'])
    const never = new AbortController()
    const waiting = world.requests.waitForChange(callerNamed('alice'), id, version, never.signal)
    const after = await world.approve('bob', id)
    expect((await waiting).version).toBe(after.version)
    expect(after.version).toBeGreaterThan(version)
    const late = new AbortController()
    const idle = world.requests.waitForChange(callerNamed('alice'), id, after.version, late.signal)
    late.abort()
    expect((await idle).version).toBe(after.version)
  })
  test('ends with an edit that changes what is shown, although no version of the request rises', async () => {
    const { id, version } = await world.ask('alice', ['dba'])
    const never = new AbortController().signal
    const edits = [
      () => world.user('bob', {}),
      () => world.role('dba', { allow: { logins: ['other'] } }),
      () => world.lock('role', 'rol_dba'),
    ]
    for (const edit of edits) {
      const waiting = world.requests.waitForChange(callerNamed('alice'), id, version, never)
      await edit()
      expect((await waiting).version).toBe(version)
      // Between two calls, too.
      await world.user('carol', { roles: ['lead'], disabled: true })
      await world.requests.waitForChange(callerNamed('alice'), id, version, never)
      await world.user('carol', { roles: ['lead'] })
      await world.requests.waitForChange(callerNamed('alice'), id, version, never)
    }
  })
  test('whoever names the look that was shown is told of an edit since, wherever that look was given', async () => {
    const { id } = await world.ask('alice', ['dba'])
    const seen = await world.show(id)
    await world.lock('role', 'rol_dba')
    // Another one of the same account has looked here meanwhile: what was shown last is no measure.
    const now = await world.requests.show(callerNamed('alice'), id)
    const never = new AbortController().signal
    const told = await world.requests.waitForChange(callerNamed('alice'), id, seen.version, never, seen.look)
    expect(told).toEqual(now)
    expect(told.look).not.toBe(seen.look)
    const late = AbortSignal.abort()
    expect(await world.requests.waitForChange(callerNamed('alice'), id, told.version, late, told.look)).toEqual(told)
  })
  test('an edit that changes nothing of what is shown ends nothing', async () => {
    const { id, version } = await world.ask('alice', ['dba'])
    const late = new AbortController()
    let isOver = false
    const waiting = world.requests
      .waitForChange(callerNamed('alice'), id, version, late.signal)
      .then(() => (isOver = true))
    await world.user('nobody', {})
    await world.show(id)
    expect(isOver).toBe(false)
    late.abort()
    await waiting
  })
  test('one that is behind already is answered at once', async () => {
    const { id } = await world.ask('alice', ['dba'])
    expect(
      (await world.requests.waitForChange(callerNamed('alice'), id, 0, new AbortController().signal)).version,
    ).toBe(1)
  })
})
