import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import type { ChatForm, ChatOutcome, FromChat } from '../../src/contract/from-chat.ts'
import { DiscordSettings } from '../../src/contract/vendors/discord.ts'
import type { Connector } from '../../src/notify/connector.ts'
import { discordConnector } from '../../src/notify/discord/discord-connector.ts'
import { aMessageTask, aRequestView, HOSTILE_TEXTS } from '../support/a-request-view.ts'
import { addDiscordChannel, type StoredMessage } from '../support/discord/discord-house.ts'
import { discordServer, type DiscordServer } from '../support/discord/discord-server.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'

const never = new AbortController().signal

function connectorTo({ url, house }: DiscordServer, token = house.botToken): Connector {
  const settings = DiscordSettings.parse({
    application_id: house.applicationId,
    public_key: house.key.publicHex,
    guild_ids: [house.guildId],
    api_url: url,
  })
  return discordConnector(connectorParts(settings, { bot_token: token }))
}

const labels = ({ rows }: StoredMessage): string[] => rows.flatMap((row) => row.components.map(({ label }) => label))

async function posted(server: DiscordServer, connector = connectorTo(server)): Promise<StoredMessage> {
  const channel = addDiscordChannel(server.house)
  const external = await connector.deliver(aMessageTask({ destination: { channel: channel.id, person: null } }), never)
  const message = server.house.messages.get(external.split('/')[1] ?? '')
  if (!message) throw new Error('no message')
  return message
}

/** The callbacks route, with an outcome of the test's choice behind it. */
async function endpointOf(connector: Connector, fromChat: FromChat): Promise<{ url: string } & AsyncDisposable> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]))
      const callback = {
        integration: 'chat',
        path: 'interactions',
        headers,
        body: Buffer.concat(chunks),
        via: 'http',
      } as const
      void connector.receive?.(callback, fromChat, never).then((answer) => {
        response.writeHead(answer.status, answer.headers)
        response.end(answer.body)
      })
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Believes whatever is signed with some key of 64 bytes: what the verifier is for is tested beside it. */
const saying = (outcome: ChatOutcome | (() => Promise<ChatOutcome>)): FromChat => ({
  take: ({ headers, body }) => {
    const text = Buffer.from(body).toString()
    if (headers['x-signature-ed25519'] === undefined) return Promise.resolve({ kind: 'rejected', why: 'signature' })
    if (text.includes('"type":1,"token"')) return Promise.resolve({ kind: 'ignored', why: 'ping' })
    return typeof outcome === 'function' ? outcome() : Promise.resolve(outcome)
  },
})

test('a request is one message that is changed in place, and a decided one has no buttons that decide', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const channel = addDiscordChannel(server.house)
  const destination = { channel: channel.id, person: null }
  const external = await connector.deliver(aMessageTask({ destination }), never)
  const [message] = server.house.messages.values()
  expect(external).toBe(`${channel.id}/${message?.id}`)
  expect(message && labels(message)).toEqual(['Approve', 'Deny', 'Open'])
  const view = aRequestView({ state: 'approved', needed: [], resolution: 'approved by carol' })
  const content = { kind: 'request' as const, view, buttons: [] }
  expect(await connector.deliver({ ...aMessageTask({ destination, external }), content }, never)).toBe(external)
  expect(server.house.messages.size).toBe(1)
  expect(message && labels(message)).toEqual([])
  expect(JSON.stringify(message?.embeds)).toContain('Approved for 1h')
})

test('a line about a vote answers the message of its request', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const message = await posted(server, connector)
  const notice = { topic: 'request.reviewed', text: 'carol approved', url: null, at: 0 }
  const destination = { channel: message.channelId, person: null }
  const thread = `${message.channelId}/${message.id}`
  await connector.deliver(aMessageTask({ destination, thread, notice, onceId: 'once_2' }), never)
  const [, line] = [...server.house.messages.values()]
  expect(line).toMatchObject({ content: 'carol approved', replyTo: message.id, rows: [] })
})

test('trap 24: a message whose answer was lost is sent again under the same nonce, and is one message', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const task = aMessageTask({ destination: { channel: addDiscordChannel(server.house).id, person: null } })
  server.house.outage = 'hang'
  await expect(connector.deliver(task, never)).rejects.toThrow()
  server.house.outage = null
  await connector.deliver({ ...task, attempt: 2 }, never)
  expect(server.house.messages.size).toBe(1)
})

test('a person is told in a direct message, with nothing to press but a link; without an account nobody is', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const bob = server.person('bob')
  const person = { id: 'usr_bob', name: 'bob', email: null, account: bob.id }
  await connector.deliver(aMessageTask({ audience: 'reviewer', destination: { channel: null, person } }), never)
  const [message] = server.house.messages.values()
  expect(server.house.channels.get(message?.channelId ?? '')?.recipient).toBe(bob.id)
  expect(message && labels(message)).toEqual(['Open'])
  const unlinked = { channel: null, person: { ...person, account: null } }
  await expect(connector.deliver(aMessageTask({ destination: unlinked }), never)).rejects.toMatchObject({
    kind: 'destination',
  })
  server.house.closed.add(bob.id)
  const again = aMessageTask({ destination: { channel: null, person }, onceId: 'once_3' })
  await expect(connector.deliver(again, never)).rejects.toMatchObject({ kind: 'destination' })
})

test('what Discord refuses is told apart: nobody there, gone, a token that is no good, too fast, out of order', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const channel = addDiscordChannel(server.house)
  const task = aMessageTask({ destination: { channel: channel.id, person: null } })
  const kindOf = (deliver: Promise<string>): Promise<unknown> =>
    deliver.then(
      () => 'sent',
      (error: { kind?: string }) => error.kind,
    )
  expect(await kindOf(connector.deliver({ ...task, external: `${channel.id}/100000000000000009` }, never))).toBe('gone')
  channel.open = false
  expect(await kindOf(connector.deliver(task, never))).toBe('destination')
  channel.open = true
  const nowhere = aMessageTask({ destination: { channel: '100000000000000009', person: null } })
  expect(await kindOf(connector.deliver(nowhere, never))).toBe('destination')
  expect(await kindOf(connector.deliver(aMessageTask(), never))).toBe('destination')
  expect(await kindOf(connectorTo(server, 'wrong').deliver(task, never))).toBe('integration')
  server.house.outage = { status: 502 }
  expect(await kindOf(connector.deliver(task, never))).toBe('retry')
  server.house.outage = null
  server.house.bucketSize = 0
  server.house.buckets.set(`POST /channels/${channel.id}/messages`, [Date.now()])
  const limited = await connector.deliver(task, never).catch((error: unknown) => error)
  expect(limited).toMatchObject({ kind: 'retry', afterMs: expect.any(Number) })
})

test('trap 22: a channel that the whole server reads is open, one of another server has outsiders', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const readers = (wanted: object) => connector.audienceOf?.(addDiscordChannel(server.house, wanted).id, never)
  expect(await readers({})).toBe('open')
  expect(await readers({ private: true })).toBe('private')
  expect(await readers({ private: true, guildId: '100000000000000009' })).toBe('outsiders')
  expect(await readers({ guildId: null })).toBe('outsiders')
})

test('check says whether the token, the key and each channel are right', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const good = addDiscordChannel(server.house)
  const foreign = addDiscordChannel(server.house, { guildId: '100000000000000009' })
  const lines = await connector.check([good.id, foreign.id, 'general'], never)
  expect(lines.map(({ ok }) => ok)).toEqual([true, true, false, false])
  expect(await connectorTo(server, 'fake-token').check([], never)).toMatchObject([{ ok: false }])
  expect(JSON.stringify(await connectorTo(server, 'fake-token').check([], never))).not.toContain('fake-token')
  expect(server.house.messages.size).toBe(0)
})

test('/access is offered as soon as the connector listens', async () => {
  await using server = await discordServer()
  const stop = new AbortController()
  const listening = connectorTo(server).listen?.(saying({ kind: 'ignored', why: '' }), stop.signal)
  await expect.poll(() => [...server.house.commands.keys()]).toEqual(['access'])
  stop.abort()
  await listening
})

const form: ChatForm = {
  kind: 'review',
  nonce: 'nonce1',
  title: 'Approve a request of somebody with a very long name indeed',
  text: ['alice asks for **dba** <@123456789012345678>'],
  fields: [
    {
      name: 'reason',
      label: 'Reason',
      hint: 'Why?',
      required: true,
      initial: null,
      maxLength: 5000,
      multiline: true,
      options: null,
      several: false,
    },
    {
      name: 'roles',
      label: 'Roles',
      hint: null,
      required: true,
      initial: 'dba',
      maxLength: 100,
      multiline: false,
      options: [{ value: 'dba', label: 'dba' }],
      several: true,
    },
  ],
  submit: 'Approve',
}

test('each outcome is an answer that Discord takes, seen by who did it alone', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const message = await posted(server, connector)
  const bob = server.person('bob')
  const after = async (outcome: ChatOutcome) => {
    await using endpoint = await endpointOf(connector, saying(outcome))
    server.house.endpoint = { url: endpoint.url, ca: undefined }
    return await bob.press(message, 'Approve')
  }
  expect(await after({ kind: 'done', text: 'You approved *it*.', requestId: 'r' })).toMatchObject({
    text: 'You approved *it*.',
  })
  expect(await after({ kind: 'refused', text: 'Not you.' })).toMatchObject({ kind: 'said', text: 'Not you.' })
  expect(await after({ kind: 'ignored', why: 'repeated' })).toEqual({ kind: 'nothing' })
  expect(await after({ kind: 'open', text: 'Go on.', url: 'https://access.example.org/c/1' })).toMatchObject({
    url: 'https://access.example.org/c/1',
  })
  expect(await after({ kind: 'rejected', why: 'signature' })).toMatchObject({ kind: 'failed', why: 'answered 401' })
  const seen = await after({ kind: 'form', form })
  expect(seen).toMatchObject({ kind: 'modal', modal: { custom_id: 'form:nonce1' } })
  for (const text of HOSTILE_TEXTS) {
    expect((await after({ kind: 'refused', text })).kind).toBe('said')
    expect((await after({ kind: 'form', form: { ...form, title: text, text: [text, text] } })).kind).toBe('modal')
  }
})

test('what takes longer than Discord waits is told afterwards, and a form that came too late asks to press again', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const message = await posted(server, connector)
  const bob = server.person('bob')
  let settle: (outcome: ChatOutcome) => void = () => {}
  const slow = (): Promise<ChatOutcome> =>
    new Promise((resolve) => {
      settle = resolve
    })
  await using endpoint = await endpointOf(connector, saying(slow))
  server.house.endpoint = { url: endpoint.url, ca: undefined }
  const seen = await bob.press(message, 'Approve')
  if (seen.kind !== 'thinking') throw new Error(seen.kind)
  settle({ kind: 'done', text: 'You approved it.', requestId: 'req_1' })
  await expect.poll(() => bob.heard(seen.token)).toBe('You approved it.')
  const second = await bob.press(message, 'Approve')
  if (second.kind !== 'thinking') throw new Error(second.kind)
  settle({ kind: 'form', form })
  await expect.poll(() => bob.heard(second.token)).toMatch(/Press once more/)
})

test('trap 19: what an interaction calls its token leads nowhere else', async () => {
  await using server = await discordServer()
  const connector = connectorTo(server)
  const slow = saying(
    () => new Promise((resolve) => setTimeout(resolve, 2500, { kind: 'done', text: 'x', requestId: null })),
  )
  const headers = { 'x-signature-ed25519': 'x' }
  for (const token of ['../../channels/1/messages', 'a/b', 'a?b', 'http://evil.example', '%2e%2e', '']) {
    const body = Buffer.from(JSON.stringify({ type: 3, token, application_id: '100000000000000009' }))
    const callback = { integration: 'chat', path: 'interactions', headers, body, via: 'http' } as const
    void connector.receive?.(callback, slow, never)
  }
  const good = Buffer.from(JSON.stringify({ type: 3, token: 'good', application_id: '100000000000000009' }))
  await connector.receive?.(
    { integration: 'chat', path: 'interactions', headers, body: good, via: 'http' },
    slow,
    never,
  )
  await expect.poll(() => server.house.calls.length, { timeout: 20_000 }).toBe(1)
  expect(server.house.calls[0]?.path).toBe(`/webhooks/${server.house.applicationId}/good/messages/@original`)
})

test('the Discord of tests refuses what Discord refuses', async () => {
  await using server = await discordServer()
  const { house, url } = server
  const channel = addDiscordChannel(house)
  const call = async (path: string, body: object, method = 'POST', token = house.botToken) => {
    const headers = { authorization: `Bot ${token}`, 'content-type': 'application/json' }
    const call = new Request(`${url}${path}`, { ...{ method }, headers, ...{ body: JSON.stringify(body) } })
    const answer = await fetch(call)
    return [answer.status, ((await answer.json()) as { code?: number }).code]
  }
  const path = `/channels/${channel.id}/messages`
  const good = {
    content: 'x',
    embeds: [],
    components: [],
    allowed_mentions: { parse: [] },
    nonce: 'n1',
    enforce_nonce: true,
  }
  expect(await call(path, good, 'POST', 'wrong')).toEqual([401, 0])
  for (const bad of [
    { ...good, allowed_mentions: { parse: ['everyone'] } },
    { ...good, allowed_mentions: undefined },
    { ...good, content: 'x'.repeat(2001) },
    { ...good, content: '' },
    { ...good, nonce: 'x'.repeat(26) },
    { ...good, enforce_nonce: false },
    { ...good, tts: true },
    { ...good, components: [{ type: 1, components: [] }] },
    { ...good, components: [{ type: 1, components: [{ type: 2, style: 3, label: 'x', custom_id: 'x'.repeat(101) }] }] },
    { ...good, components: [{ type: 1, components: [{ type: 2, style: 5, label: 'x', custom_id: 'x' }] }] },
    {
      ...good,
      components: [{ type: 1, components: Array(2).fill({ type: 2, style: 3, label: 'x', custom_id: 'x' }) }],
    },
    { ...good, embeds: [{ description: 'x'.repeat(4097), color: 1, fields: [] }] },
    {
      ...good,
      embeds: [{ description: 'x', color: 1, fields: Array(26).fill({ name: 'x', value: 'x', inline: true }) }],
    },
    {
      ...good,
      embeds: [
        { description: 'x', color: 1, fields: Array(6).fill({ name: 'x', value: 'x'.repeat(1024), inline: true }) },
      ],
    },
    { ...good, embeds: [{ description: 'x', color: 1, fields: [{ name: '', value: 'x', inline: true }] }] },
  ])
    expect(await call(path, bad)).toEqual([400, 50_035])
  expect(house.messages.size).toBe(0)
  expect(await call(`/webhooks/${house.applicationId}/unknown/messages/@original`, { content: 'x' }, 'PATCH')).toEqual([
    404, 10_015,
  ])
  house.tokens.set('old', { until: Date.now() - 1, said: [] })
  expect(await call(`/webhooks/${house.applicationId}/old/messages/@original`, { content: 'x' }, 'PATCH')).toEqual([
    401, 50_027,
  ])
  await using careless = await endpointOf(connectorTo(server), {
    take: () => Promise.resolve({ kind: 'ignored', why: 'ping' }),
  })
  await expect(server.setEndpoint(careless.url)).rejects.toThrow('instead of 401')
})
