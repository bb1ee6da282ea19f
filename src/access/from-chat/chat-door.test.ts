import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { forgetOldArrivals } from './forget-old.ts'
import { AccessWorld, HOUR, MINUTE } from '../../../test/support/access-world.ts'
import { ChatWorld } from '../../../test/support/chat-world.ts'

let access: AccessWorld
let chat: ChatWorld
let integration: string
beforeEach(async () => {
  access = await AccessWorld.open()
  chat = new ChatWorld(access)
  await access.role('dba', { options: { chat_approval: 'allowed' }, allow: { logins: ['postgres'] } })
  await access.role('dev', {
    allow: { request: { roles: ['dba', 'vault', 'root'], thresholds: [{ approve: 2, deny: 1 }] } },
  })
  await access.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  for (const name of ['alice']) await access.user(name, { roles: ['dev', 'lead'] })
  for (const name of ['bob', 'carol']) await access.user(name, { roles: ['lead'] })
  await access.user('eve')
  integration = await chat.integration()
  for (const name of ['alice', 'bob', 'carol', 'eve']) await chat.link(name)
})
afterEach(() => access.close())

const votes = async (id: string) =>
  (await access.show(id)).reviews.map(({ reviewer, decision }) => [reviewer, decision])
const inboxRows = () => access.database.reads.selectFrom('inbox').selectAll().execute()

describe('a vote from chat', () => {
  test('is answered with what is still missing, and with how it stands once nothing is', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const say = async (who: string) => {
      const button = await chat.message(id, integration)
      const said = await chat.sends(who, await chat.presses(who, 'approve', button), { reason: 'ok', duration: '30m' })
      return said.kind === 'done' ? said.text : said.kind
    }
    expect(await say('bob')).toMatch(/^You approved it; it still needs dba: 1 more approval counted by "[^"]+"\.$/)
    expect(await say('carol')).toBe('You approved it; it is approved now.')
  })

  test('is a form and then a vote of the linked user, and the event says through which product', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    const form = await chat.presses('bob', 'approve', button)
    expect(form).toMatchObject({ kind: 'form', form: { kind: 'review', submit: 'Approve' } })
    expect(await votes(id)).toEqual([])
    expect(await chat.sends('bob', form, { reason: 'looks right', duration: '30m' })).toMatchObject({
      kind: 'done',
      requestId: id,
    })
    expect((await access.show(id)).reviews).toMatchObject([
      { reviewer: 'bob', decision: 'approve', reason: 'looks right', duration: 30 * MINUTE, counts: true },
    ])
    const event = (await access.events()).findLast(({ type }) => type === 'access_request.review')
    expect(event).toMatchObject({ actor: { id: 'usr_bob', name: 'bob' }, details: { via: 'slack' } })
  })
  test('two of them decide, and what the first one made shorter is what the second one must have been shown', async () => {
    const { id } = await access.ask('alice', ['dba'], { duration: HOUR })
    const old = await chat.message(id, integration)
    await chat.sends('bob', await chat.presses('bob', 'approve', old), { duration: '30m' })
    expect(await chat.presses('carol', 'approve', old)).toMatchObject({ kind: 'refused' })
    const now = await chat.message(id, integration, { id: 'msg_1' })
    expect(await chat.sends('carol', await chat.presses('carol', 'approve', now), {})).toMatchObject({ kind: 'done' })
    expect(await access.show(id)).toMatchObject({ state: 'approved', grantedDuration: 30 * MINUTE })
  })
  test('trap 1: what is not authentic has no effect, whatever it says, and is told', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    expect(await chat.presses('bob', 'approve', button, { proof: 'xoxb-guessed' })).toEqual({
      kind: 'rejected',
      why: 'signature',
    })
    expect(chat.rejected).toEqual(['chat: signature'])
    expect(await chat.presses('bob', 'approve', button, { integration: 'other' })).toMatchObject({ kind: 'rejected' })
    expect(await votes(id)).toEqual([])
  })
  test('trap 3: the same delivery twice is one vote, and the second one does nothing', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    expect((await chat.sends('bob', form, {}, { eventId: 'again' })).kind).toBe('done')
    expect(await chat.sends('bob', form, {}, { eventId: 'again' })).toEqual({ kind: 'ignored', why: 'repeated' })
    expect(await chat.sends('bob', form, { reason: 'other' })).toMatchObject({ kind: 'refused' })
    expect(await votes(id)).toEqual([['bob', 'approve']])
  })
  test('trap 3: the same delivery at the same time is one vote', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    const doors = [chat.door, chat.openDoor()]
    const outcomes = await Promise.all(
      Array.from({ length: 10 }, (_, at) =>
        chat.sends('bob', form, {}, { eventId: 'same', door: doors[at % 2] ?? chat.door }),
      ),
    )
    expect(new Set(outcomes.map(({ kind }) => kind))).toContain('done')
    expect((await access.eventTypes()).filter((type) => type === 'access_request.review')).toHaveLength(1)
    expect(await votes(id)).toEqual([['bob', 'approve']])
  })
  test('trap 5: another workspace, and the same account as another integration vouches for it, are nobody', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    expect(await chat.presses('bob', 'approve', button, { tenant: 'TOTHER' })).toEqual({
      kind: 'rejected',
      why: 'other_tenant',
    })
    const second = await chat.integration('second')
    const there = await chat.message(id, second)
    expect(await chat.presses('bob', 'approve', there, { integration: 'second' })).toMatchObject({
      kind: 'open',
      url: expect.stringContaining('/link/'),
    })
    expect(await chat.presses('bob', 'approve', there)).toMatchObject({ kind: 'refused' })
    expect(await votes(id)).toEqual([])
  })
  test('trap 8: whoever was disabled, deleted or lost the role a moment ago is refused', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    const form = await chat.presses('bob', 'approve', button)
    await access.user('bob', { roles: [] })
    expect(await chat.sends('bob', form, {})).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('do not let you review'),
    })
    await access.user('carol', { roles: ['lead'], disabled: true })
    expect(await chat.presses('carol', 'approve', button)).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('disabled'),
    })
    await access.deleteUser('usr_carol')
    expect((await chat.presses('carol', 'approve', button)).kind).toBe('refused')
    expect(await votes(id)).toEqual([])
  })
  test('trap 9: nobody decides a request of their own, not through a second account either; who may not review is refused, and both are events', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    await chat.link('alias', 'alice')
    for (const who of ['alice', 'alias', 'eve'])
      expect((await chat.presses(who, 'approve', button)).kind).toBe('refused')
    const refused = (await access.events()).filter(({ type }) => type === 'access_request.review_refused')
    expect(refused.map(({ actor, details }) => [actor.name, details['code'], details['via']])).toEqual([
      ['alice', 'own_request', 'slack'],
      ['alice', 'own_request', 'slack'],
      ['eve', 'not_a_reviewer', 'slack'],
    ])
  })
  test('trap 10: one human counts once, through two accounts and the API', async () => {
    const { id } = await access.ask('alice', ['dba'])
    await chat.link('bobby', 'bob')
    await chat.sends('bob', await chat.presses('bob', 'approve', await chat.message(id, integration)), {})
    await chat.sends('bobby', await chat.presses('bobby', 'approve', await chat.message(id, integration)), {})
    await access.approve('bob', id)
    expect((await access.show(id)).state).toBe('pending')
  })
  test('trap 12: what the callback says besides the id of the button is not read', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration, { buttons: ['open'] })
    expect((await chat.presses('bob', 'approve', button)).kind).toBe('refused')
    const act = {
      kind: 'button',
      button: 'approve',
      buttonId: button,
      message: null,
      requestId: id,
      role: 'root',
    } as const
    expect((await chat.does('bob', act)).kind).toBe('refused')
    expect((await chat.does('bob', { ...act, button: '__proto__' })).kind).toBe('refused')
  })
  test('trap 13: an unknown button, one of a decided, expired or changed request, and a form of somebody else decide nothing', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    expect((await chat.presses('bob', 'approve', 'f'.repeat(32))).kind).toBe('refused')
    const form = await chat.presses('bob', 'approve', button)
    expect((await chat.sends('carol', form, {})).kind).toBe('refused')
    await access.role('dba', { options: { chat_approval: 'allowed' }, allow: { logins: ['postgres', 'root'] } })
    expect(await chat.sends('bob', form, {})).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('changed since'),
    })
    const anew = await chat.message(id, integration, { id: 'msg_1' })
    await access.deny('carol', id)
    expect(await chat.presses('bob', 'approve', anew)).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('denied already'),
    })
  })
  test('a form outlives a restart of the daemon, and ten minutes end it', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    const form = await chat.presses('bob', 'approve', button)
    const late = await chat.presses('carol', 'approve', button)
    expect((await chat.sends('bob', form, {}, { door: chat.openDoor() })).kind).toBe('done')
    access.clock.advance(10 * MINUTE)
    expect((await chat.sends('carol', late, {})).kind).toBe('refused')
  })
  test('a form that was filled in wrongly says which field, and stays good', async () => {
    const { id } = await access.ask('alice', ['dba'], { duration: HOUR })
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    expect(await chat.sends('bob', form, { duration: 'a while' })).toMatchObject({ kind: 'refused', field: 'duration' })
    expect(await chat.sends('bob', form, { duration: '2h' })).toMatchObject({ kind: 'refused', field: 'duration' })
    expect((await chat.sends('bob', form, { duration: '1h' })).kind).toBe('done')
  })
  test('a vote that the store refused leaves no inbox row behind: its repetition is taken', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    const before = (await inboxRows()).length
    await access.lock('user', 'usr_bob')
    expect((await chat.sends('bob', form, {}, { eventId: 'once' })).kind).toBe('refused')
    expect(await inboxRows()).toHaveLength(before)
  })
})

test('what came in long ago is forgotten, and so are forms, pages and codes that are over; what is young stays', async () => {
  const { id } = await access.ask('alice', ['dba'])
  await chat.presses('bob', 'approve', await chat.message(id, integration))
  await chat.code('frank')
  access.clock.advance(29 * 24 * HOUR)
  await forgetOldArrivals({ database: access.database, clock: access.clock })
  const left = async () => [
    await access.database.reads.selectFrom('chat_forms').selectAll().execute(),
    await access.database.reads.selectFrom('chat_link_offers').selectAll().execute(),
  ]
  expect(await left()).toEqual([[], []])
  expect((await inboxRows()).length).toBeGreaterThan(0)
  access.clock.advance(2 * 24 * HOUR)
  await forgetOldArrivals({ database: access.database, clock: access.clock })
  expect(await inboxRows()).toEqual([])
})

describe('how much chat may decide', () => {
  test('roles say nothing: a page asks for the second factor; the strictest of those that the voter decides wins', async () => {
    await access.role('vault', { options: {}, allow: {} })
    const { id } = await access.ask('alice', ['vault'])
    expect(await chat.presses('bob', 'approve', await chat.message(id, integration))).toMatchObject({
      kind: 'open',
      url: expect.stringMatching(/^https:\/\/sallyport\.test\/confirm\/[A-Za-z0-9_-]{43}$/),
    })
    await access.role('root', { options: { chat_approval: 'link_only' }, allow: {} })
    const both = await access.ask('alice', ['dba', 'root'])
    expect(await chat.presses('bob', 'approve', await chat.message(both.id, integration))).toMatchObject({
      kind: 'open',
      url: `https://sallyport.test/r/${both.id}`,
    })
    await access.role('half', { allow: { review_requests: { roles: ['dba'] } } })
    await access.user('dan', { roles: ['half'] })
    await chat.link('dan')
    expect((await chat.presses('dan', 'approve', await chat.message(both.id, integration))).kind).toBe('form')
  })
  test('a role that became stricter while the form was open leads to the page with what was typed', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    await access.role('dba', { options: { chat_approval: 'step_up' }, allow: { logins: ['postgres'] } })
    const sent = await chat.sends('bob', form, { reason: 'fine' })
    // Its content is another one now: nothing that was shown is decided.
    expect(sent).toMatchObject({ kind: 'refused', text: expect.stringContaining('changed since') })
  })
  test('an integration that is switched off or gone takes nothing in', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    await chat.integration('chat', { enabled: false })
    expect(await chat.presses('bob', 'approve', button)).toMatchObject({ kind: 'rejected' })
  })
  test('one account that presses on and on is told to wait', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    for (let at = 0; at < 35; at++) await chat.presses('eve', 'open', button)
    expect(await chat.presses('eve', 'open', button)).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('Wait'),
    })
    expect((await chat.presses('bob', 'approve', button)).kind).toBe('form')
  })
})

describe('asking from chat', () => {
  test('a form, a command, more time, giving back and taking back are done as the user', async () => {
    const form = await chat.types('alice', '')
    expect(form).toMatchObject({
      kind: 'form',
      form: { kind: 'ask', fields: [{ name: 'roles', options: [{ value: 'dba' }] }, {}, {}, {}] },
    })
    const asked = await chat.sends('alice', form, { roles: 'dba', duration: '1h', reason: 'ticket 7' })
    expect(asked).toMatchObject({ kind: 'done' })
    const id = asked.kind === 'done' ? (asked.requestId ?? '') : ''
    expect(await access.show(id)).toMatchObject({ user: 'alice', roles: ['dba'], duration: HOUR, reason: 'ticket 7' })
    for (const name of ['bob', 'carol']) await access.approve(name, id)
    expect(await chat.types('alice', 'mine')).toMatchObject({ text: expect.stringContaining('active, 1h left') })
    expect(await chat.types('alice', 'extend 30m: not done')).toMatchObject({ kind: 'done' })
    expect(await chat.types('alice', 'cancel')).toMatchObject({ kind: 'done' })
    expect(await chat.types('alice', 'return')).toMatchObject({ kind: 'done' })
    expect((await access.show(id)).grant).toMatchObject({ state: 'ended', endReason: 'returned' })
    const created = (await access.events()).find(({ type }) => type === 'access_request.create')
    expect(created?.details).toMatchObject({ via: 'slack' })
  })
  test('what one types, another does not get: requests are those of the linked user', async () => {
    const { id } = await access.ask('alice', ['dba'])
    expect((await chat.types('bob', `cancel ${id}`)).kind).toBe('refused')
    expect(await chat.types('bob', 'request dba for 1h: mine')).toMatchObject({ kind: 'refused', field: 'roles' })
    expect(await chat.types('alice', 'request *')).toMatchObject({ kind: 'refused', field: 'roles' })
  })
  test('the same command delivered twice asks once', async () => {
    expect((await chat.types('alice', 'request dba: x', { eventId: 'one' })).kind).toBe('done')
    expect((await chat.types('alice', 'request dba: x', { eventId: 'one' })).kind).toBe('ignored')
    expect((await access.eventTypes()).filter((type) => type === 'access_request.create')).toHaveLength(1)
  })
})

describe('trap 7: linking', () => {
  test('somebody unknown gets a code and nothing else; it is good once, for ten minutes', async () => {
    const code = await chat.code('frank')
    await access.user('frank')
    await chat.confirmLink('frank', code.toUpperCase())
    await expect(chat.confirmLink('eve', code)).rejects.toMatchObject({ code: 'invitation_invalid' })
    const late = await chat.code('gina')
    access.clock.advance(10 * MINUTE)
    await expect(chat.confirmLink('eve', late)).rejects.toMatchObject({ code: 'invitation_invalid' })
    expect(await chat.types('frank', 'link')).toMatchObject({ kind: 'done', text: expect.stringContaining('frank') })
  })
  test('an account that names its user is linked with that one alone, however many read the code', async () => {
    const offered = await chat.types('newcomer', 'link Bob')
    const code = offered.kind === 'open' ? (offered.url.split('/').at(-1) ?? '') : ''
    await expect(chat.confirmLink('eve', code, { isProven: true })).rejects.toMatchObject({ code: 'not_allowed' })
    await chat.confirmLink('bob', code)
    expect(await chat.types('newcomer', 'link eve')).toMatchObject({ text: expect.stringContaining('bob') })
  })
  test('an account changes hands only with a second factor, and both sides are told', async () => {
    const offered = await chat.code('newcomer')
    await chat.confirmLink('eve', offered)
    await chat.types('newcomer', 'unlink')
    const one = await chat.code('shared')
    const two = await chat.code('shared')
    await chat.confirmLink('eve', one)
    await expect(chat.confirmLink('bob', two)).rejects.toMatchObject({ code: 'second_factor_setup_required' })
    await chat.confirmLink('bob', two, { isProven: true })
    expect(await chat.types('shared', 'link')).toMatchObject({ text: expect.stringContaining('bob') })
    const told = (await access.outbox()).filter(({ topic }) => topic.startsWith('chat_account.')).slice(-2)
    expect(told.map(({ topic, body }) => [topic, body['to']])).toEqual([
      ['chat_account.unlinked', ['eve']],
      ['chat_account.linked', ['bob']],
    ])
  })
  test('an account that was unlinked does nothing any more, not even with a form that is open', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    await chat.types('bob', 'unlink')
    expect((await chat.sends('bob', form, {})).kind).toBe('open')
    expect(await votes(id)).toEqual([])
  })
  test('a link that was edited beside the daemon is not believed', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    const forged = access.database.transact((tx) =>
      tx.updateTable('chat_accounts').set({ user_id: 'usr_bob' }).where('external_id', '=', 'UEVE').execute(),
    )
    await forged.catch(() => {})
    expect((await chat.presses('eve', 'approve', button)).kind).toBe('refused')
    expect(await votes(id)).toEqual([])
  })
})
