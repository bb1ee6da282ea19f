import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, asked, callerNamed, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import { Delegations } from '../delegation/delegations.ts'

let world: AccessWorld
const DAY = 24 * HOUR
const at = (text: string): number => Date.parse(text)
const office = { days: ['mon', 'tue', 'wed', 'thu', 'fri'], from: '09:00', to: '18:00', zone: 'Europe/Berlin' }
/** A Friday; Berlin is an hour ahead of UTC. */
const FRIDAY_NOON = at('2026-11-20T11:00Z')

beforeEach(async () => {
  world = await AccessWorld.open()
  world.clock.jumpTo(FRIDAY_NOON)
  await world.role('dba')
  await world.role('web')
  await hours(office)
  await approvals(1)
  await world.user('ada', { roles: ['dev'] })
  await world.user('bob', { roles: ['day'] })
})
afterEach(() => world.close())

const hours = (window: object, name = 'day', roles = ['*']) =>
  world.role(name, { allow: { review_requests: { roles, window } } })
const approvals = (approve: number) =>
  world.role('dev', { allow: { request: { roles: ['*'], thresholds: [{ approve, deny: 1 }] } } })
const askFor3Days = (roles = ['dba']) => world.ask('ada', roles, { pendingFor: 3 * DAY + 12 * HOUR })

describe('votes are taken only while the window is open', () => {
  test.each([
    ['2026-11-20T16:59:59.999Z', 'approved'],
    ['2026-11-20T17:00:00.000Z', 'outside_window'],
    ['2026-11-21T11:00:00.000Z', 'outside_window'],
    ['2026-11-23T07:59:59.999Z', 'outside_window'],
    ['2026-11-23T08:00:00.000Z', 'approved'],
  ])('at %s: %s', async (instant, expected) => {
    const { id } = await askFor3Days()
    world.clock.jumpTo(at(instant))
    const answer = await world.approve('bob', id).then(
      (shown) => shown.state,
      (error: { code: string }) => error.code,
    )
    expect(answer).toBe(expected)
  })
  test('the refusal names the hours and when they begin; a denial is refused as well; nothing is stored', async () => {
    const { id } = await askFor3Days()
    world.clock.jumpTo(at('2026-11-21T11:00Z'))
    const refused = {
      code: 'outside_window',
      message:
        'your votes on this are taken only mon, tue, wed, thu, fri 09:00-18:00 Europe/Berlin; the next time from mon 2026-11-23 09:00 Europe/Berlin, in 1d21h',
      details: { opensAt: at('2026-11-23T08:00Z') },
    }
    await expect(world.approve('bob', id)).rejects.toMatchObject(refused)
    await expect(world.deny('bob', id)).rejects.toMatchObject(refused)
    expect((await world.show(id)).reviews).toEqual([])
  })
  test('a vote cast inside stays when the window closes', async () => {
    await approvals(2)
    await world.role('always', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('carol', { roles: ['always'] })
    const { id } = await askFor3Days()
    await world.approve('bob', id)
    world.clock.jumpTo(at('2026-11-21T11:00Z'))
    expect((await world.show(id)).reviews).toMatchObject([{ counts: true }])
    expect((await world.approve('carol', id)).state).toBe('approved')
  })
  test('a summer night skips an hour: the window opens an hour earlier by UTC, and the vote counts', async () => {
    world.clock.jumpTo(at('2027-03-26T12:00Z'))
    const { id } = await askFor3Days()
    world.clock.jumpTo(at('2027-03-29T06:59:59Z'))
    await expect(world.approve('bob', id)).rejects.toMatchObject({ code: 'outside_window' })
    world.clock.jumpTo(at('2027-03-29T07:00Z'))
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
})

describe('several roles of one reviewer', () => {
  test('one open window is enough, and a role without one is always open', async () => {
    await hours({ days: ['sat', 'sun'] }, 'weekend')
    await world.user('bob', { roles: ['day', 'weekend'] })
    const { id } = await askFor3Days()
    world.clock.jumpTo(at('2026-11-21T11:00Z'))
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
  test('role by role: a vote on Saturday counts for what may be reviewed on Saturday; on Monday the same vote reaches the rest', async () => {
    await hours(office, 'day', ['dba'])
    await hours({ days: ['sat', 'mon'] }, 'web-days', ['web'])
    await world.user('bob', { roles: ['day', 'web-days'] })
    const { id } = await askFor3Days(['dba', 'web'])
    world.clock.jumpTo(at('2026-11-21T11:00Z'))
    expect(await world.approve('bob', id)).toMatchObject({
      state: 'pending',
      reviews: [{ roles: ['web'], counts: true }],
    })
    expect((await world.approve('bob', id)).reviews).toHaveLength(1)
    world.clock.jumpTo(at('2026-11-23T10:00Z'))
    expect((await world.approve('bob', id)).state).toBe('approved')
  })
})

describe('what a closed window leaves open', () => {
  test('seeing the request, with the hour from which each may answer', async () => {
    world.clock.jumpTo(at('2026-11-21T11:00Z'))
    const preview = await world.requests.forecast(callerNamed('ada'), asked(['dba'], { pendingFor: 3 * DAY }))
    const opening = [{ name: 'bob', opensAt: at('2026-11-23T08:00Z') }]
    expect(preview).toMatchObject({ reviewers: ['bob'], notNow: opening, warnings: [] })
    const { id } = await askFor3Days()
    const shown = await world.requests.show(callerNamed('bob'), id)
    expect(shown).toMatchObject({ reviewers: ['bob'], notNow: opening, can: [], warnings: [] })
  })
  test('a request that ends before any window opens can be approved by nobody', async () => {
    world.clock.jumpTo(at('2026-11-21T11:00Z'))
    expect(await world.ask('ada', ['dba'], { pendingFor: HOUR })).toMatchObject({
      reviewers: [],
      warnings: ['nobody_can_approve'],
    })
  })
  test('taking access away', async () => {
    const { id } = await world.ask('ada', ['dba'], { duration: 8 * HOUR })
    await world.approve('bob', id)
    world.clock.jumpTo(FRIDAY_NOON + 7 * HOUR)
    expect((await world.requests.show(callerNamed('bob'), id)).can).toEqual(['revoke'])
    await world.requests.revoke(callerNamed('bob'), id, 'late')
    expect((await world.show(id)).grant).toMatchObject({ endReason: 'revoked' })
  })
})

test('a delegate votes in the hours of the absent one, and what they cast inside stays', async () => {
  const delegations = new Delegations({ reads: world.database.reads, deeds: world.deeds, clock: world.clock })
  await world.user('dan')
  await delegations.add(callerNamed('bob'), { to: 'dan', until: FRIDAY_NOON + 4 * DAY, roles: null, reason: '' })
  await approvals(2)
  const { id } = await askFor3Days()
  await world.approve('dan', id)
  world.clock.jumpTo(at('2026-11-21T11:00Z'))
  expect((await world.show(id)).reviews).toMatchObject([{ onBehalfOf: 'bob', counts: true }])
  const late = await world.ask('ada', ['web'], { pendingFor: 3 * DAY })
  await expect(world.approve('dan', late.id)).rejects.toMatchObject({
    code: 'outside_window',
    message: expect.stringMatching(/^votes for bob are taken only /),
  })
  world.clock.jumpTo(at('2026-11-23T08:00Z') + MINUTE)
  expect((await world.approve('dan', late.id)).reviews).toMatchObject([{ counts: true }])
})
