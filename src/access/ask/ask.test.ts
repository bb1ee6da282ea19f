import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { asked, AccessWorld, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'

let world: AccessWorld
beforeEach(async () => {
  world = await AccessWorld.open()
  for (const name of ['dba', 'prod-a', 'prod-b', 'secret']) await world.role(name)
  await developer({ roles: ['dba', 'prod-*'] })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('alice', { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

const developer = (request: object, deny: object = {}): Promise<void> => world.role('dev', { allow: { request }, deny })
const refusal = (code: string): object => ({ code })
const ask = (roles: string[], more: Parameters<typeof asked>[1] = {}) => world.ask('alice', roles, more)

describe('what may be asked for', () => {
  test('[32] deny wins, when asking by name and by *', async () => {
    await world.role('deny', { deny: { request: { roles: ['prod-*'] } } })
    await world.user('alice', { roles: ['dev', 'deny'] })
    await expect(ask(['prod-a'])).rejects.toMatchObject(refusal('role_not_requestable'))
    expect((await ask(['*'])).roles).toEqual(['dba'])
  })
  test('[34] * is what may be asked for and is not held, stored by name; a role made later is not in it', async () => {
    const first = await ask(['*'])
    expect(first.roles).toEqual(['dba', 'prod-a', 'prod-b'])
    await world.role('prod-c')
    expect((await world.show(first.id)).roles).toEqual(['dba', 'prod-a', 'prod-b'])
    await world.user('eve')
    await expect(world.ask('eve', ['*'])).rejects.toMatchObject(refusal('nothing_requestable'))
  })
  test('an absent role and one that must not be known get the same answer', async () => {
    const text = async (name: string): Promise<string> => {
      const error = await ask([name]).then(
        () => null,
        (reason: unknown) => reason,
      )
      return JSON.stringify([String(error), error]).replaceAll(name, 'NAME')
    }
    expect(await text('secret')).toBe(await text('absent'))
  })
  test('a role that is held already, named twice, misspelt or locked', async () => {
    await expect(ask(['dev'])).rejects.toMatchObject(refusal('role_already_held'))
    expect((await ask(['dba', 'DBA'])).roles).toEqual(['dba'])
    await expect(ask(['ｄba'])).rejects.toMatchObject(refusal('malformed'))
    await world.lock('role', 'rol_prod-a')
    await expect(ask(['prod-a'])).rejects.toMatchObject(refusal('locked'))
    expect((await ask(['*'])).roles).toEqual(['dba', 'prod-b'])
  })
  test('more than 50 roles name the overflow', async () => {
    for (let index = 0; index < 52; index++) await world.role(`many-${String(index).padStart(2, '0')}`)
    await developer({ roles: ['many-*'] })
    await expect(ask(['*'])).rejects.toMatchObject({
      code: 'over_limit',
      message: expect.stringContaining('many-50, many-51'),
    })
  })
  test('an escalating role needs the flag', async () => {
    await developer({ roles: ['lead'] })
    await expect(ask(['lead'])).rejects.toMatchObject(refusal('role_not_requestable'))
    await developer({ roles: ['lead'], escalating: true })
    expect((await ask(['lead'])).state).toBe('pending')
    await expect(ask(['*'])).rejects.toMatchObject(refusal('nothing_requestable'))
  })
  test('[33] traits give requestable roles', async () => {
    await developer({ claims_to_roles: [{ claim: 'team', value: '^(prod-.*)$', roles: ['$1'] }] })
    await world.user('alice', { roles: ['dev'], traits: { team: ['prod-a', 'x'] } })
    expect((await ask(['*'])).roles).toEqual(['prod-a'])
  })
  test('a role from a grant lets nobody ask for more', async () => {
    await world.role('stair', { allow: { request: { roles: ['secret'] } } })
    await developer({ roles: ['stair'] })
    const { id } = await ask(['stair'])
    expect((await world.approve('bob', id)).state).toBe('approved')
    await expect(ask(['secret'])).rejects.toMatchObject(refusal('role_not_requestable'))
  })
  test('[45] only signed-in users in good standing ask, each for oneself', async () => {
    await expect(world.requests.ask(LOCAL_ADMIN, asked(['dba']))).rejects.toMatchObject(refusal('not_allowed'))
    await world.lock('user', 'usr_alice')
    await expect(ask(['dba'])).rejects.toMatchObject(refusal('locked'))
    await world.user('alice', { roles: ['dev'], disabled: true })
    await expect(ask(['dba'])).rejects.toMatchObject(refusal('user_disabled'))
    await world.deleteUser('usr_alice')
    await expect(ask(['dba'])).rejects.toMatchObject(refusal('not_allowed'))
  })
})

describe('the reason', () => {
  const required = { roles: ['prod-*'], reason: { mode: 'required', prompt: 'ticket number' } }
  test('[31] a rule with a pattern requires the reason for what the pattern matches', async () => {
    await developer(required)
    await expect(ask(['prod-a'], { reason: '' })).rejects.toMatchObject({
      code: 'reason_required',
      message: expect.stringContaining('ticket number'),
    })
  })
  test('[36] blanks are no reason, and one role that requires it is enough', async () => {
    await world.role('more', { allow: { request: { roles: ['dba'] } } })
    await developer(required)
    await world.user('alice', { roles: ['dev', 'more'] })
    await expect(ask(['dba', 'prod-a'], { reason: ' \t\n\u00a0' })).rejects.toMatchObject(refusal('reason_required'))
    expect((await ask(['dba', 'prod-a'], { reason: 'x' })).reason).toBe('x')
    expect((await ask(['dba'], { reason: '' })).reason).toBe('')
  })
  test('[37] a block that names the role for resource requests requires its reason too', async () => {
    await world.role('more', { allow: { request: { search_as_roles: ['dba'], reason: { mode: 'required' } } } })
    await world.user('alice', { roles: ['dev', 'more'] })
    await expect(ask(['dba'], { reason: '' })).rejects.toMatchObject(refusal('reason_required'))
  })
  test('[40] 4096 bytes are the limit, counted in UTF-8', async () => {
    await expect(ask(['dba'], { reason: 'ä'.repeat(2049) })).rejects.toMatchObject(refusal('over_limit'))
    expect((await ask(['dba'], { reason: 'ä'.repeat(2048) })).reason).toHaveLength(2048)
  })
  test('it is kept byte for byte, whatever is in it', async () => {
    const reason = '\u001b[31m\r\n<script>\u0000 @channel \u202e \u{1f600}'
    const { id } = await ask(['dba'], { reason })
    expect((await world.show(id)).reason).toBe(reason)
    await expect(ask(['dba'], { reason: '\ud800' })).rejects.toMatchObject(refusal('malformed'))
  })
})

describe('durations', () => {
  test('[60] asking for nothing means the cap, 8 hours by default', async () => {
    expect((await ask(['dba'])).duration).toBe(8 * HOUR)
  })
  test('[61] [62] up to the cap, and over it an error that names the role that caps', async () => {
    await developer({ roles: ['dba'], max_duration: '3d' })
    expect((await ask(['dba'], { duration: 5 * HOUR })).duration).toBe(5 * HOUR)
    await expect(ask(['dba'], { duration: 72 * HOUR + 1 })).rejects.toMatchObject({
      code: 'duration_over_cap',
      message: 'the role "dba" is given for at most 3d (by your role "dev")',
    })
  })
  test('the smallest cap over the roles, whatever their order; the largest over the blocks of one role', async () => {
    await world.role('short', { allow: { request: { roles: ['dba'], max_duration: '1h' } } })
    await world.role('long', { allow: { request: { roles: ['dba'], max_duration: '2h' } } })
    await world.role('prod', { allow: { request: { roles: ['prod-a'], max_duration: '6h' } } })
    for (const roles of [
      ['short', 'long', 'prod'],
      ['prod', 'long', 'short'],
    ]) {
      await world.user('alice', { roles })
      expect((await ask(['dba', 'prod-a'])).duration).toBe(2 * HOUR)
      expect((await ask(['prod-a', 'dba'])).duration).toBe(2 * HOUR)
      expect((await ask(['prod-a'])).duration).toBe(6 * HOUR)
    }
  })
  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e308, 0.5])('[26] %s is no duration', async (duration) => {
    await expect(ask(['dba'], { duration })).rejects.toMatchObject(refusal('malformed'))
    await expect(ask(['dba'], { pendingFor: duration })).rejects.toMatchObject(refusal('malformed'))
  })
  test('[66] [68] 14 days of access and 7 days of waiting are the limits; waiting is 24 h by default', async () => {
    await developer({ roles: ['dba'], max_duration: '14d' })
    await expect(ask(['dba'], { duration: 14 * 24 * HOUR + 1 })).rejects.toMatchObject(refusal('over_limit'))
    await expect(ask(['dba'], { pendingFor: 7 * 24 * HOUR + 1 })).rejects.toMatchObject(refusal('over_limit'))
    const plain = await ask(['dba'])
    expect(plain.pendingUntil - plain.createdAt).toBe(24 * HOUR)
    const long = await ask(['dba'], { pendingFor: 7 * 24 * HOUR, reason: 'y' })
    expect(long.pendingUntil - long.createdAt).toBe(7 * 24 * HOUR)
  })
})

describe('again and again', () => {
  test('an identical pending request is returned instead of doubled', async () => {
    const first = await ask(['dba', 'prod-a'], { duration: HOUR })
    const second = await world.requests.ask(callerNamed('alice'), asked(['prod-a', 'dba'], { duration: HOUR }))
    expect(second).toMatchObject({ existing: true, request: { id: first.id } })
    const answers = await Promise.all(Array.from({ length: 10 }, () => ask(['dba'])))
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(1)
    for (const more of [{ reason: 'other' }, { duration: 2 * HOUR }])
      expect((await ask(['dba', 'prod-a'], { duration: HOUR, ...more })).id).not.toBe(first.id)
  })
  test("somebody else's identical request is another one", async () => {
    await world.user('adam', { roles: ['dev'] })
    expect((await world.ask('adam', ['dba'])).id).not.toBe((await ask(['dba'])).id)
  })
  test('one whose time is over is ended, and a new one made', async () => {
    const first = await ask(['dba'], { pendingFor: MINUTE })
    world.clock.advance(MINUTE)
    const second = await ask(['dba'], { pendingFor: MINUTE })
    expect(second.id).not.toBe(first.id)
    expect((await world.show(first.id)).state).toBe('expired')
    expect((await world.eventTypes()).slice(-2)).toEqual(['access_request.expire', 'access_request.create'])
  })
  test('20 in an hour, not 21', async () => {
    for (let index = 0; index < 20; index++) await ask(['dba'], { reason: String(index) })
    await expect(ask(['dba'], { reason: 'one more' })).rejects.toMatchObject(refusal('ask_rate'))
    expect((await ask(['dba'], { reason: '3' })).state).toBe('pending')
    world.clock.advance(HOUR)
    expect((await ask(['dba'], { reason: 'one more' })).state).toBe('pending')
  })
  test('after a denial of the same, ten minutes pass; reviewers then see the earlier denial', async () => {
    const { id } = await ask(['dba'])
    await world.deny('bob', id)
    await expect(ask(['dba'], { reason: 'please' })).rejects.toMatchObject(refusal('cooling_down'))
    await expect(ask(['dba', 'prod-a'])).rejects.toMatchObject(refusal('cooling_down'))
    expect((await ask(['prod-a'])).warnings).toEqual([])
    world.clock.advance(10 * MINUTE - 1)
    await expect(ask(['dba'])).rejects.toMatchObject(refusal('cooling_down'))
    world.clock.advance(1)
    expect((await ask(['dba'])).warnings).toEqual(['earlier_denial'])
  })
  test('an approved request is no precedent', async () => {
    const { id } = await ask(['dba'])
    await world.approve('bob', id)
    expect(await ask(['dba'])).toMatchObject({ state: 'pending', reviews: [] })
  })
})

describe('what comes with it', () => {
  test('[47] a dry run answers and stores nothing', async () => {
    await developer({
      roles: ['dba'],
      max_duration: '2h',
      thresholds: [{ name: 'two', approve: 2 }],
      suggested_reviewers: ['bob'],
    })
    const before = await world.events()
    const preview = await world.requests.forecast(callerNamed('alice'), asked(['dba'], { duration: HOUR }))
    expect(preview).toEqual({
      roles: ['dba'],
      resources: [],
      narrowing: null,
      duration: HOUR,
      longest: 2 * HOUR,
      reviewers: ['bob'],
      notNow: [],
      delegates: [],
      escalation: [],
      approvalsNeeded: [{ role: 'dba', name: 'two', approve: 2 }],
      warnings: ['nobody_can_approve'],
      automatic: [],
      outcome: 'pending',
    })
    expect(await world.events()).toEqual(before)
    expect(await world.outbox()).toEqual([])
    await expect(world.requests.forecast(callerNamed('alice'), asked(['secret']))).rejects.toMatchObject(
      refusal('role_not_requestable'),
    )
  })
  test('a quorum that nobody can reach is created with a warning, which goes when somebody can', async () => {
    await developer({ roles: ['dba'], thresholds: [{ approve: 2 }] })
    const { id, warnings } = await ask(['dba'])
    expect(warnings).toEqual(['nobody_can_approve'])
    await world.user('carol', { roles: ['lead'] })
    expect((await world.show(id)).warnings).toEqual([])
  })
  test('annotations and suggested reviewers of all blocks are merged', async () => {
    await world.role('more', {
      allow: { request: { roles: ['dba'], annotations: { s: ['2'], t: ['3'] }, suggested_reviewers: ['carol'] } },
    })
    await developer({ roles: ['dba'], annotations: { s: ['1', '2'] }, suggested_reviewers: ['bob'] })
    await world.user('alice', { roles: ['dev', 'more'] })
    expect(await ask(['dba'], { reviewers: ['zoe', 'bob'] })).toMatchObject({
      annotations: { s: ['1', '2'], t: ['3'] },
      suggestedReviewers: ['zoe', 'bob', 'carol'],
    })
  })
  test('[44] ids are ours, and the two digests differ from request to request', async () => {
    const one = await ask(['dba'])
    const two = await ask(['dba'], { reason: 'other' })
    expect(one.id).toMatch(/^req_[0-9a-f-]{36}$/)
    expect(one.requestDigest).not.toBe(two.requestDigest)
    expect(one.factsDigest).toBe(two.factsDigest)
    expect(one.requestDigest).not.toBe(one.factsDigest)
  })
})
