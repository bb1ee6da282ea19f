import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RoleDocument } from '../../src/contract/role.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import { endLoginsOf } from '../../src/identity/login-sessions.ts'
import { putRole } from '../../src/identity/roles.ts'
import { PASSWORD, type SignedInPerson } from '../support/identity-world.ts'
import { PageHouse } from '../support/page-house.ts'
import type { RawAnswer } from './raw-call.ts'

let house: PageHouse
let id: string
let path: string
beforeEach(async () => {
  house = await PageHouse.open()
  id = await house.asked()
  path = `/r/${id}`
})
afterEach(() => house.close())

/** Signs in on the page: what it shows then. */
const signIn = async (person: SignedInPerson, at = path): Promise<RawAnswer> =>
  await house.fill(at, {
    ...{ user: person.name, password: PASSWORD, code: person.secret === null ? '' : person.freshCode() },
  })
/** Sends the form of the page that was seen, from its browser. */
async function send(seen: RawAnswer, form: Record<string, string>, headers = {}): Promise<RawAnswer> {
  const cookie = { 'set-cookie': seen.headers['set-cookie'] ?? '' }
  return await house.send({ ...seen, headers: { ...seen.headers, ...cookie } }, path, form, headers)
}
const VOTE = { act: 'approve', reason: 'seen', duration: '30m' }
const votes = async (): Promise<unknown[]> => (await house.standing(id)).reviews
const events = async (type: string) =>
  await house.world.database.reads.selectFrom('audit_events').selectAll().where('type', '=', type).execute()

describe('whoever signs in on the page of a request', () => {
  test('may review it there: reason and a shorter duration, and the event says that it was on the page with a second factor', async () => {
    const seen = await signIn(house.bob)
    expect(seen.status).toBe(200)
    for (const part of ['ticket 7', 'alice asks for dba', 'It still needs', 'You are bob'])
      expect(seen.text).toContain(part)
    expect(seen.text).not.toContain('<script')
    const done = await send(seen, VOTE)
    expect([done.status, done.text]).toEqual([200, expect.stringContaining('You approved it')])
    expect(done.text).toContain('It is approved')
    expect(await house.standing(id)).toMatchObject({
      state: 'approved',
      grantedDuration: 1_800_000,
      reviews: [{ reviewer: 'bob', reason: 'seen' }],
    })
    const [event] = await events('access_request.review')
    expect(JSON.parse(event?.details_json ?? '')).toMatchObject({ via: 'page', secondFactor: true })
  })
  test('is told what is still missing after a vote that does not decide it', async () => {
    await house.world.role('engineer', { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } })
    id = await house.asked('other')
    path = `/r/${id}`
    const done = await send(await signIn(house.bob), VOTE)
    expect(done.text).toMatch(/You approved it<\/h1>.*It still needs dba: 1 more approval/s)
  })
  test('may deny it', async () => {
    const done = await send(await signIn(house.bob), { act: 'deny', reason: 'not today', duration: '' })
    expect(done.text).toContain('You denied it')
    expect(await house.standing(id)).toMatchObject({
      state: 'denied',
      reviews: [{ decision: 'deny', reason: 'not today' }],
    })
  })
  test('of a role that is decided by link only, too', async () => {
    const document = { kind: 'role', metadata: { name: 'dba' }, spec: { options: { chat_approval: 'link_only' } } }
    await putRole(house.world.services, SYSTEM, RoleDocument.parse(document), true)
    expect((await send(await signIn(house.bob), VOTE)).text).toContain('You approved it')
  })
  test('cancels a request of their own, or gives its access back, and nobody else does', async () => {
    const own = await signIn(house.alice)
    expect(own.text).not.toContain('value="approve"')
    expect((await send(own, { act: 'approve', reason: '', duration: '' })).text).toContain('second factor')
    expect(await votes()).toEqual([])
    expect((await send(await signIn(house.bob), { act: 'cancel' })).status).toBe(422)
    expect((await send(await signIn(house.alice), {})).text).toContain('Your request is cancelled')
    expect((await house.standing(id)).state).toBe('cancelled')
    id = await house.asked('again')
    path = `/r/${id}`
    await send(await signIn(house.bob), VOTE)
    expect((await send(await signIn(house.alice), {})).text).toContain('You returned the access')
    expect((await house.standing(id)).grant).toMatchObject({ state: 'ended', endReason: 'returned' })
  })
  test('without a second factor sees it and has no vote', async () => {
    const carol = await house.world.person('carol', ['lead'], true)
    const seen = await signIn(carol)
    expect(seen.text).toContain('A vote needs a second factor')
    expect(seen.text).not.toContain('name="visit"')
    expect(seen.text).toContain('ticket 7')
  })
})

describe('a vote on the page is about exactly what it showed', () => {
  test('a role that was edited since: it is shown anew, decides nothing, and is good then', async () => {
    const seen = await signIn(house.bob)
    await house.world.role('dba', { logins: ['root'] })
    const anew = await send(seen, VOTE)
    expect([anew.status, anew.text]).toEqual([422, expect.stringContaining('changed since')])
    expect(await votes()).toEqual([])
    // What was typed is still there.
    expect(anew.text).toContain('seen</textarea')
    expect((await send(seen, VOTE)).status).toBe(404)
    expect((await send(anew, VOTE)).text).toContain('You approved it')
  })
  test('somebody made it shorter since: the same', async () => {
    await house.world.role('engineer', { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } })
    id = await house.asked('other')
    path = `/r/${id}`
    const carol = await house.world.person('carol', ['lead'])
    const seen = await signIn(house.bob)
    await send(await signIn(carol), VOTE)
    const anew = await send(seen, { ...VOTE, duration: '1h' })
    expect(anew.text).toContain('not what you were shown')
    expect(anew.text).toContain('At most 30m')
    expect(await votes()).toHaveLength(1)
  })
  test.each([
    ['duration', { ...VOTE, duration: 'a while' }],
    ['duration', { ...VOTE, duration: '2h' }],
    ['reason', { ...VOTE, reason: 'x'.repeat(5000) }],
  ])('what was typed wrongly is said at its field: %s', async (field, typed) => {
    const anew = await send(await signIn(house.bob), typed)
    expect(anew.status).toBe(422)
    expect(anew.text).toMatch(new RegExp(`id="${field}-wrong"`))
    expect(anew.text).toMatch(new RegExp(`aria-describedby="${field}-hint ${field}-wrong"`))
    expect(await votes()).toEqual([])
    expect((await send(anew, VOTE)).text).toContain('You approved it')
  })
  test('nothing chosen, or something that is no choice, does nothing', async () => {
    for (const act of [undefined, '', 'revoke', '__proto__', 'approve,deny'])
      expect((await send(await signIn(house.bob), act === undefined ? {} : { act })).status).toBe(422)
    expect(await votes()).toEqual([])
  })
  test('somebody who lost the right, was disabled or locked since has no vote', async () => {
    const seen = await signIn(house.bob)
    await house.world.role('lead', {})
    expect((await send(seen, VOTE)).status).toBe(404)
    expect(await votes()).toEqual([])
  })
})

describe('a visit', () => {
  test('is good once and for five minutes', async () => {
    const late = await signIn(house.bob)
    house.world.clock.advance(5 * 60_000)
    expect((await send(late, VOTE)).status).toBe(404)
    const seen = await signIn(house.bob)
    await send(seen, { ...VOTE, act: 'deny' })
    expect((await send(seen, VOTE)).status).toBe(404)
    expect((await house.standing(id)).state).toBe('denied')
  })
  test('is of its request alone', async () => {
    const seen = await signIn(house.bob)
    const other = await house.asked('other')
    expect((await house.send(seen, `/r/${other}`, VOTE)).status).toBe(404)
    expect((await house.standing(other)).reviews).toEqual([])
  })
  test('ends with the password, the second factor and the login sessions of its person', async () => {
    const { deeds, services } = house.world
    const seen = await signIn(house.bob)
    await endLoginsOf(services, SYSTEM, house.bob.id, 'lost laptop')
    expect((await send(seen, VOTE)).status).toBe(404)
    const again = await signIn(house.bob)
    const other = await services.passwords.hash('another password')
    await deeds.commitDeed(async (tx) => {
      await tx.updateTable('users').set({ password_hash: other }).where('id', '=', house.bob.id).execute()
      const rows = [{ table: 'users', id: house.bob.id }] as const
      return {
        result: null,
        events: [{ type: 'user.update', actor: SYSTEM.actor, outcome: 'success', details: {}, rows }],
      }
    })
    expect((await send(again, VOTE)).status).toBe(404)
    expect(await votes()).toEqual([])
  })
  test('twenty of them at once: one vote', async () => {
    const seen = await signIn(house.bob)
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, at) => send(seen, { ...VOTE, act: at % 2 ? 'approve' : 'deny' })),
    )
    expect(answers.some(({ text }) => /You (approved|denied) it/.test(text))).toBe(true)
    const rows = await house.world.database.reads.selectFrom('reviews').select('id').execute()
    expect(rows).toHaveLength(1)
  })
  test('who can write the store makes no visit of somebody else out of their own, nor one with a second factor or of other content', async () => {
    const seen = await signIn(house.alice)
    const { database } = house.world
    const shown = await database.reads.selectFrom('page_visits').selectAll().executeTakeFirstOrThrow()
    for (const forged of [{ user_id: house.bob.id, has_factor: 1 as const }, { has_factor: 1 as const }]) {
      await database.transact((tx) =>
        tx
          .updateTable('page_visits')
          .set({ ...shown, ...forged })
          .execute(),
      )
      expect((await send(seen, VOTE)).status).toBe(404)
      expect((await send(seen, { act: 'cancel' })).status).toBe(404)
    }
    expect(await house.standing(id)).toMatchObject({ state: 'pending', reviews: [] })
    await database.transact((tx) => tx.updateTable('page_visits').set(shown).execute())
    expect((await send(seen, { act: 'cancel' })).text).toContain('cancelled')
  })
  test('trap 17: its form from another browser or site, and all of it in an address, decide nothing', async () => {
    const seen = await signIn(house.bob)
    const [, visit = ''] = /name="visit" value="([^"]+)"/.exec(seen.text) ?? []
    expect(visit).toMatch(/^[A-Za-z0-9_-]{43}$/)
    const query = new URLSearchParams({ ...VOTE, visit }).toString()
    for (const method of ['GET', 'HEAD']) expect((await house.call(method, `${path}?${query}`)).status).toBe(200)
    expect((await house.call('POST', path, { form: { ...VOTE, visit } })).status).toBe(403)
    expect((await house.fill(path, { ...VOTE, visit }, { origin: 'https://evil.example' })).status).toBe(403)
    expect((await send(seen, VOTE, { 'sec-fetch-site': 'cross-site' })).status).toBe(403)
    expect(await votes()).toEqual([])
    expect((await send(seen, VOTE)).text).toContain('You approved it')
  })
})

describe('before anybody has signed in', () => {
  test('unknown ids, ids that one must not see and wrong names are answered alike', async () => {
    const eve = await house.world.person('eve', [])
    const absent = id.replace(/.$/, (last) => (last === '0' ? '1' : '0'))
    const neutral = ({ status, text }: RawAnswer) =>
      [
        status,
        text
          .replaceAll(id, 'ID')
          .replaceAll(absent, 'ID')
          .replace(/value="[^"]*"/g, ''),
      ] as const
    expect(neutral(await signIn(eve))).toEqual(neutral(await signIn(eve, `/r/${absent}`)))
    const guess = { user: 'nobody', password: 'x', code: '' }
    expect(neutral(await house.fill(path, guess))).toEqual(neutral(await house.fill(`/r/${absent}`, guess)))
    const form = { visit: 'x'.repeat(43), ...VOTE }
    expect(neutral(await house.fill(path, form))).toEqual(neutral(await house.fill(`/r/${absent}`, form)))
  })
  test('wrong passwords and codes are counted as those of signing in, and said where they are typed', async () => {
    const first = await house.fill(path, { user: 'bob', password: PASSWORD, code: '' })
    expect(first.text).toContain('value="bob"')
    expect(first.status).toBe(401)
    for (let at = 0; at < 5; at++)
      expect((await house.fill(path, { user: 'bob', password: 'wrong', code: '' })).status).toBe(401)
    expect((await signIn(house.bob)).status).toBe(429)
  })
})
