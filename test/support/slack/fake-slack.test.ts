import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '../manual-clock.ts'
import { FakeSlack } from './fake-slack.ts'

let slack: FakeSlack
const clock = new ManualClock()
beforeAll(async () => {
  slack = await FakeSlack.start({ mode: 'http', now: () => clock.now() })
  slack.workspace.addUser('U0BOB', 'bob')
  slack.workspace.addChannel('C0OPS', ['U0BOB'])
})
afterAll(() => slack?.stop())

type Reply = {
  status: number
  retryAfter: string | null
  body: { ok: boolean; error?: string; [key: string]: unknown }
}

async function call(
  method: string,
  args: Record<string, unknown>,
  options: { token?: string; as?: 'form' | 'json' | 'get' } = {},
): Promise<Reply> {
  const { token = slack.botToken, as = 'form' } = options
  const authorization = token === '' ? {} : { authorization: `Bearer ${token}` }
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(args))
    form.append(name, typeof value === 'string' ? value : JSON.stringify(value))
  const response =
    as === 'get'
      ? await fetch(`${slack.apiUrl}${method}?${form.toString()}`, { headers: authorization })
      : await fetch(`${slack.apiUrl}${method}`, {
          method: 'POST',
          headers: {
            ...authorization,
            'content-type': as === 'json' ? 'application/json' : 'application/x-www-form-urlencoded',
          },
          body: as === 'json' ? JSON.stringify(args) : form.toString(),
        })
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Reply['body'],
  }
}

const plain = (text: string) => ({ type: 'plain_text', text })
const section = (text: string) => ({ type: 'section', text: plain(text) })
const post = (more: Record<string, unknown>) =>
  call('chat.postMessage', { channel: 'C0OPS', text: 'x', unfurl_links: false, unfurl_media: false, ...more })
const button = (more: object = {}) => ({ type: 'button', action_id: 'a', text: plain('x'), ...more })

describe('the stand-in for Slack', () => {
  test.each(['form', 'json', 'get'] as const)('takes arguments by %s', async (as) => {
    expect((await call('conversations.info', { channel: 'C0OPS' }, { as })).body.ok).toBe(true)
  })

  test('refuses no token, another token, and the token of the other kind, with HTTP 200', async () => {
    expect(await call('auth.test', {}, { token: '' })).toMatchObject({ status: 200, body: { error: 'not_authed' } })
    expect(await call('auth.test', {}, { token: 'xoxb-1' })).toMatchObject({
      status: 200,
      body: { error: 'invalid_auth' },
    })
    expect((await call('auth.test', {}, { token: slack.appToken })).body.error).toBe('not_allowed_token_type')
    expect((await call('apps.connections.open', {})).body.error).toBe('not_allowed_token_type')
  })

  test.each<[string, Record<string, unknown>, string]>([
    ['a channel that there is not', { channel: 'C0NONE' }, 'channel_not_found'],
    ['the name of a channel', { channel: '#ops' }, 'channel_not_found'],
    ['no text', { text: '' }, 'no_text'],
    ['a parameter that turns texts into mentions', { link_names: 'true' }, 'invalid_arguments'],
    ['unfurling', { unfurl_links: true }, 'invalid_arguments'],
    ['a thread that there is not', { thread_ts: '1700000000.000001' }, 'thread_not_found'],
    ['blocks that are no JSON', { blocks: '[' }, 'invalid_blocks'],
    ['51 blocks', { blocks: Array.from({ length: 51 }, () => section('x')) }, 'invalid_blocks'],
    ['a section of 3001 characters', { blocks: [section('x'.repeat(3001))] }, 'invalid_blocks'],
    ['an empty section', { blocks: [section('')] }, 'invalid_blocks'],
    ['a header of 151', { blocks: [{ type: 'header', text: plain('x'.repeat(151)) }] }, 'invalid_blocks'],
    ['a header of mrkdwn', { blocks: [{ type: 'header', text: { type: 'mrkdwn', text: 'x' } }] }, 'invalid_blocks'],
    [
      'eleven fields',
      { blocks: [{ type: 'section', fields: Array.from({ length: 11 }, () => plain('x')) }] },
      'invalid_blocks',
    ],
    [
      'a label of 76',
      { blocks: [{ type: 'actions', elements: [button({ text: plain('x'.repeat(76)) })] }] },
      'invalid_blocks',
    ],
    [
      'a value of 2001',
      { blocks: [{ type: 'actions', elements: [button({ value: 'x'.repeat(2001) })] }] },
      'invalid_blocks',
    ],
    [
      '26 buttons',
      { blocks: [{ type: 'actions', elements: Array.from({ length: 26 }, (_, n) => button({ action_id: `${n}` })) }] },
      'invalid_blocks',
    ],
    ['an action id twice', { blocks: [{ type: 'actions', elements: [button(), button()] }] }, 'invalid_blocks'],
    ['another style', { blocks: [{ type: 'actions', elements: [button({ style: 'green' })] }] }, 'invalid_blocks'],
    [
      'an input in a message',
      {
        blocks: [
          { type: 'input', block_id: 'b', label: plain('x'), element: { type: 'plain_text_input', action_id: 'a' } },
        ],
      },
      'invalid_blocks',
    ],
    ['half a character', { blocks: [section('\ud83d')] }, 'invalid_blocks'],
    [
      'more text than all blocks may have',
      { blocks: Array.from({ length: 5 }, () => section('x'.repeat(3000))) },
      'msg_blocks_too_long',
    ],
  ])('refuses %s', async (_what, args, error) => {
    expect((await post(args)).body).toMatchObject({ ok: false, error })
  })

  test('refuses archived channels, channels it is not in, people who left, and messages that are gone', async () => {
    slack.workspace.addChannel('C0OLD').archived = true
    slack.workspace.addChannel('C0OUT').botIsIn = false
    slack.workspace.addUser('U0GONE', 'gone').disabled = true
    expect((await post({ channel: 'C0OLD' })).body.error).toBe('is_archived')
    expect((await post({ channel: 'C0OUT' })).body.error).toBe('not_in_channel')
    expect((await call('conversations.open', { users: 'U0GONE' })).body.error).toBe('user_disabled')
    expect((await call('chat.update', { channel: 'C0OPS', ts: '1700000000.000001', text: 'x' })).body.error).toBe(
      'message_not_found',
    )
    expect((await call('chat.postEphemeral', { channel: 'C0OPS', user: 'U0GONE', text: 'x' })).body.error).toBe(
      'user_not_in_channel',
    )
  })

  test('opens one dialog for a trigger, within three seconds', async () => {
    const view = { type: 'modal', title: plain('x'), submit: plain('x'), blocks: [section('x')] }
    const open = (trigger: string, more: object = {}) =>
      call('views.open', { trigger_id: trigger, view: { ...view, ...more } })
    const trigger = slack.workspace.newTrigger('U0BOB')
    expect((await open(trigger)).body.ok).toBe(true)
    expect((await open(trigger)).body.error).toBe('exchanged_trigger_id')
    expect((await open('1.2.3')).body.error).toBe('invalid_trigger_id')
    const late = slack.workspace.newTrigger('U0BOB')
    clock.advance(3001)
    expect((await open(late)).body.error).toBe('expired_trigger_id')
    expect((await open(slack.workspace.newTrigger('U0BOB'), { title: plain('x'.repeat(25)) })).body.error).toBe(
      'invalid_arguments',
    )
    const input = {
      type: 'input',
      block_id: 'b',
      label: plain('x'),
      element: { type: 'static_select', action_id: 'a', options: [] },
    }
    expect((await open(slack.workspace.newTrigger('U0BOB'), { blocks: [input] })).body.error).toBe('invalid_arguments')
  })

  test('answers 429 with the seconds to wait: one message a second for each channel, and tiers', async () => {
    slack.api.rates = true
    clock.advance(60_000)
    expect((await post({})).body.ok).toBe(true)
    expect(await post({})).toMatchObject({ status: 429, retryAfter: '1', body: { error: 'ratelimited' } })
    clock.advance(1000)
    expect((await post({})).body.ok).toBe(true)
    const answers = await Promise.all(Array.from({ length: 21 }, () => call('users.list', {})))
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(1)
    slack.api.rates = false
  })

  test('tells history page by page, without lines of threads, and metadata where it is asked for', async () => {
    slack.workspace.addChannel('C0HIST', ['U0BOB'], { private: false })
    const mark = { event_type: 'a_mark', event_payload: { once: '1' } }
    const sent: string[] = []
    for (let count = 0; count < 3; count++) {
      clock.advance(1000)
      sent.push(String((await post({ channel: 'C0HIST', metadata: mark })).body['ts']))
    }
    const [first = '', second = '', third = ''] = sent
    const line = await post({ channel: 'C0HIST', thread_ts: first })
    const history = async (more: object) => {
      const { body } = await call('conversations.history', { channel: 'C0HIST', oldest: '0', ...more })
      const messages = body['messages'] as { ts: string; metadata?: object }[]
      const metadata = body['response_metadata'] as { next_cursor?: string } | undefined
      return { messages, times: messages.map(({ ts }) => ts), cursor: metadata?.next_cursor ?? '' }
    }
    const page = await history({ limit: 2 })
    expect(page.times).toEqual([third, second])
    expect(page.messages[0]?.metadata).toBeUndefined()
    const last = await history({ limit: 2, cursor: page.cursor, include_all_metadata: 'true' })
    expect(last).toMatchObject({ times: [first], cursor: '', messages: [{ metadata: mark }] })
    expect((await history({ oldest: second })).times).toEqual([third])
    const replies = await call('conversations.replies', { channel: 'C0HIST', ts: first, oldest: '0' })
    expect((replies.body['messages'] as { ts: string }[]).map(({ ts }) => ts)).toEqual([first, line.body['ts']])
  })

  test('refuses to tell history that it need not tell', async () => {
    slack.workspace.addChannel('C0HID', [], { private: true })
    slack.workspace.addChannel('C0NOTIN', [], { private: false }).botIsIn = false
    const history = async (more: object): Promise<string | undefined> =>
      (await call('conversations.history', { channel: 'C0HIST', oldest: '0', ...more })).body.error
    expect(await history({ channel: 'C0NONE' })).toBe('channel_not_found')
    expect(await history({ channel: 'C0NOTIN' })).toBe('not_in_channel')
    expect(await history({ limit: '1000' })).toBe('invalid_arguments')
    expect(await history({ cursor: '!' })).toBe('invalid_cursor')
    expect(await history({ oldest: 'yesterday' })).toBe('invalid_arguments')
    const replies = { channel: 'C0HIST', oldest: '0' }
    expect((await call('conversations.replies', replies)).body.error).toBe('invalid_arguments')
    expect((await call('conversations.replies', { ...replies, ts: '1700000000.999999' })).body.error).toBe(
      'thread_not_found',
    )
    expect((await post({ metadata: { event_type: 'a mark', event_payload: {} } })).body.error).toBe(
      'invalid_metadata_schema',
    )
    for (const [channel, scope] of [
      ['C0HIST', 'channels:history'],
      ['C0HID', 'groups:history'],
      ['D0BOB', 'im:history'],
    ] as const) {
      slack.api.scopes.delete(scope)
      expect((await call('conversations.history', { channel, oldest: '0' })).body).toMatchObject({
        error: 'missing_scope',
        needed: scope,
      })
      slack.api.scopes.add(scope)
    }
    slack.api.rates = true
    clock.advance(60_000)
    const answers = await Promise.all(
      Array.from({ length: 51 }, () => call('conversations.history', { channel: 'C0HIST', oldest: '0' })),
    )
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(1)
    slack.api.rates = false
  })

  test('a socket opens once for each ticket', async () => {
    const { body } = await call('apps.connections.open', {}, { token: slack.appToken })
    const opened = async (): Promise<boolean> => {
      const ws = new WebSocket(String(body['url']))
      const result = await new Promise<boolean>((resolve) => {
        ws.addEventListener('open', () => resolve(true), { once: true })
        ws.addEventListener('error', () => resolve(false), { once: true })
      })
      ws.close()
      return result
    }
    expect(await opened()).toBe(true)
    expect(await opened()).toBe(false)
  })
})
