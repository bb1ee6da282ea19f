import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, MINUTE } from '../../../test/support/access-world.ts'
import { ChatWorld } from '../../../test/support/chat-world.ts'
import { listAccounts, unlinkAccount } from './chat-accounts.ts'
import { useForm } from './chat-forms.ts'
import { useConfirmation } from './confirmations.ts'

// What is good once is good once also for two at the same moment, and what is somebody's is nobody else's.

let access: AccessWorld
let chat: ChatWorld
let integration: string
beforeEach(async () => {
  access = await AccessWorld.open()
  chat = new ChatWorld(access)
  await access.role('dba', { options: { chat_approval: 'allowed' } })
  await access.role('vault', { options: { chat_approval: 'step_up' } })
  await access.role('dev', { allow: { request: { roles: ['dba', 'vault'] } } })
  await access.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await access.role('head', { allow: { review_requests: { roles: ['vault'] } } })
  await access.user('alice', { roles: ['dev'] })
  await access.user('bob', { roles: ['lead'] })
  await access.user('carol', { roles: ['head'] })
  await access.user('eve')
  integration = await chat.integration()
  for (const name of ['alice', 'bob', 'carol']) await chat.link(name)
})
afterEach(() => access.close())

const rowsOf = (table: 'chat_forms' | 'chat_confirmations' | 'access_requests') =>
  access.database.reads.selectFrom(table).selectAll().execute()

describe('a form', () => {
  test('that is sent twice at the same moment, filled in differently, is one request', async () => {
    const form = await chat.types('alice', '')
    const other = chat.openDoor()
    const sent = await Promise.all(
      ['one', 'two', 'three'].map((reason, at) =>
        chat.sends('alice', form, { roles: 'dba', reason }, { door: at === 1 ? other : chat.door }),
      ),
    )
    expect(sent.map(({ kind }) => kind).sort()).toEqual(['done', 'refused', 'refused'])
    expect(await rowsOf('access_requests')).toHaveLength(1)
  })

  test('is over inside the deed too, used or too old', async () => {
    await chat.types('alice', '')
    const { database, clock } = access
    const [row] = await database.reads.selectFrom('chat_forms').selectAll().execute()
    if (!row) throw new Error('there is no form')
    const use = (now: number) => database.transact((tx) => useForm(tx, row, now))
    await expect(use(clock.now() + 10 * MINUTE)).rejects.toMatchObject({ code: 'not_found' })
    await use(clock.now() + 10 * MINUTE - 1)
    await expect(use(clock.now())).rejects.toMatchObject({ code: 'not_found' })
  })

  test('of somebody whose vote has come to speak for a stricter role leads to the page, with the reason, and is used up', async () => {
    const { id } = await access.ask('alice', ['dba', 'vault'])
    const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
    await access.user('bob', { roles: ['lead', 'head'] })
    const sent = await chat.sends('bob', form, { reason: 'looks right' })
    expect(sent).toMatchObject({ kind: 'open', url: expect.stringContaining('/confirm/') })
    expect(await rowsOf('chat_confirmations')).toMatchObject([{ reason: 'looks right', user_id: 'usr_bob' }])
    expect((await chat.sends('bob', form, {})).kind).toBe('refused')
    expect((await access.show(id)).reviews).toEqual([])
  })
})

test('a page that confirms is over inside the deed too, used or too old', async () => {
  const { id } = await access.ask('alice', ['vault'])
  expect((await chat.presses('carol', 'approve', await chat.message(id, integration))).kind).toBe('open')
  const { database, clock } = access
  const [row] = await database.reads.selectFrom('chat_confirmations').selectAll().execute()
  if (!row) throw new Error('there is no page')
  const use = (now: number) => database.transact((tx) => useConfirmation(tx, row, now))
  await expect(use(clock.now() + 10 * MINUTE)).rejects.toMatchObject({ code: 'not_found' })
  await use(clock.now() + 10 * MINUTE - 1)
  await expect(use(clock.now())).rejects.toMatchObject({ code: 'not_found' })
})

describe('buttons and tickets', () => {
  test('cancel and return do what they say, for the requester alone', async () => {
    const { id } = await access.ask('alice', ['dba'])
    const button = await chat.message(id, integration)
    expect((await chat.presses('bob', 'cancel', button)).kind).toBe('refused')
    expect((await access.show(id)).state).toBe('pending')
    expect((await chat.presses('alice', 'cancel', button)).kind).toBe('done')
    expect((await access.show(id)).state).toBe('cancelled')
    const second = await access.ask('alice', ['dba'], { reason: 'again' })
    await access.approve('bob', second.id)
    const after = await chat.message(second.id, integration)
    expect((await chat.presses('bob', 'return', after)).kind).toBe('refused')
    expect((await chat.presses('alice', 'return', after)).kind).toBe('done')
    expect((await access.show(second.id)).grant).toMatchObject({ state: 'ended', endReason: 'returned' })
  })

  const moves = (who: string, message: string, decision: 'approve' | 'deny' = 'approve') =>
    chat.does(who, { kind: 'moved', message, decision, reason: 'done in the ticket' })

  test('a ticket that is moved is a vote about what it showed, where chat is enough', async () => {
    const first = await access.ask('alice', ['dba'])
    const other = await access.ask('alice', ['dba'], { reason: 'other' })
    await chat.message(first.id, integration)
    await chat.message(other.id, integration)
    expect((await moves('bob', 'Cmsg_1:1')).kind).toBe('done')
    expect(await access.show(first.id)).toMatchObject({
      state: 'approved',
      reviews: [{ reason: 'done in the ticket' }],
    })
    expect((await access.show(other.id)).state).toBe('pending')
    expect((await moves('bob', 'Cmsg_9:1')).kind).toBe('refused')
    const strict = await access.ask('alice', ['vault'])
    await chat.message(strict.id, integration)
    expect(await moves('carol', 'Cmsg_3:1')).toMatchObject({ kind: 'open' })
    expect((await access.show(strict.id)).reviews).toEqual([])
  })

  test('a ticket of another integration is none of this one', async () => {
    const { id } = await access.ask('alice', ['dba'])
    await chat.message(id, await chat.integration('second'))
    expect((await moves('bob', 'Cmsg_1:1')).kind).toBe('refused')
  })
})

describe('accounts', () => {
  const linker = { actor: { kind: 'user', id: 'usr_eve', name: 'eve' }, loginId: null } as const

  test('one account is shown five codes in ten minutes, and others theirs all the same', async () => {
    for (let at = 0; at < 5; at += 1) await chat.code('frank')
    expect(await chat.types('frank', 'link')).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('several'),
    })
    await chat.integration('second')
    await chat.code('frank', { integration: 'second' })
    await chat.code('gina')
    access.clock.advance(10 * MINUTE)
    await chat.code('frank')
  })

  test('whoever is disabled, locked, removed or no person links none; one’s own is linked already', async () => {
    const confirm = (user: string, code: string) => chat.confirmLink(user, code)
    await expect(confirm('bob', await chat.code('x1'))).resolves.toMatchObject({ user: 'bob' })
    const code = await chat.code('x2')
    await access.user('eve', { disabled: true })
    await expect(confirm('eve', code)).rejects.toMatchObject({ code: 'user_disabled' })
    await access.user('eve')
    const lock = await access.lock('user', 'usr_eve')
    await expect(confirm('eve', code)).rejects.toMatchObject({ code: 'locked' })
    await access.unlock(lock)
    await access.user('bot', { owner: 'eve' })
    await expect(confirm('bot', code)).rejects.toMatchObject({ code: 'not_allowed' })
    const again = await chat.code('x2')
    await confirm('eve', code)
    await expect(confirm('eve', again)).rejects.toMatchObject({ code: 'exists' })
    await access.deleteUser('usr_eve')
    await expect(confirm('eve', await chat.code('x3'))).rejects.toMatchObject({ code: 'user_disabled' })
  })

  test('are listed for their user alone, those that stand, and parted by nobody else', async () => {
    const { reads } = access.database
    const mine = await listAccounts(reads, 'usr_bob')
    expect(mine.map(({ externalId }) => externalId)).toEqual(['UBOB'])
    expect(await listAccounts(reads, null)).toHaveLength(3)
    const id = mine[0]?.id ?? ''
    await expect(unlinkAccount(access, linker, id, 'usr_eve')).rejects.toMatchObject({ code: 'not_found' })
    expect(await listAccounts(reads, 'usr_bob')).toHaveLength(1)
    await unlinkAccount(access, linker, id, 'usr_bob')
    expect(await listAccounts(reads, 'usr_bob')).toEqual([])
    await expect(unlinkAccount(access, linker, id, 'usr_bob')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('a repeated delivery of /access unlink does not part what was linked since', async () => {
    expect((await chat.types('bob', 'unlink', { eventId: 'once' })).kind).toBe('done')
    await chat.link('bob')
    expect((await chat.types('bob', 'unlink', { eventId: 'once' })).kind).toBe('ignored')
    expect(await listAccounts(access.database.reads, 'usr_bob')).toHaveLength(1)
  })
})

test('a body of more than 256 KiB is not looked at', async () => {
  const callback = chat.callback('bob', { kind: 'command', text: 'help' })
  const padded = (bytes: number) => ({
    ...callback,
    body: Buffer.concat([callback.body, Buffer.alloc(bytes - callback.body.byteLength, ' ')]),
  })
  expect(await chat.door.take(padded(262_145))).toEqual({ kind: 'rejected', why: 'too_large' })
  expect((await chat.door.take(padded(262_144))).kind).toBe('done')
})
