import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, HOUR } from '../../../test/support/access-world.ts'
import { ChatWorld } from '../../../test/support/chat-world.ts'
import type { ChatOutcome } from '../../contract/from-chat.ts'
import { shownMark } from './messages-of.ts'

// What is answered by moving a ticket, or by a program, is a vote about what stood there then.

let access: AccessWorld
let chat: ChatWorld
let integration: string
let request: string
beforeEach(async () => {
  access = await AccessWorld.open()
  chat = new ChatWorld(access)
  await role(['postgres'])
  await access.role('dev', { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } })
  await access.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await access.user('alice', { roles: ['dev'] })
  await access.user('bob', { roles: ['lead'] })
  integration = await chat.integration()
  await chat.link('bob')
  request = (await access.ask('alice', ['dba'], { duration: HOUR })).id
})
afterEach(() => access.close())

const role = (logins: string[]) => access.role('dba', { options: { chat_approval: 'allowed' }, allow: { logins } })

/** The message is at the vendor as it is now; what it says it shows. */
async function delivered(state: 'settled' | 'due' = 'settled'): Promise<string> {
  const known = await access.database.reads.selectFrom('messages').select('id').executeTakeFirst()
  await chat.message(request, integration, known ? { id: known.id } : {})
  await access.database.transact((tx) =>
    tx.updateTable('messages').set({ external: '1000', state, changed_at: access.clock.now() }).execute(),
  )
  return await newest()
}
async function newest(): Promise<string> {
  const rows = access.database.reads
    .selectFrom('message_buttons')
    .selectAll()
    .orderBy('rowid' as 'created_at', 'desc')
  return shownMark(await rows.executeTakeFirstOrThrow())
}
const moves = (more: { at?: number; shown?: string } = {}): Promise<ChatOutcome> =>
  chat.does('bob', { kind: 'moved', message: '1000', decision: 'approve', reason: '', ...more })
const CHANGED = { kind: 'refused', text: expect.stringContaining('changed about when you answered') as string }

describe('a ticket that shows something else now than before', () => {
  beforeEach(async () => {
    await delivered()
    access.clock.advance(HOUR / 4)
  })

  test('counts for what it says when it had said so for a while', async () => {
    await role(['postgres', 'root'])
    await delivered()
    access.clock.advance(30_000)
    expect(await moves({ at: access.clock.now() })).toMatchObject({ kind: 'done' })
  })

  test('counts for nothing when it was moved before it was changed, or just then, or nobody knows when', async () => {
    const before = access.clock.now()
    await role(['postgres', 'root'])
    await delivered()
    access.clock.advance(60_000)
    expect(await moves({ at: before })).toMatchObject(CHANGED)
    expect(await moves({ at: before + 29_999 })).toMatchObject(CHANGED)
    expect(await moves()).toMatchObject(CHANGED)
    expect((await access.show(request)).reviews).toEqual([])
  })

  test('counts for nothing while the vendor has not taken the change', async () => {
    await role(['postgres', 'root'])
    await delivered('due')
    access.clock.advance(HOUR / 4)
    expect(await moves({ at: access.clock.now() })).toMatchObject(CHANGED)
  })

  test('counts when what was sent anew says the same', async () => {
    await delivered()
    expect(await moves()).toMatchObject({ kind: 'done' })
  })
})

describe('an answer that says what it saw', () => {
  test('is about that, even when it is not what stands there now', async () => {
    const old = await delivered()
    await role(['postgres', 'root'])
    const now = await delivered()
    expect(await moves({ shown: old })).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('changed since'),
    })
    expect(await moves({ shown: now })).toMatchObject({ kind: 'done' })
  })

  test('is about nothing when that was another message', async () => {
    await delivered()
    const other = (await access.ask('alice', ['dba'], { duration: HOUR / 2, reason: 'other' })).id
    await chat.message(other, integration)
    expect(await moves({ shown: await newest() })).toMatchObject({
      kind: 'refused',
      text: expect.stringContaining('no request'),
    })
  })
})
