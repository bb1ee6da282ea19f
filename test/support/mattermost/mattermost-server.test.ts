import { expect, onTestFinished, test } from 'vitest'
import { readTrigger, isTriggerOf } from '../../../src/formats/mattermost-proof.ts'
import { anIntegration } from './an-integration.ts'
import type { Channel } from './house.ts'
import { buttonsOf, type MattermostPerson } from './mattermost-person.ts'
import { startMattermost, type Mattermost } from './mattermost-server.ts'

// The stand-in refuses what Mattermost refuses, and does what surprises about it.

interface Scene {
  readonly mattermost: Mattermost
  readonly bob: MattermostPerson
  readonly channel: Channel
  asBot(method: string, path: string, body?: unknown): Promise<{ status: number; body: Record<string, unknown> }>
}

async function scene(now?: () => number): Promise<Scene> {
  const mattermost = await startMattermost({ ...(now ? { now } : {}), triggerLifeMs: 3000 })
  onTestFinished(() => mattermost[Symbol.asyncDispose]())
  const bob = mattermost.person('bob')
  const channel = mattermost.channel('P', [bob])
  return {
    mattermost,
    bob,
    channel,
    async asBot(method, path, body) {
      const answer = await fetch(`${mattermost.url}/api/v4${path}`, {
        method,
        headers: { authorization: `Bearer ${mattermost.bot.token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
      return { status: answer.status, body: (await answer.json()) as Record<string, unknown> }
    },
  }
}

const withButton = (channel: Channel, url: string, more: object = {}): object => ({
  channel_id: channel.id,
  message: 'press',
  props: {
    attachments: [
      {
        fallback: 'press',
        actions: [
          { id: 'approve', type: 'button', name: 'Approve', integration: { url, context: { secret: 'kept' } } },
        ],
      },
    ],
  },
  ...more,
})

async function pressed(here: Scene, url: string): Promise<string> {
  const { body } = await here.asBot('POST', '/posts', withButton(here.channel, url))
  return String(body['id'])
}

test('a token that nobody has is refused', async () => {
  const { mattermost } = await scene()
  const answer = await fetch(`${mattermost.url}/api/v4/users/me`, { headers: { authorization: 'Bearer nobody' } })
  expect(answer.status).toBe(401)
})

test('a post is refused with an id of an action that is not letters and digits, an unknown key, or more text than fits', async () => {
  const { asBot, channel } = await scene()
  const post = withButton(channel, 'http://127.0.0.1:9/x')
  const wrongId = JSON.parse(JSON.stringify(post).replace('"id":"approve"', '"id":"approve-1"')) as object
  expect((await asBot('POST', '/posts', wrongId)).status).toBe(400)
  expect((await asBot('POST', '/posts', { ...post, file: 'x' })).status).toBe(400)
  expect((await asBot('POST', '/posts', { ...post, message: 'x'.repeat(16_384) })).status).toBe(400)
  expect((await asBot('POST', '/posts', { ...post, channel_id: 'town-square' })).status).toBe(400)
  expect((await asBot('POST', '/posts', post)).status).toBe(201)
})

test('a post into a channel without the bot, into a deleted one, or under a post of another channel is refused', async () => {
  const { asBot, channel, mattermost, bob } = await scene()
  const other = mattermost.channel('O', [bob], 'other')
  const there = await asBot('POST', '/posts', { channel_id: other.id, message: 'root' })
  const wrongRoot = { channel_id: channel.id, message: 'x', root_id: there.body['id'] }
  expect(await asBot('POST', '/posts', wrongRoot)).toMatchObject({ status: 400, body: { status_code: 400 } })
  other.members.delete(mattermost.bot.id)
  expect((await asBot('POST', '/posts', { channel_id: other.id, message: 'x' })).status).toBe(403)
  channel.deleteAt = 1
  expect((await asBot('POST', '/posts', { channel_id: channel.id, message: 'x' })).status).toBe(400)
})

test('the same pending_post_id is one post for 30 seconds, and another one after that', async () => {
  let now = 1_000_000
  const { asBot, channel } = await scene(() => now)
  const send = async (): Promise<unknown> =>
    (await asBot('POST', '/posts', { channel_id: channel.id, message: 'x', pending_post_id: 'once' })).body['id']
  const first = await send()
  now += 29_000
  expect(await send()).toBe(first)
  now += 2000
  expect(await send()).not.toBe(first)
})

test('where a button goes and what it brings never reaches a client', async () => {
  const here = await scene()
  const id = await pressed(here, 'http://127.0.0.1:9/secret-path')
  const seen = JSON.stringify((await here.bob.call('GET', `/posts/${id}`)).body)
  expect(seen).toContain('Approve')
  expect(seen).not.toMatch(/secret|kept|integration/)
})

test('an integration is told who pressed and where, without a signature, and any status but 200 is an error for the person', async () => {
  const here = await scene()
  await using integration = await anIntegration()
  const id = await pressed(here, `${integration.url}/actions`)
  integration.answer = () => ({ status: 202, body: '{}' })
  expect((await here.bob.press(id, 'Approve')).status).toBe(400)
  integration.answer = () => ({ status: 200, body: '{"ephemeral_text":"for you"}' })
  expect((await here.bob.press(id, 'Approve')).status).toBe(200)
  expect(here.bob.whispers()).toEqual(['for you'])
  const [call] = integration.got
  expect(JSON.parse(call?.body ?? '')).toMatchObject({ user_id: here.bob.id, post_id: id, context: { secret: 'kept' } })
  expect(call?.headers['authorization']).toBeUndefined()
})

test('an answer with props null leaves live buttons, and one with {} clears them', async () => {
  const here = await scene()
  await using integration = await anIntegration()
  const id = await pressed(here, `${integration.url}/actions`)
  const buttons = (): string[] => {
    const post = here.mattermost.house.posts.get(id)
    return post ? buttonsOf(post) : []
  }
  integration.answer = () => ({ status: 200, body: '{"update":{"message":"done","props":null}}' })
  await here.bob.press(id, 'Approve')
  expect(buttons()).toEqual(['Approve'])
  integration.answer = () => ({ status: 200, body: '{"update":{"message":"done","props":{}}}' })
  await here.bob.press(id, 'Approve')
  expect(buttons()).toEqual([])
})

test('a patch without props keeps the buttons, and one of a post that is gone is answered as one that is forbidden', async () => {
  const here = await scene()
  const id = await pressed(here, 'http://127.0.0.1:9/x')
  const { body } = await here.asBot('PUT', `/posts/${id}/patch`, { message: 'changed' })
  expect(JSON.stringify(body)).toContain('Approve')
  here.mattermost.house.posts.delete(id)
  expect((await here.asBot('PUT', `/posts/${id}/patch`, { message: 'again' })).status).toBe(403)
  expect((await here.asBot('GET', `/posts/${id}`)).status).toBe(404)
})

test('a form opens with a trigger id that the server signed for this click, for a few seconds, and with no other', async () => {
  let now = 1_000_000
  const here = await scene(() => now)
  await using integration = await anIntegration()
  const id = await pressed(here, `${integration.url}/actions`)
  await here.bob.press(id, 'Approve')
  const { trigger_id } = JSON.parse(integration.got[0]?.body ?? '') as { trigger_id: string }
  const open = (trigger: string): Promise<{ status: number }> =>
    here.asBot('POST', '/actions/dialogs/open', {
      trigger_id: trigger,
      url: `${integration.url}/dialogs`,
      dialog: { callback_id: 'c', title: 'Approve', elements: [], state: 's' },
    })
  const text = Buffer.from(trigger_id, 'base64').toString()
  const asAnother = Buffer.from(text.replace(here.bob.id, 'z'.repeat(26))).toString('base64')
  expect((await open(asAnother)).status).toBe(400)
  expect((await open('bm9uc2Vuc2U=')).status).toBe(400)
  expect((await open(trigger_id)).status).toBe(200)
  now += 3001
  expect((await open(trigger_id)).status).toBe(400)
  expect(readTrigger(trigger_id)).toMatchObject({ userId: here.bob.id, at: 1_000_000 })
  expect(isTriggerOf(here.mattermost.house.triggers.publicKey, trigger_id)).toBe(true)
  expect(isTriggerOf(here.mattermost.house.triggers.publicKey, asAnother)).toBe(false)
})

test('a form with a long title, a long help text, a list without entries or an unknown kind of field is refused', async () => {
  const here = await scene()
  const open = async (dialog: object): Promise<number> => {
    const trigger_id = here.mattermost.house.triggers.make(here.bob.id, here.mattermost.house.now())
    const whole = { callback_id: 'c', title: 'Approve', elements: [], state: 's', ...dialog }
    return (
      await here.asBot('POST', '/actions/dialogs/open', { trigger_id, url: 'http://127.0.0.1:9/', dialog: whole })
    ).status
  }
  const field = { display_name: 'Reason', name: 'reason', type: 'textarea' }
  expect(await open({ elements: [field] })).toBe(200)
  expect(await open({ title: 'x'.repeat(25) })).toBe(400)
  expect(await open({ elements: [{ ...field, help_text: 'x'.repeat(151) }] })).toBe(400)
  expect(await open({ elements: [{ ...field, type: 'select', options: [] }] })).toBe(400)
  expect(await open({ elements: [{ ...field, type: 'date' }] })).toBe(400)
})

test('anybody may have the server post a form of their own making anywhere, and only the user is its own word', async () => {
  const here = await scene()
  await using integration = await anIntegration()
  const answer = await here.bob.call('POST', '/actions/dialogs/submit', {
    url: `${integration.url}/dialogs`,
    callback_id: 'made up',
    state: 'made up',
    user_id: 'z'.repeat(26),
    submission: { reason: 'x' },
    channel_id: here.channel.id,
    team_id: '',
  })
  expect(answer.status).toBe(200)
  const got = JSON.parse(integration.got[0]?.body ?? '') as object
  expect(got).toMatchObject({ type: 'dialog_submission', state: 'made up', user_id: here.bob.id })
})

test('a slash command brings its token in a form and in a header', async () => {
  const here = await scene()
  await using integration = await anIntegration()
  const token = here.mattermost.command(`${integration.url}/commands`)
  integration.answer = () => ({ status: 200, body: '{"response_type":"ephemeral","text":"yours"}' })
  expect((await here.bob.type(here.channel.id, '/access mine please')).status).toBe(200)
  const [call] = integration.got
  const form = new URLSearchParams(call?.body)
  expect(form.get('token')).toBe(token)
  expect(form.get('text')).toBe('mine please')
  expect(call?.headers['authorization']).toBe(`Token ${token}`)
  expect(here.bob.whispers()).toEqual(['yours'])
})

test('an ephemeral post takes a permission that bots do not have', async () => {
  const here = await scene()
  const whisper = { user_id: here.bob.id, post: { channel_id: here.channel.id, message: 'x' } }
  expect((await here.asBot('POST', '/posts/ephemeral', whisper)).status).toBe(403)
  here.mattermost.bot.permissions.add('create_post_ephemeral')
  expect((await here.asBot('POST', '/posts/ephemeral', whisper)).status).toBe(201)
})

test('a fault stands instead of an answer, and `after` does what was asked all the same', async () => {
  const here = await scene()
  here.mattermost.fault = () => ({ status: 429, headers: { 'retry-after': '30' } })
  const limited = await here.asBot('POST', '/posts', { channel_id: here.channel.id, message: 'x' })
  expect(limited.status).toBe(429)
  here.mattermost.fault = () => ({ cut: true, after: true })
  await expect(here.asBot('POST', '/posts', { channel_id: here.channel.id, message: 'y' })).rejects.toThrow(
    'fetch failed',
  )
  expect(here.mattermost.house.posts.ofChannel(here.channel.id).map((post) => post.message)).toEqual(['y'])
})

test('posts of a channel come newest first, in pages of at most 200, by change only without pages, and to members alone', async () => {
  let now = Date.now()
  const here = await scene(() => now)
  const path = `/channels/${here.channel.id}/posts`
  const ids: unknown[] = []
  for (const message of ['a', 'b', 'c']) {
    now += 1000
    ids.push((await here.asBot('POST', '/posts', { channel_id: here.channel.id, message })).body['id'])
  }
  const order = async (query: string) => (await here.asBot('GET', `${path}?${query}`)).body['order']
  expect(await order('per_page=2')).toEqual([ids[2], ids[1]])
  expect(await order(`per_page=2&before=${String(ids[1])}`)).toEqual([ids[0]])
  here.mattermost.house.posts.delete(String(ids[0]))
  expect(await order('per_page=60')).toEqual([ids[2], ids[1]])
  expect(await order(`since=${now - 500}`)).toEqual([ids[2], ids[0]])
  for (const query of ['per_page=201', 'per_page=ten', `since=${now}&per_page=60`, 'onceId=x'])
    expect((await here.asBot('GET', `${path}?${query}`)).status).toBe(400)
  const eve = here.mattermost.person('eve')
  expect((await eve.call('GET', path)).status).toBe(403)
})
