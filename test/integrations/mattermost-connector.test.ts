import { randomBytes } from 'node:crypto'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ChatForm, ChatOutcome, FromChat, RawCallback } from '../../src/contract/from-chat.ts'
import type { MessageTask } from '../../src/contract/message.ts'
import { dialogSeal } from '../../src/formats/mattermost-proof.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { outboundConnect, outboundFetch } from '../../src/foundation/outbound-fetch.ts'
import { DeliveryFailed, type Connector } from '../../src/notify/connector.ts'
import { mattermostConnector } from '../../src/notify/mattermost/mattermost-connector.ts'
import { aMessageTask, aRequestView } from '../support/a-request-view.ts'
import { anIntegration } from '../support/mattermost/an-integration.ts'
import type { Channel } from '../support/mattermost/house.ts'
import { buttonsOf, type MattermostPerson } from '../support/mattermost/mattermost-person.ts'
import { startMattermost, type Mattermost } from '../support/mattermost/mattermost-server.ts'
import type { Post } from '../support/mattermost/post-store.ts'

// The connector against a server that is as strict as Mattermost; what a callback means is said by the test.

const KEY = 'k'.repeat(43)
const never = new AbortController().signal

interface Scene {
  readonly mattermost: Mattermost
  readonly bob: MattermostPerson
  readonly channel: Channel
  readonly connector: Connector
  /** What the core answers to the next callbacks */
  outcome: ChatOutcome
  readonly taken: RawCallback[]
  readonly warnings: object[]
  task(overrides?: Partial<MessageTask> & { view?: ReturnType<typeof aRequestView> }): MessageTask
  posts(): Post[]
}

async function scene(options: { readonly now?: () => number; readonly settings?: object } = {}): Promise<Scene> {
  const mattermost = await startMattermost({ triggerLifeMs: 3000, ...(options.now ? { now: options.now } : {}) })
  const integration = await anIntegration()
  onTestFinished(async () => {
    await integration[Symbol.asyncDispose]()
    await mattermost[Symbol.asyncDispose]()
  })
  const bob = mattermost.person('bob')
  const channel = mattermost.channel('P', [bob])
  const { house } = mattermost
  const taken: RawCallback[] = []
  const warnings: object[] = []
  const allowNetworks = ['127.0.0.0/8']
  const connector = mattermostConnector({
    integration: 'chat',
    settings: {
      url: mattermost.url,
      team_id: house.teamId,
      bot_user_id: house.bot.id,
      site_id: house.siteId,
      callback_url: integration.url,
      ...options.settings,
    },
    secrets: { bot_token: house.bot.token, context_key: KEY },
    clock: systemClock,
    log: { ...silentLog, warn: (fields) => void warnings.push(fields) },
    fetch: outboundFetch({ allowNetworks }),
    connect: outboundConnect({ allowNetworks }),
    publicUrl: 'https://access.example.org',
    report: () => {},
  })
  const fromChat: FromChat = {
    take: (callback) => {
      taken.push(callback)
      return Promise.resolve(here.outcome)
    },
  }
  mattermost.command(`${integration.url}/v1/callbacks/chat/commands`)
  integration.serve = async (path, body) => {
    const [, , , name = '', last = ''] = path.split('/')
    const callback: RawCallback = { integration: name, path: last, headers: {}, body: Buffer.from(body), via: 'http' }
    const answer = await connector.receive?.(callback, fromChat, never)
    return { status: answer?.status ?? 404, body: answer?.body ?? '' }
  }
  const here: Scene = {
    mattermost,
    bob,
    channel,
    connector,
    outcome: { kind: 'ignored', why: 'nothing' },
    taken,
    warnings,
    task: (overrides = {}) =>
      aMessageTask({
        destination: { channel: channel.id, person: null },
        onceId: randomBytes(8).toString('hex'),
        ...overrides,
      }),
    posts: () => house.posts.ofChannel(channel.id),
  }
  return here
}

const FORM: ChatForm = {
  kind: 'review',
  nonce: 'nonce-1',
  title: 'Approve the request of alice for dba and others',
  text: ['alice asks for dba: "@all [press](http://evil.example)"'],
  fields: [
    {
      name: 'reason',
      label: 'Reason',
      hint: 'Why',
      required: false,
      initial: null,
      maxLength: 4000,
      multiline: true,
      options: null,
      several: false,
    },
    {
      name: 'duration',
      label: 'For',
      hint: null,
      required: true,
      initial: '1h',
      maxLength: 20,
      multiline: false,
      options: null,
      several: false,
    },
  ],
  submit: 'Approve',
}

async function posted(here: Scene): Promise<string> {
  const external = await here.connector.deliver(here.task(), never)
  return external.split(':')[1] ?? ''
}

test('a request is posted with buttons, and changed in place when it is decided: nothing is left to press', async () => {
  const here = await scene()
  const task = here.task()
  const external = await here.connector.deliver(task, never)
  const [post] = here.posts()
  expect(external).toBe(`${here.channel.id}:${post?.id ?? ''}`)
  expect(post && buttonsOf(post)).toEqual(['Approve', 'Deny'])
  const view = aRequestView({ state: 'approved', resolution: 'approved by bob', needed: [] })
  const decided = here.task({ ...task, external, content: { kind: 'request', view, buttons: ['open'] } })
  expect(await here.connector.deliver(decided, never)).toBe(external)
  expect(here.posts()).toHaveLength(1)
  expect(post && buttonsOf(post)).toEqual([])
  expect(JSON.stringify(post?.props)).toContain('approved by bob')
})

test('a line in the thread hangs on the request’s post, and stands alone when that was deleted', async () => {
  const here = await scene()
  const external = await here.connector.deliver(here.task(), never)
  const notice = { topic: 'request.reviewed', text: 'bob approved', url: null, at: 0 }
  await here.connector.deliver(here.task({ thread: external, content: { kind: 'notice', view: notice } }), never)
  expect(here.posts()[0]).toMatchObject({ root_id: external.split(':')[1], message: 'bob approved' })
  here.mattermost.house.posts.delete(external.split(':')[1] ?? '')
  await here.connector.deliver(here.task({ thread: external, content: { kind: 'notice', view: notice } }), never)
  expect(here.posts()[0]).toMatchObject({ root_id: '' })
})

test('a direct message goes to the linked account, and to nobody without one', async () => {
  const here = await scene()
  const person = { id: 'usr_1', name: 'bob', email: null, account: here.bob.id }
  await here.connector.deliver(here.task({ destination: { channel: null, person } }), never)
  expect(here.bob.direct().map(buttonsOf)).toEqual([['Approve', 'Deny']])
  const nobody = here.task({ destination: { channel: null, person: { ...person, account: null } } })
  await expect(here.connector.deliver(nobody, never)).rejects.toMatchObject({ kind: 'destination' })
  const unknown = here.task({ destination: { channel: null, person: { ...person, account: 'z'.repeat(26) } } })
  await expect(here.connector.deliver(unknown, never)).rejects.toMatchObject({ kind: 'destination' })
})

test('trap 24: an attempt whose answer was lost leaves one post, within half a minute and after it', async () => {
  let now = Date.now()
  const here = await scene({ now: () => now })
  const task = here.task()
  here.mattermost.fault = ({ method }) => (method === 'POST' ? { cut: true, after: true } : null)
  await expect(here.connector.deliver(task, never)).rejects.toThrow()
  here.mattermost.fault = () => null
  // A crash forgets that there was an attempt: the server itself knows the post by its pending id.
  const first = await here.connector.deliver(task, never)
  now += 3_600_000
  const external = (await here.connector.find?.(task, now - 7_200_000, never)) ?? null
  expect(external).toBe(first)
  expect(await here.connector.deliver({ ...task, external, attempt: 2 }, never)).toBe(first)
  expect(here.posts()).toHaveLength(1)
})

describe('trap 24: the post of an attempt whose fate is unknown', () => {
  const AN_HOUR = 3_600_000

  test('is found in a channel, in a direct message and in a thread, however much was said after it', async () => {
    let now = Date.now()
    const here = await scene({ now: () => now })
    const toBob = { channel: null, person: { id: 'u', name: 'bob', email: null, account: here.bob.id } }
    const inChannel = here.task()
    const root = await here.connector.deliver(inChannel, never)
    const inThread = here.task({ thread: root })
    const line = await here.connector.deliver(inThread, never)
    const direct = here.task({ destination: toBob })
    const post = await here.connector.deliver(direct, never)
    now += 1000
    for (let number = 0; number < 250; number++) await here.bob.call('POST', '/posts', said(here, `line ${number}`))
    const look = (task: MessageTask) => here.connector.find?.(task, now - AN_HOUR, never)
    expect(await look(inChannel)).toBe(root)
    expect(await look(inThread)).toBe(line)
    expect(await look(direct)).toBe(post)
    expect(here.posts().some(({ root_id }) => root_id !== '')).toBe(true)
  })

  test('is not taken for one of another message, of somebody else who writes its mark, or one that was deleted', async () => {
    const here = await scene()
    const task = here.task()
    const look = () => here.connector.find?.(task, Date.now() - AN_HOUR, never)
    await here.connector.deliver(here.task(), never)
    await here.bob.call('POST', '/posts', { ...said(here, 'mine'), props: { sallyport_once: task.onceId } })
    expect(await look()).toBeNull()
    const external = await here.connector.deliver(task, never)
    expect(await look()).toBe(external)
    here.mattermost.house.posts.delete(external.split(':')[1] ?? '')
    expect(await look()).toBeNull()
  })

  test('is looked for no further back than the attempt', async () => {
    let now = Date.now()
    const here = await scene({ now: () => now })
    for (let number = 0; number < 250; number++) await here.bob.call('POST', '/posts', said(here, `line ${number}`))
    now += AN_HOUR
    expect(await here.connector.find?.(here.task(), now - 60_000, never)).toBeNull()
    const looks = here.mattermost.house.calls.filter(({ method, path }) => method === 'GET' && path.endsWith('/posts'))
    expect(looks).toHaveLength(1)
  })

  test.each([
    [{ status: 500 }, 'retry'],
    [{ status: 429 }, 'retry'],
    [{ cut: true }, null],
    [{ status: 403 }, 'destination'],
    [{ status: 401 }, 'integration'],
  ])('waits while %o is the answer: %s', async (fault, kind) => {
    const here = await scene()
    here.mattermost.fault = () => fault
    const failed = await here.connector.find?.(here.task(), 0, never).then(
      () => null,
      (error: unknown) => error,
    )
    expect(failed instanceof DeliveryFailed ? failed.kind : null).toBe(kind)
    expect(failed).toBeInstanceOf(Error)
  })
})

const said = (here: Scene, message: string): object => ({ channel_id: here.channel.id, message })

test.each([
  [{ status: 500 }, 'retry', null],
  [{ status: 429, headers: { 'retry-after': '30' } }, 'retry', 30_000],
  [{ status: 429, headers: { 'x-ratelimit-reset': '2' } }, 'retry', 2000],
  [{ status: 401 }, 'integration', null],
  [{ status: 403 }, 'destination', null],
  [{ status: 413 }, 'defect', null],
])('an answer of %o means %s', async (fault, kind, afterMs) => {
  const here = await scene()
  here.mattermost.fault = () => fault
  await expect(here.connector.deliver(here.task(), never)).rejects.toMatchObject({ kind, afterMs })
})

test('a post that was deleted is sent anew, and one that may not be changed is not', async () => {
  const here = await scene()
  const external = await here.connector.deliver(here.task(), never)
  here.mattermost.fault = ({ method }) => (method === 'PUT' ? { status: 403 } : null)
  await expect(here.connector.deliver(here.task({ external }), never)).rejects.toMatchObject({ kind: 'destination' })
  here.mattermost.fault = () => null
  here.mattermost.house.posts.delete(external.split(':')[1] ?? '')
  await expect(here.connector.deliver(here.task({ external }), never)).rejects.toMatchObject({ kind: 'gone' })
})

test('a form opens for a genuine click, sealed for who clicked, and what is typed goes to the core as it came', async () => {
  const here = await scene()
  const id = await posted(here)
  here.outcome = { kind: 'form', form: FORM }
  expect((await here.bob.press(id, 'Approve')).status).toBe(200)
  const open = here.bob.dialog()
  expect(open?.dialog).toMatchObject({
    state: 'nonce-1',
    callback_id: dialogSeal(KEY, 'chat', 'nonce-1', here.bob.id),
    title: 'Approve the request of …',
  })
  expect(open?.dialog.introduction_text).not.toMatch(/@all|\]\(http/)
  here.outcome = { kind: 'done', text: 'approved', requestId: 'req_1' }
  expect((await here.bob.submit({ reason: 'fine', duration: '30m' })).body).toEqual({})
  expect(here.taken.map(({ path }) => path.replace(/-.*/, ''))).toEqual(['actions', 'dialogs'])
  expect(JSON.parse(Buffer.from(here.taken[1]?.body ?? []).toString())).toMatchObject({ user_id: here.bob.id })
})

test('trap 2: a click that was made up opens no form, is told as a failure to whoever made it, and is warned of', async () => {
  const here = await scene()
  here.outcome = { kind: 'form', form: FORM }
  const forged = Buffer.from(`${'i'.repeat(26)}:${here.bob.id}:${Date.now()}:MEUCIQ==`).toString('base64')
  const body = Buffer.from(JSON.stringify({ user_id: here.bob.id, trigger_id: forged, context: {} }))
  const callback: RawCallback = { integration: 'chat', path: 'actions-x', headers: {}, body, via: 'http' }
  const fromChat: FromChat = { take: () => Promise.resolve(here.outcome) }
  const answer = await here.connector.receive?.(callback, fromChat, never)
  expect(answer?.status).toBe(200)
  expect(answer?.body).toContain('Nothing was decided')
  expect(here.bob.dialog()).toBeUndefined()
  expect(here.warnings).toHaveLength(1)
})

test('trap 25: what a person may read is answered with 200, and what is not authentic with 401', async () => {
  const here = await scene()
  const id = await posted(here)
  here.outcome = { kind: 'refused', text: 'you may not review it *at all*' }
  expect((await here.bob.press(id, 'Deny')).status).toBe(200)
  here.outcome = { kind: 'open', text: 'confirm it', url: 'https://access.example.org/confirm/abc' }
  expect((await here.bob.press(id, 'Deny')).status).toBe(200)
  expect(here.bob.whispers()).toEqual([
    'you may not review it \\*at all\\*',
    'confirm it\n[Go on in the browser](https://access.example.org/confirm/abc)',
  ])
  here.outcome = { kind: 'rejected', why: 'mac' }
  expect((await here.bob.press(id, 'Deny')).body).toMatchObject({ message: 'status=401' })
})

test('a form is answered with what is wrong beside its field, or above all', async () => {
  const here = await scene()
  const id = await posted(here)
  here.outcome = { kind: 'form', form: FORM }
  await here.bob.press(id, 'Approve')
  here.outcome = { kind: 'refused', text: 'no duration', field: 'duration' }
  expect((await here.bob.submit({ duration: 'x' })).body).toEqual({ errors: { duration: 'no duration' } })
  here.outcome = { kind: 'refused', text: 'it is decided' }
  expect((await here.bob.submit({ duration: '1h' })).body).toEqual({ error: 'it is decided' })
})

test('a form that goes on in a browser says so beside it where the bot may, else in a direct message', async () => {
  const here = await scene()
  const id = await posted(here)
  here.outcome = { kind: 'form', form: FORM }
  await here.bob.press(id, 'Approve')
  here.outcome = { kind: 'open', text: 'confirm it', url: 'https://access.example.org/confirm/abc' }
  expect((await here.bob.submit({ duration: '1h' })).body).toEqual({})
  expect(here.bob.direct()[0]?.message).toContain('https://access.example.org/confirm/abc')
  here.mattermost.bot.permissions.add('create_post_ephemeral')
  expect((await here.bob.submit({ duration: '1h' })).body).toEqual({})
  expect(here.bob.whispers()).toHaveLength(1)
})

test('a command is answered to who typed it alone, line by line, or opens a form with a list and what is typed beside it', async () => {
  const here = await scene()
  here.outcome = { kind: 'done', text: 'one\ntwo @all', requestId: null }
  await here.bob.type(here.channel.id, '/access mine')
  expect(here.bob.whispers()).toEqual(['one\ntwo @\u200ball'])
  const options = ['dba', 'ops'].map((value) => ({ value, label: value }))
  const roles = {
    name: 'roles',
    label: 'Roles',
    hint: null,
    required: true,
    initial: null,
    maxLength: 100,
    multiline: false,
    options,
    several: true,
  } as const
  here.outcome = {
    kind: 'form',
    form: { ...FORM, kind: 'ask', fields: [roles, { ...roles, name: 'resources', options: [] }] },
  }
  expect((await here.bob.type(here.channel.id, '/access')).status).toBe(200)
  const elements = here.bob.dialog()?.dialog.elements
  expect(elements?.map(({ name, type }) => `${name} ${type}`)).toEqual([
    'roles select',
    'rolesmore text',
    'resources text',
  ])
})

test('trap 22: who reads a channel is told from its kind, its guests and whether other servers share it', async () => {
  const here = await scene()
  const open = here.mattermost.channel('O', [here.bob], 'open')
  const readers = (channel: Channel) => here.connector.audienceOf?.(channel.id, never)
  expect(await readers(here.channel)).toBe('private')
  expect(await readers(open)).toBe('open')
  here.channel.guests.add('z'.repeat(26))
  expect(await readers(here.channel)).toBe('outsiders')
  open.shared = true
  expect(await readers(open)).toBe('outsiders')
})

test('a check says what works, and which setting is of another server, bot or team', async () => {
  const here = await scene()
  const { house } = here.mattermost
  const good = await here.connector.check([here.channel.id], never)
  expect(good.map(({ ok }) => ok)).toEqual([true, true, true, true])
  expect(good.map(({ text }) => text).join('\n')).toContain(house.triggers.publicKey)
  const wrong = await scene({ settings: { site_id: 'another', bot_user_id: here.bob.id, team_id: here.bob.id } })
  const lines = await wrong.connector.check([wrong.channel.id, 'town-square'], never)
  expect(lines.map(({ ok }) => ok)).toEqual([false, false, true, false, false])
  here.mattermost.fault = () => ({ status: 401 })
  expect((await here.connector.check([], never))[0]).toMatchObject({ ok: false })
})

test('trap 20: no failure holds the token, whatever the server answers', async () => {
  const here = await scene()
  const { token } = here.mattermost.bot
  const texts: string[] = []
  for (const status of [400, 401, 403, 404, 429, 500, 501]) {
    here.mattermost.fault = () => ({ status })
    texts.push(String(await here.connector.deliver(here.task(), never).catch((error: unknown) => error)))
  }
  here.mattermost.fault = () => ({ cut: true })
  texts.push(String(await here.connector.deliver(here.task(), never).catch((error: unknown) => error)))
  expect(texts.join('\n')).not.toContain(token)
  expect(JSON.stringify(here.warnings)).not.toContain(token)
})

test('trap 18: a server inside a private network that the integration was not allowed is not called', async () => {
  const here = await scene()
  const { house, url } = here.mattermost
  const connector = mattermostConnector({
    integration: 'chat',
    settings: { url, team_id: house.teamId, bot_user_id: house.bot.id, site_id: house.siteId },
    secrets: { bot_token: house.bot.token, context_key: KEY },
    clock: systemClock,
    log: silentLog,
    fetch: outboundFetch({ allowNetworks: [] }),
    connect: outboundConnect({ allowNetworks: [] }),
    publicUrl: 'https://access.example.org',
    report: () => {},
  })
  await expect(connector.deliver(here.task(), never)).rejects.toThrow()
  expect(house.calls).toEqual([])
})
