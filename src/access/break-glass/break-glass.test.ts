import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'
import { Snapshot } from '../../grants/snapshot.ts'
import { rolesAtWork } from '../../grants/working-roles.ts'
import { mergeOptions } from '../../identity/node-access.ts'
import { Delegations } from '../delegation/delegations.ts'

let world: AccessWorld
const refusal = (code: string) => ({ code })

beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', {
    options: { record_session: 'best_effort' },
    allow: { logins: ['deploy'], node_labels: { '*': '*' } },
  })
  await world.role('web')
  await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await world.role('admin', { allow: { rules: [{ resources: ['user'], verbs: ['update'] }] } })
  await oncall({ roles: ['d*'], max_duration: '45m' })
  await world.user('alice', { roles: ['oncall'] })
  await world.user('bob', { roles: ['lead'] })
  await world.user('carol', { roles: ['lead'] })
  await world.user('root', { roles: ['admin'] })
  await world.user('dan')
})
afterEach(() => world.close())

const oncall = (break_glass: object, more: object = {}) =>
  world.role('oncall', { allow: { request: { break_glass, roles: ['web'], ...more } } })
const take = (
  who = 'alice',
  { roles = ['dba'], reason = 'orders are down', duration = null, ...more }: Partial<Taking> = {},
) => {
  const confirm = more.confirm ?? roles.join(',')
  return world.requests.breakGlass(callerNamed(who), { roles, reason, durationMs: duration, confirm })
}
interface Taking {
  readonly roles: readonly string[]
  readonly reason: string
  readonly duration: number | null
  readonly confirm: string
}
const fresh = async (): Promise<null> => null
const acknowledge = (who: string, id: string, comment = '') =>
  world.requests.acknowledge(callerNamed(who), id, comment, fresh)

/** What alice's granted roles would open now, and how it is recorded; the very code that connections ask. */
async function opens(): Promise<{ roles: string[]; recorded: string; why: string[] }> {
  const view = await Snapshot.load(world.database.reads)
  const user = view.user('usr_alice')
  if (!user) return { roles: [], recorded: '', why: [] }
  const { roles, suspended } = rolesAtWork(view, user, null, world.clock.now())
  const granted = roles.filter(({ origin }) => origin.kind === 'granted')
  return {
    roles: granted.map(({ name }) => name),
    recorded: granted.length === 0 ? '' : mergeOptions(roles.filter(({ specs }) => specs.length > 0)).recordSession,
    why: suspended.map(({ why }) => why),
  }
}

describe('access that is taken without asking', () => {
  test('is there at once, ends by itself, and is recorded strictly whatever the role says', async () => {
    expect((await opens()).roles).toEqual([])
    const taken = await take()
    expect(taken).toMatchObject({ kind: 'break_glass', state: 'approved', resolution: 'taken without asking by alice' })
    expect(taken.grant).toMatchObject({ state: 'active', endsAt: world.clock.now() + 45 * MINUTE })
    expect(taken.can).toEqual(['return'])
    expect(await opens()).toEqual({ roles: ['dba'], recorded: 'strict', why: [] })
    world.clock.jumpTo(world.clock.now() + 45 * MINUTE)
    expect((await opens()).roles).toEqual([])
    await world.sweeper.sweep()
    expect((await world.show(taken.id)).grant).toMatchObject({ state: 'ended', endReason: 'expired' })
  })
  test('tells every reviewer, their delegates and every administrator in the very deed that grants it', async () => {
    const delegations = new Delegations({ reads: world.database.reads, deeds: world.deeds, clock: world.clock })
    await delegations.add(callerNamed('bob'), { to: 'dan', until: world.clock.now() + HOUR, roles: null, reason: '' })
    for (let index = 0; index < 60; index++) await world.user(`lead-${index}`, { roles: ['lead'] })
    const before = (await world.outbox()).length
    await take()
    const told = (await world.outbox()).slice(before)
    expect(told.map(({ topic }) => topic)).toEqual(['request.break_glass', 'request.break_glass'])
    const people = told.flatMap(({ body }) => body['to'] as string[])
    expect(people).toHaveLength(64)
    expect(people).toEqual(expect.arrayContaining(['bob', 'carol', 'dan', 'root', 'lead-0', 'lead-59']))
    expect(people).not.toContain('alice')
    expect(told[0]?.body).toMatchObject({ user: 'alice', roles: ['dba'], reason: 'orders are down' })
    expect((await world.eventTypes()).slice(-2)).toEqual(['access_request.break_glass', 'grant.start'])
  })
  test('is not given when they cannot be told', async () => {
    await world.database.transact(async (tx) => {
      await tx.schema.alterTable('outbox').renameTo('outbox_away').execute()
    })
    await expect(take()).rejects.toThrow()
    await world.database.transact(async (tx) => {
      await tx.schema.alterTable('outbox_away').renameTo('outbox').execute()
    })
    expect((await opens()).roles).toEqual([])
    expect(await world.eventTypes()).not.toContain('grant.start')
  })
  test('is not given when it cannot be audited', async () => {
    world.deeds.becomeReadOnly('a test')
    await expect(take()).rejects.toMatchObject(refusal('read_only'))
    expect((await opens()).roles).toEqual([])
  })
  test('passes thresholds nobody can reach, denials and cool-downs', async () => {
    await oncall({ roles: ['*'] }, { roles: ['dba'], thresholds: [{ filter: 'false', approve: 9, deny: 1 }] })
    const { id } = await world.ask('alice', ['dba'])
    await oncall({ roles: ['*'] }, { roles: ['dba'], thresholds: [{ approve: 9, deny: 1 }] })
    await world.deny('bob', id)
    await expect(world.ask('alice', ['dba'])).rejects.toMatchObject(refusal('cooling_down'))
    expect((await take()).grant?.state).toBe('active')
    expect((await opens()).roles).toEqual(['dba'])
  })
  test.each([
    ['the user', () => world.lock('user', 'usr_alice')],
    ['the role', () => world.lock('role', 'rol_dba')],
  ])('never passes a lock on %s, before or after', async (_what, lock) => {
    const id = await lock()
    await expect(take()).rejects.toMatchObject(refusal('locked'))
    await world.unlock(id)
    await take()
    await lock()
    await world.sweeper.sweep()
    const [grant] = await world.database.reads.selectFrom('grants').selectAll().execute()
    expect(grant?.suspended).toMatch(/locked/)
  })
  test('ends for good with a lock on its request', async () => {
    const { id } = await take()
    await world.lock('request', id)
    await world.sweeper.sweep()
    expect((await opens()).roles).toEqual([])
  })
  test('is suspended when the right to take it goes, and a right to ask for the role does not stand in for it', async () => {
    await take()
    await oncall({ roles: ['web'] }, { roles: ['dba', 'web'] })
    expect(await opens()).toMatchObject({ roles: [], why: ['alice may not request dba any more'] })
    await world.sweeper.sweep()
    expect((await world.eventTypes()).filter((type) => type === 'grant.suspend')).toHaveLength(1)
  })
  test('is never extended', async () => {
    const { id } = await take()
    const more = { durationMs: MINUTE, reason: 'more', pendingForMs: null, reviewers: [] }
    await expect(world.requests.extend(callerNamed('alice'), id, more)).rejects.toMatchObject(refusal('not_extendable'))
  })
  test('may be given back and revoked', async () => {
    const { id } = await take()
    await world.requests.return(callerNamed('alice'), id)
    expect(world.taken).toHaveLength(1)
    await acknowledge('bob', id)
    await acknowledge('carol', id)
    const again = await take()
    await world.requests.revoke(callerNamed('bob'), again.id, 'no')
    expect((await world.show(again.id)).grant).toMatchObject({ endReason: 'revoked' })
  })
})

describe('who may take what', () => {
  test.each([
    ['a role that only asking gives', 'alice', { roles: ['web'] }, 'role_not_requestable'],
    ['a role that is not there', 'alice', { roles: ['d-nope'] }, 'role_not_requestable'],
    ['everything', 'alice', { roles: ['*'] }, 'malformed'],
    ['nothing', 'alice', { roles: [] as string[] }, 'malformed'],
    ['without the right', 'dan', {}, 'role_not_requestable'],
    ['without a reason', 'alice', { reason: '  ' }, 'reason_required'],
    ['with a reason over the limit', 'alice', { reason: 'x'.repeat(4097) }, 'over_limit'],
    ['without the typed names', 'alice', { confirm: '' }, 'confirmation_required'],
    ['with another name typed', 'alice', { confirm: 'web' }, 'confirmation_required'],
    ['a millisecond too long', 'alice', { duration: 45 * MINUTE + 1 }, 'duration_over_cap'],
    ['for no time', 'alice', { duration: 0 }, 'malformed'],
  ])('%s is refused', async (_what, who, asked, code) => {
    await expect(take(who, asked)).rejects.toMatchObject({ code })
    expect(await world.eventTypes()).not.toContain('grant.start')
  })
  test('a refusal for want of the right is an event', async () => {
    await expect(take('dan')).rejects.toMatchObject(refusal('role_not_requestable'))
    expect((await world.events()).at(-1)).toMatchObject({
      type: 'access_request.break_glass',
      outcome: 'refused',
      actor: { name: 'dan' },
    })
  })
  test('deny wins', async () => {
    await world.role('never', { deny: { request: { roles: ['dba'] } } })
    await world.user('alice', { roles: ['oncall', 'never'] })
    await expect(take()).rejects.toMatchObject(refusal('role_not_requestable'))
  })
  test('a held role, and the local admin, are refused', async () => {
    await world.user('alice', { roles: ['oncall', 'dba'] })
    await expect(take()).rejects.toMatchObject(refusal('role_already_held'))
    const asked = { roles: ['dba'], reason: 'x', durationMs: null, confirm: 'dba' }
    await expect(world.requests.breakGlass(LOCAL_ADMIN, asked)).rejects.toMatchObject(refusal('not_allowed'))
  })
  test('the smallest of the roles caps, the most generous of the blocks counts, and an hour is the most', async () => {
    await oncall({ roles: ['dba'], max_duration: '20m' })
    await world.role('more', { allow: { request: { break_glass: { roles: ['*'], max_duration: '30m' } } } })
    await world.user('alice', { roles: ['oncall', 'more'] })
    const taken = await take('alice', { roles: ['dba', 'web'], confirm: 'web, DBA' })
    expect(taken.duration).toBe(30 * MINUTE)
    expect(taken.roles.toSorted()).toEqual(['dba', 'web'])
  })
  test('an escalating role wants its flag, and gives no rules', async () => {
    await oncall({ roles: ['admin'] })
    await expect(take('alice', { roles: ['admin'] })).rejects.toMatchObject(refusal('role_not_requestable'))
    await oncall({ roles: ['admin'] }, { escalating: true })
    expect((await take('alice', { roles: ['admin'] })).grant?.state).toBe('active')
  })
})

describe('the next time', () => {
  test('one at a time, also for twenty at once', async () => {
    const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => take()))
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const grants = await world.database.reads.selectFrom('grants').select('id').execute()
    expect(grants).toHaveLength(1)
    await expect(take()).rejects.toMatchObject({ code: 'break_glass_blocked', message: expect.stringContaining('45m') })
  })
  test('comes only after two others have acknowledged, ended or not', async () => {
    const { id } = await take()
    await world.requests.return(callerNamed('alice'), id)
    await expect(take()).rejects.toMatchObject({
      message: expect.stringMatching(/^0 of 2 others/),
      hint: expect.stringContaining(id),
    })
    await acknowledge('bob', id, 'seen')
    await expect(take()).rejects.toMatchObject({ message: expect.stringMatching(/^1 of 2 others/) })
    const shown = await acknowledge('root', id)
    expect(shown).toMatchObject({
      acknowledgementsNeeded: 2,
      acknowledged: [{ name: 'bob', comment: 'seen' }, { name: 'root' }],
    })
    expect((await take()).grant?.state).toBe('active')
  })
  test('acknowledging does not end the time that runs, nor let a second one run beside it', async () => {
    const { id } = await take()
    await acknowledge('bob', id)
    await acknowledge('carol', id)
    expect((await opens()).roles).toEqual(['dba'])
    await expect(take()).rejects.toMatchObject(refusal('break_glass_blocked'))
  })
  test('one person acknowledges once', async () => {
    const { id } = await take()
    for (let index = 0; index < 3; index++) await acknowledge('bob', id, `look ${index}`)
    expect((await world.show(id)).acknowledged).toMatchObject([{ name: 'bob', comment: 'look 0' }])
    expect((await world.eventTypes()).filter((type) => type === 'access_request.acknowledge')).toHaveLength(1)
  })
  test('never its user, however many rights they have; nor who has none; nor the local admin; nor who was reset', async () => {
    await world.user('alice', { roles: ['oncall', 'lead', 'admin'] })
    const { id } = await take()
    await expect(acknowledge('alice', id)).rejects.toMatchObject(refusal('own_request'))
    await expect(acknowledge('dan', id)).rejects.toMatchObject(refusal('not_found'))
    await expect(world.requests.acknowledge(LOCAL_ADMIN, id, '', fresh)).rejects.toMatchObject(refusal('not_allowed'))
    await world.user('bob', { roles: ['lead'], votesCountFrom: world.clock.now() + 24 * HOUR })
    await expect(acknowledge('bob', id)).rejects.toMatchObject(refusal('not_allowed'))
    await world.lock('user', 'usr_carol')
    await expect(acknowledge('carol', id)).rejects.toMatchObject(refusal('not_found'))
    expect((await world.show(id)).acknowledged).toEqual([])
  })
  test('only such access is acknowledged', async () => {
    await oncall({ roles: ['*'] }, { roles: ['dba'] })
    const { id } = await world.ask('alice', ['dba'])
    await expect(acknowledge('bob', id)).rejects.toMatchObject(refusal('malformed'))
  })
})
