import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld } from '../../../test/support/access-world.ts'
import { ChatWorld } from '../../../test/support/chat-world.ts'
import type { ChatEvent, ChatOutcome } from '../../contract/from-chat.ts'
import { removeIntegration } from '../integrations/integrations.ts'
import { accountOf } from './account-link.ts'
import { AlreadyHere, arrived, inboxKey, isHere, type KnownArrival } from './arrival.ts'

// Between the press of a button, the form and its submission things change; and between the look at the store and the deed.

const ADMIN = { actor: { kind: 'local-admin', id: null, name: 'local-admin' }, loginId: null } as const

let access: AccessWorld
let chat: ChatWorld
let integration: string
beforeEach(async () => {
  access = await AccessWorld.open()
  chat = new ChatWorld(access)
  await access.role('dba', { options: { chat_approval: 'allowed' } })
  await access.role('dev', { allow: { request: { roles: ['dba'] } } })
  await access.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await access.user('alice', { roles: ['dev'] })
  await access.user('bob', { roles: ['lead'] })
  await access.user('eve')
  integration = await chat.integration()
  await chat.link('bob')
})
afterEach(() => access.close())

async function formOpen(): Promise<{ readonly id: string; readonly form: ChatOutcome }> {
  const { id } = await access.ask('alice', ['dba'])
  const form = await chat.presses('bob', 'approve', await chat.message(id, integration))
  expect(form.kind).toBe('form')
  return { id, form }
}

const CHANGES: Readonly<Record<string, () => Promise<unknown>>> = {
  'chat is not enough for the role any more': () => access.role('dba', { options: { chat_approval: 'link_only' } }),
  'the role asks for the second factor now': () => access.role('dba', { options: { chat_approval: 'step_up' } }),
  'the role gives more': () =>
    access.role('dba', { options: { chat_approval: 'allowed' }, allow: { logins: ['root'] } }),
  'the thresholds are other ones': () =>
    access.role('dev', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } }),
  'the reviewer’s role reviews nothing any more': () => access.role('lead', {}),
  'the reviewer lost the role': () => access.user('bob', {}),
  'the reviewer is denied it': async () => {
    await access.role('never', { deny: { review_requests: { roles: ['dba'] } } })
    await access.user('bob', { roles: ['lead', 'never'] })
  },
  'the reviewer is disabled': () => access.user('bob', { roles: ['lead'], disabled: true }),
  'the reviewer is locked': () => access.lock('user', 'usr_bob'),
  'the reviewer is removed': () => access.deleteUser('usr_bob'),
  'the role is locked': () => access.lock('role', 'rol_lead'),
  'the role that was asked for is gone': () => access.deleteRole('rol_dba'),
  'the requester took it back': async () => {
    const [row] = await access.database.reads.selectFrom('access_requests').select('id').execute()
    await access.requests.cancel(
      { actor: { kind: 'user', id: 'usr_alice', name: 'alice' }, userId: 'usr_alice', loginId: null, local: false },
      row?.id ?? '',
    )
  },
  'the integration is switched off': () => chat.integration('chat', { enabled: false }),
  'the integration is removed': () => removeIntegration({ deeds: access.deeds }, ADMIN, 'chat'),
  'the account is parted': () => chat.types('bob', 'unlink'),
  'the account is somebody else’s': async () => {
    const code = await chat.code('other')
    await access.database.transact((tx) =>
      tx.updateTable('chat_link_offers').set({ external_id: 'UBOB' }).where('external_id', '=', 'UOTHER').execute(),
    )
    await chat.confirmLink('eve', code, { isProven: true })
  },
}

describe('a form that stands open while', () => {
  test.each(Object.entries(CHANGES))('%s counts for nothing when it is sent', async (_what, change) => {
    const { id, form } = await formOpen()
    await change()
    const sent = await chat.sends('bob', form, { reason: 'fine' })
    expect(['refused', 'rejected', 'open']).toContain(sent.kind)
    // What leads to a page leads to that of linking the account: nothing of the vote is kept.
    if (sent.kind === 'open') expect(sent.url).toContain('/link/')
    const { reviews } = await access.show(id)
    expect(reviews).toEqual([])
    expect(await access.database.reads.selectFrom('chat_confirmations').selectAll().execute()).toEqual([])
  })

  test('nothing changes is a vote', async () => {
    const { id, form } = await formOpen()
    expect((await chat.sends('bob', form, {})).kind).toBe('done')
    expect(await access.show(id)).toMatchObject({ state: 'approved' })
  })
})

describe('what an event brings about', () => {
  async function arrival(eventId = 'one'): Promise<KnownArrival> {
    const event: ChatEvent = { eventId, account: { tenant: 'T0TEST', id: 'UBOB', name: 'bob' }, act: { kind: 'other' } }
    const { reads } = access.database
    const row = await reads
      .selectFrom('integrations')
      .selectAll()
      .where('id', '=', integration)
      .executeTakeFirstOrThrow()
    const account = await accountOf(reads, integration, event.account)
    if (!account) throw new Error('bob is not linked')
    return { integration: row, event, key: inboxKey(event), account, user: { id: 'usr_bob', name: 'bob' } }
  }
  const spend = (given: KnownArrival): Promise<void> =>
    access.database.transact((tx) => arrived(given, access.clock.now()).spend(tx, access.clock.now()))

  test.each([
    ['parted', () => chat.types('bob', 'unlink')],
    ['parted with its integration', () => removeIntegration({ deeds: access.deeds }, ADMIN, 'chat')],
    ['of an integration that is switched off', () => chat.integration('chat', { enabled: false })],
    ['linked with somebody else', CHANGES['the account is somebody else’s'] ?? (() => Promise.resolve())],
  ])('is refused in its own transaction when the account was %s since the look', async (_what, change) => {
    const seen = await arrival()
    await change()
    await expect(spend(seen)).rejects.toMatchObject({ code: 'not_allowed' })
    expect(await isHere(access.database.reads, seen)).toBe(false)
  })

  test('is stored with the arrival, once for each integration', async () => {
    const seen = await arrival()
    await spend(seen)
    expect(await isHere(access.database.reads, seen)).toBe(true)
    await expect(spend(seen)).rejects.toBeInstanceOf(AlreadyHere)
    // Event ids are the vendor's: another integration may have the same.
    await chat.integration('second')
    const [second] = await access.database.reads
      .selectFrom('integrations')
      .selectAll()
      .where('name', '=', 'second')
      .execute()
    if (!second) throw new Error('there is no second integration')
    expect(await isHere(access.database.reads, { ...seen, integration: second })).toBe(false)
  })

  test('needs the very account that was seen, not another one of the same user', async () => {
    const seen = await arrival()
    await chat.link('bobby', 'bob')
    await chat.types('bob', 'unlink')
    await expect(spend(seen)).rejects.toMatchObject({ code: 'not_allowed' })
  })
})
