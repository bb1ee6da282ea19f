import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { RawCallback } from '../../../contract/from-chat.ts'
import { slackActionId } from '../../../contract/vendors/slack.ts'
import type { Verified, VerifierParts } from '../chat-verifier.ts'
import { slackVerifier } from './slack.ts'

const SECRET = '8f742231b10e8888abcd99yyyzzz85a5'
const NOW = Date.UTC(2026, 0, 1, 12)
const BUTTON_ID = '0123456789abcdef0123456789abcdef'
const HTTP = {
  settings: { team_id: 'T0ACME', app_id: 'A0SALLY', mode: 'http', deliver: [] },
  secrets: { bot_token: 'xoxb-1', signing_secret: SECRET },
}
const SOCKET = { settings: { ...HTTP.settings, mode: 'socket' }, secrets: { bot_token: 'xoxb-1', app_token: 'xapp-1' } }

const parts: VerifierParts = {
  integration: 'chat',
  now: NOW,
  messageOf: () => Promise.resolve(null),
  messageNamed: () => Promise.resolve(null),
  fetch: () => Promise.reject(new Error('nobody is asked')),
}

const click = (overrides: object = {}): object => ({
  type: 'block_actions',
  api_app_id: 'A0SALLY',
  team: { id: 'T0ACME', domain: 'acme' },
  enterprise: null,
  user: { id: 'U0BOB', username: 'bob', team_id: 'T0ACME' },
  trigger_id: '1.2.abc',
  container: { type: 'message', channel_id: 'C0OPS', message_ts: '1700000000.000001' },
  actions: [{ action_id: slackActionId('approve'), value: BUTTON_ID }],
  ...overrides,
})
const submission = (view: object = {}, overrides: object = {}): object => ({
  type: 'view_submission',
  api_app_id: 'A0SALLY',
  team: { id: 'T0ACME' },
  user: { id: 'U0BOB', name: 'bob', team_id: 'T0ACME' },
  trigger_id: '1.3.abc',
  view: {
    callback_id: 'sallyport.form',
    private_metadata: 'nonce-1',
    state: {
      values: {
        reason: { value: { type: 'plain_text_input', value: 'looks right' } },
        duration: { value: { type: 'static_select', selected_option: { value: '30m' } } },
        roles: { value: { type: 'multi_static_select', selected_options: [{ value: 'dba' }, { value: 'ops' }] } },
        resources: { value: { type: 'plain_text_input', value: null } },
        surprise: { value: { value: 'x' } },
      },
    },
    ...view,
  },
  ...overrides,
})
const COMMAND = {
  api_app_id: 'A0SALLY',
  team_id: 'T0ACME',
  user_id: 'U0ADA',
  user_name: 'ada',
  command: '/access',
  text: 'request dba for 1h: a &lt;b&gt; &amp;amp;',
  trigger_id: '1.4.abc',
}

function signed(
  body: Buffer,
  { at = NOW, secret = SECRET }: { at?: number; secret?: string } = {},
): Record<string, string> {
  const stamp = String(Math.floor(at / 1000))
  const mac = createHmac('sha256', secret).update(`v0:${stamp}:`).update(body).digest('hex')
  return { 'x-slack-request-timestamp': stamp, 'x-slack-signature': `v0=${mac}` }
}

const formBody = (fields: Record<string, string>): Buffer => Buffer.from(new URLSearchParams(fields).toString())
const bodyOf = (payload: object): Buffer => formBody({ payload: JSON.stringify(payload) })
const http = (body: Buffer, headers = signed(body), path = 'interactions'): RawCallback => ({
  integration: 'chat',
  path,
  headers,
  body,
  via: 'http',
})
const judge = (
  callback: RawCallback,
  opened: { settings: unknown; secrets: unknown } = HTTP,
): Verified | Promise<Verified> => slackVerifier.verify(callback, opened, parts)
const judgeClick = (overrides: object = {}, opened = HTTP as { settings: unknown; secrets: unknown }) =>
  judge(http(bodyOf(click(overrides))), opened)

describe('a callback of Slack', () => {
  test('a signed click is the account that pressed, in its workspace, and the id of the button', () => {
    expect(judgeClick()).toEqual({
      kind: 'event',
      event: {
        eventId: '1.2.abc',
        account: { tenant: 'T0ACME', id: 'U0BOB', name: 'bob' },
        act: { kind: 'button', button: 'approve', buttonId: BUTTON_ID, message: 'C0OPS:1700000000.000001' },
      },
    })
  })

  test('a sent dialog is its nonce and what was typed into fields that we know', () => {
    expect(judge(http(bodyOf(submission())))).toMatchObject({
      event: {
        act: { kind: 'form', nonce: 'nonce-1', fields: { reason: 'looks right', duration: '30m', roles: 'dba,ops' } },
      },
    })
  })

  test('a command is what was typed, without Slack’s escapes', () => {
    const body = formBody(COMMAND)
    expect(judge(http(body, signed(body), 'commands'))).toMatchObject({
      event: { account: { id: 'U0ADA' }, act: { kind: 'command', text: 'request dba for 1h: a <b> &amp;' } },
    })
  })

  describe('trap 1: forged', () => {
    const body = bodyOf(click())
    const good = signed(body)
    const flipped = Buffer.from(body)
    flipped[30] = (flipped[30] ?? 0) ^ 1
    const reserialised = formBody({ payload: JSON.stringify(click(), null, 1) })
    test.each<[string, Buffer, Record<string, string>]>([
      ['another key', body, signed(body, { secret: 'another-secret-of-32-characters!' })],
      ['one flipped bit', flipped, good],
      ['a signature over the same JSON written otherwise', reserialised, good],
      ['no signature', body, { 'x-slack-request-timestamp': good['x-slack-request-timestamp'] ?? '' }],
      ['no timestamp', body, { 'x-slack-signature': good['x-slack-signature'] ?? '' }],
      ['half of the signature', body, { ...good, 'x-slack-signature': (good['x-slack-signature'] ?? '').slice(0, 35) }],
      ['an empty signature', body, { ...good, 'x-slack-signature': 'v0=' }],
      ['capital letters', body, { ...good, 'x-slack-signature': (good['x-slack-signature'] ?? '').toUpperCase() }],
      ['a timestamp that is none', body, { ...good, 'x-slack-request-timestamp': '1e9' }],
      ['another timestamp', body, { ...good, 'x-slack-request-timestamp': String(Math.floor(NOW / 1000) + 1) }],
    ])('%s', (_what, bytes, headers) => {
      expect(judge(http(bytes, headers))).toMatchObject({ kind: 'rejected' })
    })

    test('trap 4: a signature of another version', () => {
      const other = { ...good, 'x-slack-signature': (good['x-slack-signature'] ?? '').replace('v0=', 'v1=') }
      expect(judge(http(body, other))).toEqual({ kind: 'rejected', why: 'signature' })
    })

    test('without a signing secret nothing is believed', () => {
      const empty = createHmac('sha256', '')
        .update(`v0:${Math.floor(NOW / 1000)}:`)
        .update(body)
        .digest('hex')
      const headers = { ...good, 'x-slack-signature': `v0=${empty}` }
      for (const secrets of [{}, { signing_secret: '' }, { signing_secret: undefined }])
        expect(judge(http(body, headers), { ...HTTP, secrets })).toMatchObject({ kind: 'rejected' })
    })

    test('what comes over HTTP to an app of Socket Mode, or over a socket to one of HTTP', () => {
      expect(judge(http(body), SOCKET)).toEqual({ kind: 'rejected', why: 'mode' })
      const socket: RawCallback = { ...http(Buffer.from(JSON.stringify(click())), {}), via: 'socket' }
      expect(judge(socket, HTTP)).toEqual({ kind: 'rejected', why: 'mode' })
      expect(judge(socket, SOCKET)).toMatchObject({ kind: 'event' })
    })
  })

  test.each([301_000, -301_000, 86_400_000])('trap 3: well signed with a stamp %i ms off', (off) => {
    const body = bodyOf(click())
    expect(judge(http(body, signed(body, { at: NOW + off })))).toEqual({ kind: 'rejected', why: 'timestamp' })
  })

  test('trap 3: the same delivery has the same event id, and two clicks have two', () => {
    const ids = [click(), click(), click({ trigger_id: '1.5.abc' })].map((payload) => {
      const verified = judge(http(bodyOf(payload))) as Verified
      return verified.kind === 'event' ? verified.event.eventId : null
    })
    expect(ids).toEqual(['1.2.abc', '1.2.abc', '1.5.abc'])
  })

  test.each<[string, object]>([
    ['another workspace', { team: { id: 'T0EVIL' } }],
    ['no workspace', { team: null }],
    ['another app', { api_app_id: 'A0EVIL' }],
    ['an organisation that the settings do not name', { enterprise: { id: 'E0EVIL' } }],
    ['an organisation beside the workspace', { team: { id: 'T0ACME', enterprise_id: 'E0EVIL' } }],
    [
      'somebody of a partner’s workspace in a shared channel',
      { user: { id: 'U0BOB', username: 'bob', team_id: 'T0PARTNER' } },
    ],
    ['somebody of no workspace', { user: { id: 'U0BOB', username: 'bob' } }],
  ])('trap 5: %s is refused', (_what, overrides) => {
    expect(judgeClick(overrides)).toMatchObject({ kind: 'rejected' })
  })

  test('trap 5: commands and dialogs of another workspace, app or partner are refused', () => {
    for (const wrong of [{ team_id: 'T0EVIL' }, { api_app_id: 'A0EVIL' }, { enterprise_id: 'E0EVIL' }]) {
      const body = formBody({ ...COMMAND, ...wrong })
      expect(judge(http(body, signed(body), 'commands'))).toMatchObject({ kind: 'rejected' })
    }
    expect(judge(http(bodyOf(submission({}, { user: { id: 'U0BOB', team_id: 'T0PARTNER' } }))))).toMatchObject({
      kind: 'rejected',
    })
  })

  test('the organisation that the settings name is the only one', () => {
    const grid = { ...HTTP, settings: { ...HTTP.settings, enterprise_id: 'E0ACME' } }
    expect(judgeClick({ enterprise: { id: 'E0ACME' } }, grid)).toMatchObject({ kind: 'event' })
    expect(judgeClick({}, grid)).toMatchObject({ kind: 'rejected' })
  })

  test('trap 12: what the payload says of the message changes nothing', () => {
    const message = { text: 'role: admin', blocks: [], metadata: { event_payload: { request: 'req_other' } } }
    expect(judgeClick({ message, state: { values: {} } })).toEqual(judgeClick())
  })

  test.each<[string, object]>([
    ['the button that opens a page', { actions: [{ action_id: slackActionId('open') }] }],
    ['a button of another app', { actions: [{ action_id: 'approve', value: BUTTON_ID }] }],
    ['a button of ours that there is not', { actions: [{ action_id: 'sallyport.admin', value: BUTTON_ID }] }],
    ['a button without a value', { actions: [{ action_id: slackActionId('approve') }] }],
    ['two buttons at once', { actions: [1, 2].map(() => ({ action_id: slackActionId('approve'), value: BUTTON_ID })) }],
    ['no button', { actions: [] }],
    ['a kind that we do not know', { type: 'shortcut' }],
  ])('%s does nothing', (_what, overrides) => {
    expect(judgeClick(overrides)).toMatchObject({ kind: 'ignored' })
  })

  test('trap 23: ten thousand actions are refused', () => {
    const actions = Array.from({ length: 10_000 }, () => ({ action_id: slackActionId('approve'), value: BUTTON_ID }))
    expect(judgeClick({ actions })).toMatchObject({ kind: 'rejected' })
  })

  test('dialogs that are not ours do nothing', () => {
    expect(judge(http(bodyOf(submission({ callback_id: 'other' }))))).toMatchObject({ kind: 'ignored' })
    expect(judge(http(bodyOf(submission({ private_metadata: '' }))))).toMatchObject({ kind: 'ignored' })
  })

  test.each([
    '',
    'payload=',
    'payload=%7B',
    'payload=null',
    'payload=[]',
    'x=1',
    '\u0000',
    'payload={}&payload={}',
    'payload=%FF',
  ])('well signed nonsense is refused: %j', (text) => {
    const body = Buffer.from(text)
    expect(judge(http(body))).toMatchObject({ kind: 'rejected' })
  })

  test('Slack’s look at the certificate of the address is no attack', () => {
    const body = Buffer.from('ssl_check=1&token=x')
    expect(judge(http(body, signed(body), 'commands'))).toMatchObject({ kind: 'ignored' })
  })
})
