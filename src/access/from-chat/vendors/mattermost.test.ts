import { expect, test } from 'vitest'
import { newMattermostId } from '../../../../test/support/mattermost/house.ts'
import { triggerMaker } from '../../../../test/support/mattermost/trigger.ts'
import type { RawCallback } from '../../../contract/from-chat.ts'
import { actionsPath, dialogSeal, signContext } from '../../../formats/mattermost-proof.ts'
import type { KnownMessage, Verified, VerifierParts } from '../chat-verifier.ts'
import { mattermostVerifier } from './mattermost.ts'

const NOW = Date.UTC(2026, 0, 1)
const KEY = 'k'.repeat(43)
const [TEAM, BOT, BOB, EVE, CHANNEL, POST] = Array.from({ length: 6 }, newMattermostId) as [
  string,
  string,
  string,
  string,
  string,
  string,
]
const triggers = triggerMaker(newMattermostId, 30_000)
const TOKEN = 'command-token-1'
const SETTINGS = { url: 'https://chat.example.org', team_id: TEAM, bot_user_id: BOT, site_id: 'site' }
const SECRETS = { bot_token: 'bot-token', command_tokens: ['another-token', TOKEN], context_key: KEY }

const KNOWN: KnownMessage = {
  id: 'msg_1',
  requestId: 'req_1',
  audience: 'channel',
  channel: CHANNEL,
  account: null,
  external: `${CHANNEL}:${POST}`,
}

interface Facts {
  readonly message?: KnownMessage | null
  readonly settings?: object
  readonly secrets?: object
  /** What the server says of a post that we ask for */
  readonly post?: object
}

function verify(path: string, body: string, facts: Facts = {}): Promise<Verified> {
  const callback: RawCallback = { integration: 'chat', path, headers: {}, body: Buffer.from(body), via: 'http' }
  const parts: VerifierParts = {
    integration: 'chat',
    now: NOW,
    messageOf: (id) => Promise.resolve(id === 'b1' ? (facts.message === undefined ? KNOWN : facts.message) : null),
    messageNamed: () => Promise.resolve(null),
    fetch: () =>
      Promise.resolve({
        status: facts.post ? 200 : 404,
        headers: {},
        body: Buffer.from(JSON.stringify(facts.post ?? {})),
      }),
  }
  const opened = { settings: { ...SETTINGS, ...facts.settings }, secrets: { ...SECRETS, ...facts.secrets } }
  return Promise.resolve(mattermostVerifier.verify(callback, opened, parts))
}

const CONTEXT = { button: 'approve', buttonId: 'b1', channel: CHANNEL, until: NOW + 1000 }

function aPress(changed: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const user_id = typeof changed['user_id'] === 'string' ? changed['user_id'] : BOB
  return {
    user_id,
    user_name: 'bob',
    channel_id: CHANNEL,
    channel_name: 'access',
    team_id: TEAM,
    team_domain: 'core',
    post_id: POST,
    trigger_id: triggers.make(user_id, NOW - 100),
    type: '',
    data_source: '',
    context: signContext(KEY, 'chat', CONTEXT),
    ...changed,
  }
}

const press = (changed: Readonly<Record<string, unknown>> = {}, facts: Facts = {}): Promise<Verified> =>
  verify(actionsPath(KEY, 'chat'), JSON.stringify(aPress(changed)), facts)

const whyOf = (verified: Verified): string => (verified.kind === 'event' ? 'believed' : verified.why)

test('a press is believed: who, which button of which rendering, on which post', async () => {
  const verified = await press()
  expect(verified).toMatchObject({
    kind: 'event',
    event: {
      account: { tenant: 'site', id: BOB, name: 'bob' },
      act: { kind: 'button', button: 'approve', buttonId: 'b1', message: `${CHANNEL}:${POST}` },
    },
  })
})

test.each([
  ['mac', { context: {} }],
  ['mac', { context: { ...signContext(KEY, 'chat', CONTEXT), mac: '' } }],
  ['mac', { context: { ...signContext(KEY, 'chat', CONTEXT), button: 'deny' } }],
  ['mac', { context: { ...signContext(KEY, 'chat', CONTEXT), buttonId: 'b2' } }],
  ['mac', { context: signContext('x'.repeat(43), 'chat', CONTEXT) }],
  ['mac', { context: signContext(KEY, 'other', CONTEXT) }],
  ['expired', { context: signContext(KEY, 'chat', { ...CONTEXT, until: NOW }) }],
  ['other_channel', { channel_id: newMattermostId() }],
  ['foreign_post', { post_id: newMattermostId() }],
  ['trigger_of_another', { trigger_id: triggers.make(EVE, NOW) }],
  ['trigger', { trigger_id: 'x' }],
  ['trigger_expired', { trigger_id: triggers.make(BOB, NOW - 601_000) }],
  ['trigger_expired', { trigger_id: triggers.make(BOB, NOW + 301_000) }],
  ['malformed', { user_id: 'bob' }],
  ['malformed', { context: null }],
])('trap 2: a press with what is not ours is rejected (%s)', async (why, changed) => {
  expect(whyOf(await press(changed))).toBe(why)
})

test('trap 2: a button at any other path, with no body, or with bytes that are no text is rejected', async () => {
  const body = JSON.stringify(aPress())
  expect(whyOf(await verify('actions-00', body))).toBe('path')
  expect(whyOf(await verify('actions', body))).toBe('path')
  expect(whyOf(await verify(actionsPath(KEY, 'chat'), ''))).toBe('malformed')
  expect(whyOf(await verify(actionsPath(KEY, 'chat'), '[]'))).toBe('malformed')
  expect(whyOf(await verify(actionsPath(KEY, 'chat'), body, { secrets: { context_key: undefined } }))).toBe('no_key')
})

test('trap 2: a context on a post that is not known is believed only where our bot wrote that post, in that channel', async () => {
  const unknown = { message: { ...KNOWN, external: null } }
  const post = { id: POST, user_id: BOT, channel_id: CHANNEL }
  expect(whyOf(await press({}, { ...unknown, post }))).toBe('believed')
  expect(whyOf(await press({}, { ...unknown, post: { ...post, user_id: EVE } }))).toBe('foreign_post')
  expect(whyOf(await press({}, { ...unknown, post: { ...post, channel_id: newMattermostId() } }))).toBe('foreign_post')
  expect(whyOf(await press({}, unknown))).toBe('foreign_post')
})

test('trap 9: a button of a direct message is its receiver’s alone', async () => {
  const direct = { message: { ...KNOWN, channel: null, account: EVE } }
  expect(whyOf(await press({ team_id: '' }, direct))).toBe('other_person')
  expect(whyOf(await press({ team_id: '', user_id: EVE }, direct))).toBe('believed')
})

test('with the server’s signing key in the settings, a trigger id that it did not sign is nobody’s click', async () => {
  const signed = { settings: { signing_key: triggers.publicKey } }
  expect(whyOf(await press({}, signed))).toBe('believed')
  const forged = triggerMaker(newMattermostId, 30_000).make(BOB, NOW)
  expect(whyOf(await press({ trigger_id: forged }, signed))).toBe('trigger_signature')
})

test('trap 3: the same click is the same event however its trigger id is written, and another click is another', async () => {
  const trigger_id = triggers.make(BOB, NOW)
  const idOf = async (trigger: string): Promise<string> => {
    const verified = await press({ trigger_id: trigger })
    return verified.kind === 'event' ? verified.event.eventId : ''
  }
  const once = await idOf(trigger_id)
  expect(await idOf(trigger_id.replace(/=+$/, ''))).toBe(once)
  expect(await idOf(`${trigger_id}\n`)).toBe(once)
  expect(await idOf(triggers.make(BOB, NOW))).not.toBe(once)
})

test('trap 5: what is pressed or typed in another team is rejected', async () => {
  const other = newMattermostId()
  expect(whyOf(await press({ team_id: other }))).toBe('other_tenant')
  expect(whyOf(await command({ team_id: other }))).toBe('other_tenant')
})

function submit(changed: Readonly<Record<string, unknown>> = {}): Promise<Verified> {
  const callback_id = dialogSeal(KEY, 'chat', 'nonce-1', BOB)
  const submission = { reason: 'fine', duration: '1h' }
  const body = { type: 'dialog_submission', callback_id, state: 'nonce-1', user_id: BOB, submission, cancelled: false }
  return verify('dialogs', JSON.stringify({ ...body, ...changed }))
}

test('a form is believed for its nonce and the user that the server names', async () => {
  expect(await submit()).toMatchObject({
    kind: 'event',
    event: {
      account: { tenant: 'site', id: BOB },
      act: { kind: 'form', nonce: 'nonce-1', fields: { reason: 'fine', duration: '1h' } },
    },
  })
})

test.each([
  ['seal', { state: 'nonce-2' }],
  ['seal', { state: 'guessed', callback_id: 'guessed' }],
  ['seal', { user_id: EVE }],
  ['seal', { callback_id: '' }],
  ['malformed', { type: 'interactive_message' }],
  ['malformed', { submission: { reason: { text: 'x' } } }],
  ['malformed', { submission: 'x' }],
  ['cancelled', { cancelled: true, submission: null }],
])('trap 2: a form that the server was made to post by somebody is not believed (%s)', async (why, changed) => {
  expect(whyOf(await submit(changed))).toBe(why)
})

test('lists, and what is typed beside them, are one value; fields that no form of ours has are left out', async () => {
  const submission = { roles: 'dba', rolesmore: 'ops, dev', approve: 'yes', request_id: 'req_2' }
  const verified = await submit({ submission })
  expect(verified).toMatchObject({ event: { act: { fields: { roles: 'dba,ops, dev' } } } })
  expect(JSON.stringify(verified)).not.toContain('req_2')
})

function command(changed: Readonly<Record<string, string>> = {}): Promise<Verified> {
  const form = {
    token: TOKEN,
    team_id: TEAM,
    user_id: BOB,
    user_name: 'bob',
    text: 'mine',
    trigger_id: triggers.make(BOB, NOW),
    ...changed,
  }
  return verify('commands', new URLSearchParams(form).toString())
}

test('a command is believed for any of its tokens, and for no other', async () => {
  expect(await command()).toMatchObject({ kind: 'event', event: { act: { kind: 'command', text: 'mine' } } })
  expect(whyOf(await command({ token: 'another-token' }))).toBe('believed')
  for (const token of [`${TOKEN}x`, TOKEN.slice(1), 'undefined']) expect(whyOf(await command({ token }))).toBe('token')
  expect(whyOf(await command({ token: '' }))).toBe('malformed')
  expect(whyOf(await command({ trigger_id: triggers.make(EVE, NOW) }))).toBe('trigger_of_another')
})
