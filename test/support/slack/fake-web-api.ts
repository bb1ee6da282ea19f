import type { z } from 'zod'
import { MOST_TEXT, textIn } from './block-kit.ts'
import type { FakeChannel, FakeMessage, FakeWorkspace } from './fake-workspace.ts'
import { ARGUMENTS, PER_MINUTE, SCOPES, SCOPES_BY_KIND, WRONG, type Method } from './web-api-arguments.ts'

type Arguments<M extends Method> = z.infer<(typeof ARGUMENTS)[M]>
export type ApiAnswer = { readonly status: number; readonly headers?: Record<string, string>; readonly body: object }

export interface FakeApiParts {
  readonly workspace: FakeWorkspace
  readonly appId: string
  readonly botToken: string
  readonly appToken: string
  readonly now: () => number
  /** Where the next socket is to be opened */
  readonly socketUrl: () => string
}

export interface Call {
  readonly method: string
  readonly args: Readonly<Record<string, unknown>>
  readonly at: number
  /** `ok`, or Slack's error */
  readonly result: string
}

const APP_METHODS: ReadonlySet<string> = new Set(['apps.connections.open'])

const ok = (body: object = {}): ApiAnswer => ({ status: 200, body: { ok: true, ...body } })
const failed = (error: string, more: object = {}): ApiAnswer => ({ status: 200, body: { ok: false, error, ...more } })

/** The methods of Slack's Web API that we use: tokens, arguments, rates and refusals as Slack's, and everything that was called. */
export class FakeWebApi {
  readonly calls: Call[] = []
  readonly #parts: FakeApiParts
  readonly #used = new Map<string, number[]>()
  /** Answers for calls to come, one each */
  readonly #planned = new Map<string, ApiAnswer[]>()
  #broken: ApiAnswer | null = null
  /** What the app was given, as its manifest asks for; the bot token has no more */
  readonly scopes = new Set([
    'chat:write',
    'commands',
    'im:write',
    'channels:read',
    'groups:read',
    'users:read',
    'channels:history',
    'groups:history',
    'im:history',
  ])
  /** Never more than so many messages in one page of history, as Slack may do */
  mostInPage = 999
  /** False: tests of other things are not held up by tiers */
  rates = false

  constructor(parts: FakeApiParts) {
    this.#parts = parts
  }

  plan(method: Method, ...answers: (ApiAnswer | string)[]): void {
    const planned = answers.map((answer) => (typeof answer === 'string' ? failed(answer) : answer))
    this.#planned.set(method, [...(this.#planned.get(method) ?? []), ...planned])
  }

  /** Nothing planned for this method counts any more. */
  forget(method: Method): void {
    this.#planned.delete(method)
  }

  /** Every call is answered so until null is given. */
  breakWith(answer: ApiAnswer | null): void {
    this.#broken = answer
  }

  answer(method: string, token: string | null, given: Readonly<Record<string, unknown>>): ApiAnswer {
    const answer = this.#answer(method, token, given)
    const body = answer.body as { ok?: boolean; error?: string }
    this.calls.push({
      method,
      args: given,
      at: this.#parts.now(),
      result: body.ok ? 'ok' : (body.error ?? `HTTP ${answer.status}`),
    })
    return answer
  }

  #answer(method: string, token: string | null, given: Readonly<Record<string, unknown>>): ApiAnswer {
    if (this.#broken !== null) return this.#broken
    if (!isMethod(method)) return failed('unknown_method')
    if (token === null) return failed('not_authed')
    const { appToken, botToken } = this.#parts
    if (token !== appToken && token !== botToken) return failed('invalid_auth')
    if ((token === appToken) !== APP_METHODS.has(method)) return failed('not_allowed_token_type')
    const needed = token === botToken ? this.#missingScope(method, given) : null
    if (needed !== null) return failed('missing_scope', { needed, provided: [...this.scopes].join(',') })
    const planned = this.#planned.get(method)?.shift()
    if (planned) return planned
    const wait = this.rates ? this.#overRate(method, given) : null
    if (wait !== null)
      return { status: 429, headers: { 'retry-after': String(wait) }, body: { ok: false, error: 'ratelimited' } }
    const parsed = ARGUMENTS[method].safeParse(given)
    if (!parsed.success) return refusal(parsed.error)
    return this.#run(method, parsed.data)
  }

  #missingScope(method: Method, given: Readonly<Record<string, unknown>>): string | null {
    const part = SCOPES_BY_KIND[method]
    const needed = part === undefined ? (SCOPES[method] ?? []) : [`${this.#kindOf(String(given['channel']))}:${part}`]
    return needed.find((scope) => !this.scopes.has(scope)) ?? null
  }

  #kindOf(channel: string): 'im' | 'groups' | 'channels' {
    if (channel.startsWith('D')) return 'im'
    return this.#parts.workspace.channels.get(channel)?.private ? 'groups' : 'channels'
  }

  /** Seconds to wait; null: there is room. */
  #overRate(method: Method, given: Readonly<Record<string, unknown>>): number | null {
    const now = this.#parts.now()
    const perChannel = method === 'chat.postMessage'
    const key = perChannel ? `${method} ${String(given['channel'])}` : method
    const [window, most] = perChannel ? [1000, 1] : [60_000, PER_MINUTE[method]]
    const used = (this.#used.get(key) ?? []).filter((at) => at > now - window)
    const oldest = used[0]
    if (used.length >= most && oldest !== undefined) return Math.max(1, Math.ceil((oldest + window - now) / 1000))
    this.#used.set(key, [...used, now])
    return null
  }

  #run(method: Method, args: unknown): ApiAnswer {
    switch (method) {
      case 'auth.test':
        return this.#authTest()
      case 'apps.connections.open':
        return ok({ url: this.#parts.socketUrl() })
      case 'chat.postMessage':
        return this.#postMessage(args as Arguments<'chat.postMessage'>)
      case 'chat.update':
        return this.#update(args as Arguments<'chat.update'>)
      case 'chat.postEphemeral':
        return this.#postEphemeral(args as Arguments<'chat.postEphemeral'>)
      case 'conversations.open':
        return this.#openDirect(args as Arguments<'conversations.open'>)
      case 'conversations.info':
        return this.#info(args as Arguments<'conversations.info'>)
      case 'conversations.members':
        return this.#members(args as Arguments<'conversations.members'>)
      case 'conversations.history':
        return this.#history(args as Arguments<'conversations.history'>)
      case 'conversations.replies':
        return this.#replies(args as Arguments<'conversations.replies'>)
      case 'users.list':
        return this.#usersList(args as Arguments<'users.list'>)
      case 'views.open':
        return this.#openView(args as Arguments<'views.open'>)
    }
  }

  #authTest(): ApiAnswer {
    const { workspace, appId } = this.#parts
    const headers = { 'x-oauth-scopes': [...this.scopes].join(',') }
    const said = ok({
      url: 'https://acme.slack.com/',
      team: 'Acme',
      user: 'sallyport',
      team_id: workspace.teamId,
      user_id: 'U0BOT',
      bot_id: 'B0BOT',
      app_id: appId,
    })
    return { ...said, headers }
  }

  #writable(id: string): FakeChannel | ApiAnswer {
    const channel = this.#parts.workspace.channels.get(id)
    if (!channel) return failed('channel_not_found')
    if (channel.archived) return failed('is_archived')
    if (channel.with !== null && this.#parts.workspace.users.get(channel.with)?.disabled) return failed('user_disabled')
    return channel.botIsIn ? channel : failed('not_in_channel')
  }

  #postMessage({ channel: id, text, blocks, metadata, thread_ts: thread }: Arguments<'chat.postMessage'>): ApiAnswer {
    const { workspace } = this.#parts
    const channel = this.#writable(id)
    if ('status' in channel) return channel
    if (textIn(blocks) > MOST_TEXT) return failed('msg_blocks_too_long')
    if (thread !== undefined && !workspace.messageAt(id, thread)) return failed('thread_not_found')
    const ts = workspace.newTs()
    workspace.messages.push({ channel: id, ts, thread: thread ?? null, text, blocks: blocks ?? [], metadata, edits: 0 })
    return ok({ channel: id, ts, message: { type: 'message', text, ts, bot_id: 'B0BOT' } })
  }

  #update({ channel, ts, text, blocks }: Arguments<'chat.update'>): ApiAnswer {
    const message = this.#parts.workspace.messageAt(channel, ts)
    if (!message) return failed('message_not_found')
    if (textIn(blocks) > MOST_TEXT) return failed('msg_too_long')
    message.text = text
    message.blocks = blocks ?? []
    message.edits++
    return ok({ channel, ts, text })
  }

  #postEphemeral({ channel: id, user, text, blocks }: Arguments<'chat.postEphemeral'>): ApiAnswer {
    const { workspace } = this.#parts
    const channel = this.#writable(id)
    if ('status' in channel) return channel
    if (!channel.members.has(user)) return failed('user_not_in_channel')
    workspace.whispers.push({ channel: id, user, text: JSON.stringify(blocks ?? text) })
    return ok({ message_ts: workspace.newTs() })
  }

  #openDirect({ users }: Arguments<'conversations.open'>): ApiAnswer {
    const user = this.#parts.workspace.users.get(users)
    if (!user) return failed('user_not_found')
    if (user.disabled) return failed('user_disabled')
    if (user.team !== null) return failed('user_not_visible')
    return ok({ channel: { id: this.#parts.workspace.directWith(users).id } })
  }

  #info({ channel: id }: Arguments<'conversations.info'>): ApiAnswer {
    const channel = this.#parts.workspace.channels.get(id)
    if (!channel) return failed('channel_not_found')
    const { private: hidden, archived, shared, botIsIn } = channel
    return ok({
      channel: {
        id,
        is_channel: true,
        is_private: hidden,
        is_archived: archived,
        is_ext_shared: shared,
        is_member: botIsIn,
      },
    })
  }

  #members({ channel: id, cursor, limit = 100 }: Arguments<'conversations.members'>): ApiAnswer {
    const channel = this.#parts.workspace.channels.get(id)
    if (!channel) return failed('channel_not_found')
    return pageOf([...channel.members], cursor, limit)
  }

  /** Newest first, without the lines of threads. */
  #history({ channel: id, ...asked }: Arguments<'conversations.history'>): ApiAnswer {
    const channel = this.#parts.workspace.channels.get(id)
    if (!channel) return failed('channel_not_found')
    if (!channel.botIsIn) return failed('not_in_channel')
    return this.#told(this.#parts.workspace.in(id).toReversed(), asked)
  }

  /** Oldest first; the message that they answer comes first. */
  #replies({ channel: id, ts, ...asked }: Arguments<'conversations.replies'>): ApiAnswer {
    const { workspace } = this.#parts
    const channel = workspace.channels.get(id)
    if (!channel) return failed('channel_not_found')
    if (!channel.botIsIn) return failed('not_in_channel')
    const parent = workspace.messageAt(id, ts)
    if (!parent) return failed('thread_not_found')
    return this.#told([parent, ...workspace.threadOf(parent)], asked, parent)
  }

  #told(
    messages: readonly FakeMessage[],
    {
      oldest,
      limit = 100,
      cursor,
      include_all_metadata: marked = false,
    }: Omit<Arguments<'conversations.history'>, 'channel'>,
    always?: FakeMessage,
  ): ApiAnswer {
    const { appId } = this.#parts
    const asked = messages.filter((message) => message === always || Number(message.ts) > Number(oldest))
    const page = pageOf(asked, cursor, Math.min(limit, this.mostInPage))
    const { members, ...rest } = page.body as { members?: FakeMessage[] }
    if (!members) return page
    const shown = members.map(({ ts, thread, text, blocks, metadata, app = appId }) => ({
      ...{ type: 'message', ts, text, blocks, bot_id: 'B0BOT', app_id: app },
      ...(thread === null ? {} : { thread_ts: thread }),
      ...(marked && metadata !== undefined ? { metadata } : {}),
    }))
    return { ...page, body: { ...rest, messages: shown } }
  }

  #usersList({ cursor, limit = 100 }: Arguments<'users.list'>): ApiAnswer {
    const users = [...this.#parts.workspace.users.values()].map(({ id, name, restricted, team }) => ({
      id,
      name,
      is_restricted: restricted,
      ...(team === null ? {} : { is_stranger: true }),
    }))
    return pageOf(users, cursor, limit)
  }

  #openView({ trigger_id: trigger, view }: Arguments<'views.open'>): ApiAnswer {
    const { workspace } = this.#parts
    const used = workspace.useTrigger(trigger)
    if ('error' in used) return failed(used.error)
    const id = workspace.newId('V')
    workspace.views.push({ id, user: used.user, view })
    workspace.opened.push({ user: used.user, view })
    return ok({ view: { id, ...view } })
  }
}

const isMethod = (method: string): method is Method => Object.hasOwn(ARGUMENTS, method)

/** Slack names some arguments' errors by their own words. */
function refusal(error: z.ZodError): ApiAnswer {
  const issue = error.issues[0]
  const argument = String(issue?.path[0] ?? '')
  const messages = error.issues.map((each) => `[ERROR] ${each.message} [json-pointer:/${each.path.join('/')}]`)
  return failed(WRONG[argument] ?? 'invalid_arguments', { response_metadata: { messages } })
}

function pageOf(all: readonly unknown[], cursor: string | undefined, limit: number): ApiAnswer {
  const place = cursor === undefined ? '0' : Buffer.from(cursor, 'base64url').toString()
  if (!/^\d{1,6}$/.test(place)) return failed('invalid_cursor')
  const from = Number(place)
  const next = from + limit < all.length ? Buffer.from(String(from + limit)).toString('base64url') : ''
  return ok({ members: all.slice(from, from + limit), response_metadata: { next_cursor: next } })
}
