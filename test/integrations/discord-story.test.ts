// Alice asks in Discord, two leads decide there: one role from chat alone, another by a page that asks for the second factor. The
// daemon is killed between the steps.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addDiscordChannel, type DiscordChannel, type StoredMessage } from '../support/discord/discord-house.ts'
import type { DiscordPerson, Seen } from '../support/discord/discord-person.ts'
import { discordServer, type DiscordServer } from '../support/discord/discord-server.ts'
import { shownText } from '../support/discord/read-markup.ts'
import { callIntegration } from '../support/mattermost/call-integration.ts'
import { PageVisitor } from '../support/page-visitor.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

let sallyport: Sallyport
let discord: DiscordServer
let channel: DiscordChannel
let certificate = ''
const accounts = new Map<string, Account>()
const people = new Map<string, DiscordPerson>()

const NAMES = ['alice', 'bob', 'carol'] as const
const person = (name: string): DiscordPerson => {
  const found = people.get(name)
  if (!found) throw new Error(name)
  return found
}

beforeAll(async () => {
  ;[sallyport, discord] = await Promise.all([startSallyport(), discordServer()])
  const role = (name: string, allow: Record<string, unknown>, options: object = {}) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow, options } })
  const access = { logins: [sallyport.login], node_labels: { service: 'database' } }
  await role('dba', access, { chat_approval: 'allowed' })
  await role('root-dba', access)
  for (const name of ['late', 'cut']) await role(name, access, { chat_approval: 'allowed' })
  await role('engineer', {
    request: {
      roles: ['dba', 'root-dba', 'late', 'cut'],
      thresholds: [{ name: 'two leads', filter: '"lead" in reviewer.roles', approve: 2, deny: 1 }],
    },
  })
  await role('lead', { review_requests: { roles: ['dba', 'root-dba', 'late', 'cut'] } })
  await sallyport.user('alice', ['engineer'])
  await sallyport.user('bob', ['lead'])
  await sallyport.user('carol', ['lead'])
  await Promise.all(
    NAMES.map(async (name) => accounts.set(name, await sallyport.signIn(name, { apps: name === 'alice' ? 1 : 4 }))),
  )
  channel = addDiscordChannel(discord.house, { private: true })
  for (const name of NAMES) people.set(name, discord.person(name))
  await sallyport.document({
    kind: 'integration',
    metadata: { name: 'chat' },
    spec: {
      vendor: 'discord',
      application_id: discord.house.applicationId,
      public_key: discord.house.key.publicHex,
      guild_ids: [discord.house.guildId],
      api_url: discord.url,
      allow_networks: ['127.0.0.0/8'],
      deliver: [{ channels: [channel.id], requester: true }],
      secrets: { bot_token: discord.house.botToken },
    },
  })
  certificate = await certificateOf(sallyport)
})
afterAll(async () => {
  await sallyport?.stop()
  await discord?.[Symbol.asyncDispose]()
})

async function certificateOf({ api }: Sallyport): Promise<string> {
  const { items } = await api.listAuthorities({})
  return items.find(({ kind }) => kind === 'server-tls')?.public ?? ''
}

const late = (reason: string): string[] => ['--roles=late', `--reason=${reason}`, '--nowait', '--pending-for=4s']
const directTo = (name: string): StoredMessage[] =>
  [...discord.house.messages.values()].filter(
    ({ channelId, embeds }) =>
      embeds.length > 0 && discord.house.channels.get(channelId)?.recipient === person(name).id,
  )
/** What the engine has yet to do now. */
const openMessages = () =>
  sallyport.rows("select id from messages where state = 'due' and due_at < ?", Date.now() + 120_000)

const endpoint = (): string => `https://127.0.0.1:${sallyport.port}/v1/callbacks/chat/interactions`

async function typed(name: string): Promise<{ user: string; password: string; code: string }> {
  const account = accounts.get(name)
  return { user: name, password: account?.password ?? '', code: (await account?.authenticator?.code()) ?? '' }
}

async function killed(): Promise<void> {
  await sallyport.kill('SIGKILL')
  await sallyport.restart()
}

const inChannel = (): StoredMessage[] =>
  [...discord.house.messages.values()].filter(
    (message) => message.channelId === channel.id && message.embeds.length > 0,
  )
const labels = ({ rows }: StoredMessage): string[] => rows.flatMap((row) => row.components.map(({ label }) => label))
const textOf = ({ embeds, content }: StoredMessage): string =>
  shownText(JSON.stringify([content, embeds]).replaceAll('\\\\', '\\'))

async function lastInChannel(role: string): Promise<StoredMessage> {
  const find = (): StoredMessage | undefined =>
    inChannel().findLast((message) => textOf(message).includes(`asks for ${role}`))
  await expect.poll(find).toBeDefined()
  const found = find()
  if (!found) throw new Error('no message')
  return found
}

async function submitted(
  name: string,
  message: StoredMessage,
  label: string,
  values: Record<string, string>,
): Promise<Seen> {
  const seen = await person(name).press(message, label)
  if (seen.kind !== 'modal') throw new Error(JSON.stringify(seen))
  return await person(name).submit(channel.id, seen.modal, values)
}

test('1: Discord takes the address: a ping is answered, a badly signed one is refused; /access is offered', async () => {
  await discord.setEndpoint(endpoint(), certificate)
  await expect.poll(() => [...discord.house.commands.keys()]).toEqual(['access'])
})

test('2: an account is linked by a code from chat and a page where its person signs in', async () => {
  for (const name of NAMES) {
    const seen = await person(name).type(channel.id, 'link')
    if (seen.kind !== 'said' || seen.url === null) throw new Error(JSON.stringify(seen))
    const page = await new PageVisitor().fill(seen.url, await typed(name))
    expect([page.status, page.body]).toEqual([200, expect.stringContaining('is linked')])
  }
  await killed()
})

let id = ''
test('3: alice asks in Discord, and the channel has one message with buttons', async () => {
  const seen = await person('alice').type(channel.id, 'request dba for 1h: ticket 77 @everyone <@123456789012345678>')
  expect(seen.kind).toBe('said')
  const message = await lastInChannel('dba')
  expect(labels(message)).toEqual(['Approve', 'Deny', 'Open'])
  expect(textOf(message)).toContain('ticket 77')
  ;[id = ''] = (await sallyport.api.listRequests({ query: {} })).items.map((request) => request.id)
})

test('trap 5, trap 9: alice cannot approve herself, and nobody is believed whose account is not linked', async () => {
  const message = await lastInChannel('dba')
  const own = await person('alice').press(message, 'Approve')
  expect(own).toMatchObject({ kind: 'said' })
  const stranger = await discord.person('bob').press(message, 'Approve')
  expect(stranger).toMatchObject({ kind: 'said', text: expect.stringContaining('not linked') })
  const elsewhere = await discord.person('bob', '200000000000000009').press(message, 'Approve')
  expect(elsewhere).toMatchObject({ kind: 'failed', why: 'answered 401' })
  expect((await sallyport.api.showRequest({ params: { id } })).reviews).toEqual([])
})

test('trap 3, trap 10: bob approves with a reason; the message says one of two, and a form that comes again does nothing', async () => {
  await killed()
  const message = await lastInChannel('dba')
  const seen = await submitted('bob', message, 'Approve', { reason: 'looks right' })
  expect(seen).toMatchObject({ kind: 'said', text: expect.stringContaining('You approved it') })
  await person('bob').again()
  await expect.poll(() => textOf(message)).toContain('looks right')
  expect(labels(message)).toEqual(['Approve', 'Deny', 'Open'])
  const { code } = await typed('bob')
  await accounts.get('bob')?.sally('request', 'review', id, '--approve', '--reason=once more', `--code=${code}`)
  const shown = await sallyport.api.showRequest({ params: { id } })
  expect([shown.state, shown.reviews.filter(({ counts }) => counts).length]).toEqual(['pending', 1])
})

test('trap 13: carol approves for a shorter time; the message tells the end and has no buttons that decide', async () => {
  await killed()
  const message = await lastInChannel('dba')
  const button = message.rows[0]?.components[0]?.custom_id ?? ''
  const seen = await submitted('carol', message, 'Approve', { reason: 'fine', duration: '30m' })
  expect(seen).toMatchObject({ kind: 'said', text: expect.stringContaining('approved') })
  await expect.poll(() => textOf(message)).toContain('Approved for 30m')
  await expect.poll(() => labels(message).filter((label) => label !== 'Open')).toEqual([])
  expect(inChannel().length).toBe(1)
  const late = await person('bob').pressId(message, button)
  expect(late.kind).toBe('said')
  const shown = await sallyport.api.showRequest({ params: { id } })
  expect(shown.reviews.filter(({ counts }) => counts).map(({ reviewer }) => reviewer)).toEqual(['bob', 'carol'])
  const events = await sallyport.events({ type: 'access_request.review' })
  expect(events.map(({ actor }) => actor)).toEqual(expect.arrayContaining([expect.anything()]))
})

test('7: a role that says nothing of chat is decided on a page that asks for the second factor', async () => {
  await person('alice').type(channel.id, 'request root-dba for 1h: ticket 78')
  const message = await lastInChannel('root-dba')
  for (const name of ['bob', 'carol']) {
    const seen = await person(name).press(message, 'Approve')
    if (seen.kind !== 'said' || seen.url === null) throw new Error(JSON.stringify(seen))
    const { code } = await typed(name)
    const wrong = await new PageVisitor().fill(seen.url, { code: '000000', reason: 'x', duration: '1h' })
    expect(wrong.status).toBe(422)
    const page = await new PageVisitor().fill(seen.url, { code, reason: 'checked', duration: '1h' })
    expect([page.status, page.body.includes('You approved it')]).toEqual([200, true])
  }
  await expect.poll(() => textOf(message)).toContain('Approved for 1h')
})

test('8: a request that is denied says so, and nobody was ever mentioned', async () => {
  await person('alice').type(channel.id, 'request dba for 2h: ticket 79')
  await expect.poll(() => inChannel().length).toBe(3)
  const message = await lastInChannel('dba')
  expect(await submitted('bob', message, 'Deny', { reason: 'not today' })).toMatchObject({ kind: 'said' })
  await expect.poll(() => textOf(message)).toContain('Denied')
  for (const { body } of discord.house.calls)
    if (body !== null && typeof body === 'object' && 'content' in body)
      expect(body).toMatchObject({ allowed_mentions: { parse: [] } })
})

test('9: a request that nobody answers expires: the message says so and has nothing left that decides', async () => {
  const seen = await accounts.get('alice')?.sally('request', 'create', ...late('ticket 80'))
  expect(seen?.code).toBe(0)
  const message = await lastInChannel('late')
  await expect.poll(() => textOf(message), { timeout: 60_000 }).toContain('Expired without a decision')
  await expect.poll(() => labels(message).filter((label) => label !== 'Open')).toEqual([])
  for (const direct of directTo('alice'))
    await expect.poll(() => labels(direct).filter((label) => label !== 'Open')).toEqual([])
})

test('10: killed between Discord’s yes and our noting it, long after nonces are forgotten, each message is there once', async () => {
  discord.house.nonceMs = 0
  discord.house.silent = true
  const copies = () => [...discord.house.messages.values()].filter((each) => textOf(each).includes('ticket 81'))
  await person('alice').type(channel.id, 'request cut for 3h: ticket 81')
  await expect.poll(() => copies().length).toBe(2)
  await killed()
  discord.house.silent = false
  await expect.poll(() => openMessages(), { timeout: 60_000 }).toEqual([])
  expect(copies().length).toBe(2)
  const message = await lastInChannel('cut')
  expect(message.edits).toBeGreaterThan(0)

  // The same with a change: the form's answer is stored, the message's change is made and never heard of.
  discord.house.silent = true
  const edits = message.edits
  expect(await submitted('bob', message, 'Approve', { reason: 'go' })).toMatchObject({ kind: 'said' })
  await expect.poll(() => message.edits).toBeGreaterThan(edits)
  await killed()
  discord.house.silent = false
  await expect.poll(() => textOf(message), { timeout: 60_000 }).toContain('go')
  await expect.poll(() => openMessages(), { timeout: 60_000 }).toEqual([])
  expect(copies().length).toBe(2)
})

test('11: killed between a press or a form that arrived and what comes of it, pressing again is one vote', async () => {
  const message = await lastInChannel('cut')
  const request = (await sallyport.api.listRequests({ query: {} })).items.find(({ state }) => state === 'pending')
  const seen = await person('carol').press(message, 'Approve')
  if (seen.kind !== 'modal') throw new Error(JSON.stringify(seen))
  for (const wait of [0, 3]) {
    const typed = person('carol').submit(channel.id, seen.modal, { reason: 'fine' })
    await new Promise((resolve) => setTimeout(resolve, wait))
    await killed()
    await typed
    // What was sent is sent again as it was, and one more time.
    await person('carol').again()
    await person('carol').again()
  }
  await expect.poll(() => textOf(message), { timeout: 60_000 }).toContain('Approved for 3h')
  await expect.poll(() => labels(message).filter((label) => label !== 'Open')).toEqual([])
  const shown = await sallyport.api.showRequest({ params: { id: request?.id ?? '' } })
  expect([shown.state, shown.reviews.map(({ reviewer }) => reviewer)]).toEqual(['approved', ['bob', 'carol']])
  expect(sallyport.rows('select id from grants where request_id = ?', request?.id ?? '').length).toBe(1)
})

test('trap 23: an interaction of a megabyte is refused unread', async () => {
  const options = { type: 'application/json', timeoutMs: 30_000, ca: certificate }
  const answer = await callIntegration(endpoint(), JSON.stringify({ type: 3, data: 'x'.repeat(1_000_000) }), options)
  expect(answer.status).toBe(413)
})

test('trap 20: the bot token is in no log, event or document', async () => {
  const document = await sallyport.admin('get', 'integration/chat')
  const events = JSON.stringify(await sallyport.events())
  for (const text of [document.stdout, events, sallyport.logText()]) expect(text).not.toContain(discord.house.botToken)
  expect(document.stdout).toContain('discord')
})
