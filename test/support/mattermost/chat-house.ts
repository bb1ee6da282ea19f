import { Browser } from '../browser.ts'
import { startSallyport, type Account, type Sallyport } from '../sallyport.ts'
import type { Channel } from './house.ts'
import { buttonsOf, type MattermostPerson } from './mattermost-person.ts'
import { startMattermost, type Mattermost } from './mattermost-server.ts'
import type { Post } from './post-store.ts'

/** A daemon and a Mattermost server that know each other, and people who are linked. */
export interface ChatHouse extends AsyncDisposable {
  readonly sallyport: Sallyport
  readonly mattermost: Mattermost
  readonly channel: Channel
  readonly people: Readonly<Record<string, Linked>>
  browser(): Browser
  /** Posts in the channel that are no replies, newest first. */
  copies(): readonly Post[]
  /** What is said in the threads of the channel. */
  replies(): readonly string[]
}

export interface Linked {
  readonly account: Account
  readonly chat: MattermostPerson
}

export interface ChatHouseOptions {
  /** User, and roles; those in `linked` are linked at once */
  readonly users: Readonly<Record<string, readonly string[]>>
  readonly linked: readonly string[]
  readonly roles: (sallyport: Sallyport) => Promise<void>
  /** More of the integration's document */
  readonly spec?: Readonly<Record<string, unknown>>
}

export const LINK = /\/link\/[0-9a-z-]+/
export const CONFIRM = /https:[^)\s]*\/confirm\/[^)\s]+/

export async function chatHouse({ users, linked, roles, spec }: ChatHouseOptions): Promise<ChatHouse> {
  const mattermost = await startMattermost()
  const sallyport = await startSallyport()
  await roles(sallyport)
  const { items } = await sallyport.api.listAuthorities({})
  const ca = items.find(({ kind, state }) => kind === 'server-tls' && state === 'active')?.public ?? ''
  mattermost.ca = ca
  const people: Record<string, Linked> = {}
  for (const [name, own] of Object.entries(users)) await sallyport.user(name, own)
  const accounts = await Promise.all(
    Object.keys(users).map((name) => sallyport.signIn(name, { apps: name === 'alice' ? 0 : 4 })),
  )
  for (const account of accounts) people[account.name] = { account, chat: mattermost.person(account.name) }
  const channel = mattermost.channel(
    'P',
    Object.values(people).map(({ chat }) => chat),
  )
  const { house } = mattermost
  await sallyport.document({
    kind: 'integration',
    metadata: { name: 'chat' },
    spec: {
      vendor: 'mattermost',
      url: mattermost.url,
      team_id: house.teamId,
      bot_user_id: house.bot.id,
      site_id: house.siteId,
      signing_key: house.triggers.publicKey,
      allow_networks: ['127.0.0.0/8'],
      deliver: [{ channels: [channel.id], reviewers: true, requester: true }],
      secrets: {
        bot_token: house.bot.token,
        command_tokens: [mattermost.command(`https://127.0.0.1:${sallyport.port}/v1/callbacks/chat/commands`)],
      },
      ...spec,
    },
  })
  const here: ChatHouse = {
    sallyport,
    mattermost,
    channel,
    people,
    browser: () => new Browser(ca),
    copies: () => house.posts.ofChannel(channel.id).filter((post) => post.root_id === ''),
    replies: () =>
      house.posts
        .ofChannel(channel.id)
        .filter((post) => post.root_id !== '')
        .map((post) => post.message),
    async [Symbol.asyncDispose]() {
      await sallyport.stop()
      await mattermost[Symbol.asyncDispose]()
    },
  }
  for (const name of linked) await link(here, name)
  return here
}

/** Asks for a code in chat, opens its page, and signs in there. */
export async function link(here: ChatHouse, name: string): Promise<void> {
  const person = here.people[name]
  if (!person) throw new Error(`there is no ${name}`)
  const typed = await person.chat.type(here.channel.id, '/access link')
  if (typed.status !== 200) throw new Error(JSON.stringify(typed.body))
  const path = LINK.exec(person.chat.whispers().at(-1) ?? '')?.[0]
  if (path === undefined) throw new Error(`no code: ${person.chat.whispers().join('\n')}`)
  const browser = here.browser()
  await browser.open(`https://127.0.0.1:${here.sallyport.port}${path}`)
  const code = (await person.account.authenticator?.code()) ?? ''
  const page = await browser.send({ user: name, password: person.account.password, code })
  if (page.status !== 200) throw new Error(page.text)
}

/** What stands in a post, without its escapes, for reading in tests. */
export function textOf(post: Post | undefined): string {
  return JSON.stringify([post?.message, post?.props]).replace(/\\\\|\u200b/g, '')
}

export { buttonsOf }
