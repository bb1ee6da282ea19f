// Trap 17: mail gateways follow every link, previews and browsers fetch ahead, and some of them press what is on the pages.
import { hash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addDiscordChannel, type DiscordChannel } from '../support/discord/discord-house.ts'
import type { DiscordPerson } from '../support/discord/discord-person.ts'
import { discordServer, type DiscordServer } from '../support/discord/discord-server.ts'
import { mailServer, type MailServer } from '../support/mail/mail-server.ts'
import { hiddenOf, PageVisitor } from '../support/page-visitor.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { scanLinks, type Scanned } from '../support/scanner-bot.ts'
import { workflowServer, type WorkflowServer } from '../support/teams/workflow-server.ts'

let sallyport: Sallyport
let discord: DiscordServer
let mail: MailServer
let teams: WorkflowServer
let channel: DiscordChannel
let alice: Account
let bob: Account
let bobThere: DiscordPerson
/** Everything that connectors sent, and what was said to bob alone */
const said: string[] = []
let confirmUrl = ''
let linkUrl = ''

beforeAll(async () => {
  ;[sallyport, discord, mail, teams] = await Promise.all([
    startSallyport(),
    discordServer(),
    mailServer(),
    workflowServer(),
  ])
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await role('dba', { logins: [sallyport.login], node_labels: { service: 'database' } })
  await role('engineer', { request: { roles: ['dba'] } })
  await role('lead', { review_requests: { roles: ['dba'] } })
  await sallyport.user('alice', ['engineer'], {}, 'alice@example.org')
  await sallyport.user('bob', ['lead'], {}, 'bob@example.org')
  ;[alice, bob] = (await Promise.all([sallyport.signIn('alice'), sallyport.signIn('bob', { apps: 4 })])) as [
    Account,
    Account,
  ]
  channel = addDiscordChannel(discord.house)
  bobThere = discord.person('bob')
  const integration = (name: string, spec: Record<string, unknown>) =>
    sallyport.document({
      kind: 'integration',
      metadata: { name },
      spec: { allow_networks: ['127.0.0.0/8', '::1/128'], ...spec },
    })
  await integration('mail', {
    vendor: 'email',
    smtp: { host: 'localhost', port: mail.port, ca: mail.ca },
    from: 'access@example.org',
    deliver: [{ reviewers: true, requester: true, channels: ['audit@example.org'] }],
  })
  await integration('teams', {
    vendor: 'teams',
    deliver: [{ channels: ['platform'] }],
    secrets: { workflows: { platform: teams.urlOf('platform') } },
  })
  const { house, url } = discord
  await integration('chat', {
    vendor: 'discord',
    application_id: house.applicationId,
    public_key: house.key.publicHex,
    guild_ids: [house.guildId],
    api_url: url,
    deliver: [{ channels: [channel.id] }],
    secrets: { bot_token: house.botToken },
  })
  const { items } = await sallyport.api.listAuthorities({})
  const ca = items.find(({ kind }) => kind === 'server-tls')?.public
  await discord.setEndpoint(`https://127.0.0.1:${sallyport.port}/v1/callbacks/chat/interactions`, ca)
})
afterAll(async () => {
  await sallyport?.stop()
  await Promise.all([discord?.[Symbol.asyncDispose](), mail?.[Symbol.asyncDispose](), teams?.[Symbol.asyncDispose]()])
})

/** What changes by itself, and what counts tries and readings. */
const RESTLESS =
  /^(?:sqlite_|checkpoints?$|attempt|shared_attempt|messages?$|outbox|daemons?$|instances?$|chain_head$|audit_|changes$|integration_paces$)/

/** By table a digest of every row of everything that says who may do what and what was decided. */
function standing(): Record<string, string> {
  const names = sallyport
    .rows("select name from sqlite_master where type = 'table' order by name")
    .map(({ name }) => String(name))
    .filter((name) => !RESTLESS.test(name))
  return Object.fromEntries(names.map((name) => [name, digest(sallyport.rows(`select * from "${name}"`))]))
}

const digest = (rows: readonly object[]): string =>
  hash(
    'sha256',
    JSON.stringify(rows, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
  )

const QUIET = new Set(['audit.search', 'auth.fail'])
const deeds = async (): Promise<string[]> =>
  (await sallyport.events()).map(({ type }) => type).filter((type) => !QUIET.has(type))

async function signedIn(): Promise<{ user: string; password: string; code: string }> {
  return { user: 'bob', password: bob.password, code: (await bob.authenticator?.code()) ?? '' }
}

const urlOf = (seen: Awaited<ReturnType<DiscordPerson['press']>>): string => {
  if (seen.kind !== 'said' || seen.url === null) throw new Error(JSON.stringify(seen))
  return seen.url
}

test('1: messages by mail, Teams and Discord are there, with a page to confirm on and a page to link an account on', async () => {
  const asked = await alice.sally('request', 'create', '--roles=dba', '--reason=ticket 77', '--nowait')
  expect(asked.stderr).not.toContain('error')
  await expect.poll(() => [mail.mails.length, teams.cards.length, discord.house.messages.size]).toEqual([3, 1, 1])
  const own = urlOf(await bobThere.type(channel.id, 'link'))
  await new PageVisitor().fill(own, await signedIn())
  const [message] = discord.house.messages.values()
  if (!message) throw new Error('no message')
  confirmUrl = urlOf(await bobThere.press(message, 'Approve'))
  linkUrl = urlOf(await discord.person('mallory').type(channel.id, 'link'))
  said.push(
    ...mail.mails.flatMap(({ text, html }) => [text, html]),
    ...teams.cards.flatMap(({ text, links }) => [text, ...links]),
    ...discord.house.calls.map(({ body }) => JSON.stringify(body)),
    confirmUrl,
    linkUrl,
  )
})

let scanned: Scanned[] = []
test('trap 17: a scanner that follows every link and presses every button decides, links and uses up nothing', async () => {
  const before = [standing(), await deeds()]
  scanned = await scanLinks(said, `https://127.0.0.1:${sallyport.port}`)
  expect(scanned.map(({ link }) => new URL(link).pathname.split('/')[1]).toSorted()).toEqual(['confirm', 'link', 'r'])
  expect([standing(), await deeds()]).toEqual(before)
  const [request] = (await sallyport.api.listRequests({ query: {} })).items
  expect(request).toMatchObject({ state: 'pending', reviews: [] })
})

test('trap 17: looking answers a page, and a form of no browser, another browser or another site is refused', () => {
  for (const { looks, foreign, pressed } of scanned) {
    expect(new Set(looks)).toEqual(new Set([200]))
    expect(new Set(foreign)).toEqual(new Set([403]))
    for (const status of pressed) expect([400, 401, 403, 409, 422, 429]).toContain(status)
  }
})

test('trap 16: no link of a message carries more than the id of its request, and pages leave no trace of theirs', async () => {
  for (const { link } of scanned) {
    const url = new URL(link)
    expect([url.search, url.hash]).toEqual(['', ''])
    const { headers } = await new PageVisitor().visit(link)
    expect(headers['referrer-policy']).toBe('same-origin')
    expect(headers['cache-control']).toBe('no-store')
    expect(String(headers['content-security-policy'])).toContain("default-src 'none'")
  }
  const inMessages = said.slice(0, -2).join('\n')
  expect(inMessages).not.toMatch(/\/(?:confirm|link)\//)
})

test('trap 17: the form that somebody who signed in is shown decides nothing from elsewhere, nor in an address', async () => {
  const [request] = (await sallyport.api.listRequests({ query: {} })).items
  const url = `https://127.0.0.1:${sallyport.port}/r/${request?.id ?? ''}`
  const owner = new PageVisitor()
  const { body } = await owner.fill(url, await signedIn())
  const form = { ...hiddenOf(body), act: 'approve', reason: 'x', duration: '1h' }
  expect(form).toMatchObject({ visit: expect.stringMatching(/^[\w-]{43}$/) as string })
  const before = [standing(), await deeds()]
  const address = `${url}?${new URLSearchParams(form).toString()}`
  for (const method of ['GET', 'HEAD'] as const)
    for (const visitor of [owner, new PageVisitor()])
      expect((await visitor.visit(address, { method, headers: { purpose: 'prefetch' } })).status).toBe(200)
  const refused = [
    await new PageVisitor().visit(url, { form }),
    await owner.visit(url, { form, headers: { origin: 'https://evil.example' } }),
    await owner.visit(url, { form, headers: { 'sec-fetch-site': 'cross-site' } }),
  ]
  expect(refused.map(({ status }) => status)).toEqual([403, 403, 403])
  expect([standing(), await deeds()]).toEqual(before)
})

test('after all that the person decides on the same page', async () => {
  const { code } = await signedIn()
  const page = await new PageVisitor().fill(confirmUrl, { code, reason: 'checked', duration: '1h' })
  expect([page.status, page.body]).toEqual([200, expect.stringContaining('You approved it')])
  const [request] = (await sallyport.api.listRequests({ query: {} })).items
  expect(request).toMatchObject({ state: 'approved' })
  const states = await Promise.all([mail.mails.length, teams.cards.length])
  expect(states.length).toBe(2)
  await expect.poll(() => teams.cards.some(({ text }) => text.includes('Approved for'))).toBe(true)
})
