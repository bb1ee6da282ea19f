// A message whose fate is unknown is looked for before it is sent again: Discord drops doubles for minutes only.
import { expect, test } from 'vitest'
import { DiscordSettings } from '../../src/contract/vendors/discord.ts'
import type { Connector } from '../../src/notify/connector.ts'
import { discordConnector } from '../../src/notify/discord/discord-connector.ts'
import { aMessageTask, aRequestView, aViewedReview, HOSTILE_TEXTS } from '../support/a-request-view.ts'
import { addDiscordChannel, type StoredMessage } from '../support/discord/discord-house.ts'
import { discordServer, type DiscordServer } from '../support/discord/discord-server.ts'
import { connectorParts } from '../support/mail/connector-parts.ts'

const never = new AbortController().signal
const MINUTE = 60_000

function connectorTo({ url, house }: DiscordServer): Connector {
  const settings = DiscordSettings.parse({
    application_id: house.applicationId,
    public_key: house.key.publicHex,
    guild_ids: [house.guildId],
    api_url: url,
  })
  return discordConnector(connectorParts(settings, { bot_token: house.botToken }))
}

async function scene(server: DiscordServer) {
  const connector = connectorTo(server)
  const channel = addDiscordChannel(server.house)
  const task = aMessageTask({ destination: { channel: channel.id, person: null } })
  const find = (wanted = task, since = Date.now() - MINUTE) => connector.find?.(wanted, since, never)
  return { connector, channel, task, find }
}

/** As if somebody else had written the same. */
function copied({ house }: DiscordServer, message: StoredMessage, changes: Partial<StoredMessage>): void {
  const copy = { ...message, id: house.newId(), nonce: '', ...changes }
  house.messages.set(copy.id, copy)
}

const first = ({ house }: DiscordServer): StoredMessage => {
  const [message] = house.messages.values()
  if (!message) throw new Error('no message')
  return message
}

test.each([true, false])(
  'a message that is there is found by what it is about, in whatever state it was sent (Discord tells nonces: %s)',
  async (tellsNonce) => {
    await using server = await discordServer()
    server.house.tellsNonce = tellsNonce
    const { connector, task, find } = await scene(server)
    expect(await find()).toBeNull()
    const external = await connector.deliver(task, never)
    expect(await find()).toBe(external)
    const view = aRequestView({ state: 'denied', needed: [], reviews: [aViewedReview()], resolution: 'denied by bob' })
    expect(await find({ ...task, content: { kind: 'request', view, buttons: [] } })).toBe(external)
  },
)

test('a message of another request, of another channel, of somebody else or of long ago is not taken for ours', async () => {
  await using server = await discordServer()
  const { connector, task, find } = await scene(server)
  const view = aRequestView({ id: 'req_2' })
  const external = await connector.deliver(
    { ...task, onceId: 'once_9', content: { kind: 'request', view, buttons: [] } },
    never,
  )
  expect(await find()).toBeNull()
  const there = first(server)
  copied(server, there, { author: server.house.newId(), embeds: [{ footer: { text: 'req_1' } }] })
  expect(await find()).toBeNull()
  const elsewhere = addDiscordChannel(server.house)
  copied(server, there, { channelId: elsewhere.id, embeds: [{ footer: { text: 'req_1' } }] })
  expect(await find()).toBeNull()
  const same = { ...task, content: { kind: 'request' as const, view, buttons: [] } }
  expect(await find(same)).toBe(external)
  expect(await find(same, Date.now() + MINUTE)).toBeNull()
})

test('what people typed makes no message look like another one', async () => {
  await using server = await discordServer()
  const { connector, task, find } = await scene(server)
  for (const [index, text] of [...HOSTILE_TEXTS, 'req_1'].entries()) {
    const view = aRequestView({ id: `req_other${index}`, reason: text, user: 'req_1', resolution: 'req_1' })
    await connector.deliver(
      { ...task, onceId: `once_o${index}`, content: { kind: 'request', view, buttons: [] } },
      never,
    )
  }
  expect(await find()).toBeNull()
})

test('a line of a thread is found by its words under the message that it answers, and one person’s by their own channel', async () => {
  await using server = await discordServer()
  const { connector, task, find } = await scene(server)
  const thread = await connector.deliver(task, never)
  const notice = { topic: 'request.reviewed', text: 'carol approved: "*fine*"', url: null, at: 0 }
  const line = aMessageTask({ destination: task.destination, thread, notice, onceId: 'once_2' })
  expect(await find(line)).toBeNull()
  const said = await connector.deliver(line, never)
  expect(await find(line)).toBe(said)
  expect(await find({ ...line, thread: null })).toBeNull()
  const bob = { id: 'usr_bob', name: 'bob', email: null, account: server.person('bob').id }
  const direct = { ...line, thread: null, onceId: 'once_3', destination: { channel: null, person: bob } }
  expect(await find(direct)).toBeNull()
  const told = await connector.deliver(direct, never)
  expect(await find(direct)).toBe(told)
})

test('a busy channel is read page by page from where the attempt began', async () => {
  await using server = await discordServer()
  const { connector, task, find } = await scene(server)
  const view = aRequestView({ id: 'req_2' })
  await connector.deliver({ ...task, onceId: 'x', content: { kind: 'request', view, buttons: [] } }, never)
  for (let index = 0; index < 250; index++) copied(server, first(server), { author: server.house.newId() })
  const external = await connector.deliver(task, never)
  server.house.calls.length = 0
  expect(await find()).toBe(external)
  expect(server.house.calls.filter(({ method }) => method === 'GET').length).toBeLessThanOrEqual(4)
})

test('an attempt that was cut off hours ago is one message: found, and changed in place', async () => {
  await using server = await discordServer()
  const { connector, task, find } = await scene(server)
  server.house.outage = 'hang'
  await expect(connector.deliver(task, never)).rejects.toThrow()
  server.house.outage = null
  const external = (await find()) ?? null
  expect(external).toBe(`${first(server).channelId}/${first(server).id}`)
  const view = aRequestView({ state: 'expired', needed: [] })
  await connector.deliver({ ...task, external, attempt: 2, content: { kind: 'request', view, buttons: [] } }, never)
  expect([server.house.messages.size, first(server).edits]).toEqual([1, 1])
})

test('while Discord does not answer nothing is known; where it does not let us look it says so', async () => {
  await using server = await discordServer()
  const { channel, find } = await scene(server)
  server.house.outage = { status: 503 }
  await expect(find()).rejects.toMatchObject({ kind: 'retry' })
  server.house.outage = null
  channel.open = false
  await expect(find()).rejects.toMatchObject({ kind: 'destination' })
})

test('check says where the permission to read the history is missing', async () => {
  await using server = await discordServer()
  const { connector, channel, task } = await scene(server)
  channel.history = false
  const lineOf = async () => (await connector.check([channel.id], never)).at(-1)
  expect(await lineOf()).toMatchObject({ ok: true })
  await connector.deliver(task, never)
  expect(await lineOf()).toMatchObject({ ok: false, text: expect.stringContaining('Read Message History') as string })
  channel.history = true
  expect(await lineOf()).toMatchObject({ ok: true })
})
