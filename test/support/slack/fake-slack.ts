import { createHmac, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { FakeSockets } from './fake-sockets.ts'
import { FakeWebApi } from './fake-web-api.ts'
import { buttonsOf, FakeWorkspace, type FakeMessage } from './fake-workspace.ts'

export interface FakeSlackOptions {
  readonly teamId?: string
  readonly appId?: string
  /** How what people do reaches the app. `http`: `deliver` carries it; `socket`: an open socket does */
  readonly mode: 'http' | 'socket'
  /** Milliseconds since 1970 */
  readonly now?: () => number
}

/** One callback over HTTP, as bytes. `path`: interactions or commands */
export type Deliver = (
  path: string,
  headers: Record<string, string>,
  body: Buffer,
) => Promise<{ status: number; body: string }>

export interface Acknowledged {
  readonly status: number
  readonly body: string
  /** What was sent, to send it again or forge it */
  readonly sent: { readonly path: string; readonly payload: Readonly<Record<string, unknown>> }
}

/** Slack, as one app sees it: Web API, workspace, signed callbacks or sockets. Listens on 127.0.0.1. */
export class FakeSlack {
  readonly workspace: FakeWorkspace
  readonly api: FakeWebApi
  readonly sockets: FakeSockets
  readonly teamId: string
  readonly appId: string
  readonly botToken = `xoxb-fake-${randomBytes(12).toString('hex')}`
  readonly appToken = `xapp-fake-${randomBytes(12).toString('hex')}`
  readonly signingSecret = randomBytes(16).toString('hex')
  /** Requests to addresses that answer a click, by path */
  readonly responses: { readonly path: string; readonly body: string }[] = []
  /** Calls that are never answered, before or after what they ask for is done */
  silence: (method: string) => 'before' | 'after' | null = () => null
  /** How many calls wait for an answer that will not come */
  silenced = 0
  deliver: Deliver = () => Promise.reject(new Error('the stand-in was told no address of the app'))
  /** After a call has had its effect and before it is answered */
  beforeAnswer: (method: string) => Promise<void> = () => Promise.resolve()
  readonly mode: 'http' | 'socket'
  readonly #now: () => number
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  #port = 0

  static async start(options: FakeSlackOptions): Promise<FakeSlack> {
    const slack = new FakeSlack(options)
    await new Promise<void>((resolve) => slack.#server.listen(0, '127.0.0.1', resolve))
    slack.#port = (slack.#server.address() as AddressInfo).port
    return slack
  }

  private constructor({ teamId = 'T0ACME', appId = 'A0SALLY', mode, now = Date.now }: FakeSlackOptions) {
    this.teamId = teamId
    this.appId = appId
    this.mode = mode
    this.#now = now
    this.workspace = new FakeWorkspace(teamId, now)
    this.sockets = new FakeSockets(this.#server)
    const { botToken, appToken, workspace } = this
    const socketUrl = (): string => this.sockets.offer(`ws://127.0.0.1:${this.#port}`)
    this.api = new FakeWebApi({ workspace, appId, botToken, appToken, now, socketUrl })
  }

  get apiUrl(): string {
    return `http://127.0.0.1:${this.#port}/api/`
  }

  async stop(): Promise<void> {
    this.sockets.closeAll()
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  /** Presses a button that the message shows now. */
  press(user: string, message: FakeMessage, label: string): Promise<Acknowledged> {
    const button = buttonsOf(message.blocks).find((each) => each.label === label)
    if (!button) throw new Error(`the message shows no button "${label}": ${JSON.stringify(buttonsOf(message.blocks))}`)
    return this.pressOld(user, message, button)
  }

  /** As a client that has not loaded the newest state of the message yet. */
  pressOld(
    user: string,
    message: { channel: string; ts: string },
    button: { action: string; value: string | undefined; label: string },
  ): Promise<Acknowledged> {
    return this.send('interactions', this.click(user, message, button))
  }

  click(
    user: string,
    { channel, ts }: { channel: string; ts: string },
    button: { action: string; value: string | undefined; label: string },
  ): Record<string, unknown> {
    return {
      ...this.#common('block_actions', user),
      container: { type: 'message', message_ts: ts, channel_id: channel, is_ephemeral: false },
      channel: { id: channel, name: 'directmessage' },
      message: { type: 'message', ts, text: 'as Slack stored it' },
      response_url: `http://127.0.0.1:${this.#port}/actions/${this.teamId}/${randomBytes(8).toString('hex')}`,
      actions: [
        {
          type: 'button',
          block_id: 'b1',
          action_id: button.action,
          value: button.value,
          action_ts: this.workspace.newTs(),
        },
      ],
    }
  }

  /** Sends the newest dialog that stands open for `user`. Its answer closes or changes it, as Slack would. */
  async submit(user: string, values: Readonly<Record<string, string | readonly string[]>>): Promise<Acknowledged> {
    const open = this.workspace.viewOf(user)
    if (!open) throw new Error(`no dialog stands open for ${user}`)
    const answered = await this.send('interactions', this.submission(user, open.id, values))
    this.#applyAnswer(open.id, answered)
    return answered
  }

  submission(
    user: string,
    viewId: string,
    values: Readonly<Record<string, string | readonly string[]>>,
  ): Record<string, unknown> {
    const view = this.workspace.views.find((each) => each.id === viewId)?.view
    const inputs = (view?.blocks ?? []).flatMap((block) => (block.type === 'input' ? [block] : []))
    const unknown = Object.keys(values).filter((name) => !inputs.some((input) => input.block_id === name))
    if (unknown.length > 0) throw new Error(`the dialog has no ${unknown.join(', ')}`)
    const state = inputs.map(({ block_id: block, element, optional }) => {
      const value = values[block]
      if (value === undefined && optional !== true && !('initial_value' in element))
        throw new Error(`Slack sends no dialog without ${block}`)
      return [block, { [element.action_id]: typedInto(element, value) }]
    })
    return {
      ...this.#common('view_submission', user),
      view: {
        id: viewId,
        team_id: this.teamId,
        app_id: this.appId,
        hash: randomBytes(4).toString('hex'),
        ...view,
        state: { values: Object.fromEntries(state) },
      },
    }
  }

  command(user: string, channel: string, text: string): Promise<Acknowledged> {
    return this.send('commands', {
      team_id: this.teamId,
      team_domain: 'acme',
      channel_id: channel,
      channel_name: 'ops',
      user_id: user,
      user_name: this.workspace.users.get(user)?.name ?? user,
      command: '/access',
      text,
      api_app_id: this.appId,
      is_enterprise_install: 'false',
      response_url: `http://127.0.0.1:${this.#port}/commands/${this.teamId}/${randomBytes(8).toString('hex')}`,
      trigger_id: this.workspace.newTrigger(user),
    })
  }

  /** Delivers what somebody did, the way that this app is set up for. */
  async send(path: string, payload: Readonly<Record<string, unknown>>): Promise<Acknowledged> {
    if (this.mode === 'socket') return { ...(await this.sockets.deliver(path, payload)), sent: { path, payload } }
    const { headers, body } = this.signed(path, payload)
    return { ...(await this.deliver(path, headers, body)), sent: { path, payload } }
  }

  /** `shiftMs` moves the stamp; `secret` signs with another one. */
  signed(
    path: string,
    payload: Readonly<Record<string, unknown>>,
    { shiftMs = 0, secret = this.signingSecret }: { shiftMs?: number; secret?: string } = {},
  ): { headers: Record<string, string>; body: Buffer } {
    const fields = path === 'commands' ? flat(payload) : { payload: JSON.stringify(payload) }
    const body = Buffer.from(new URLSearchParams(fields).toString())
    const stamp = String(Math.floor((this.#now() + shiftMs) / 1000))
    const signature = createHmac('sha256', secret).update(`v0:${stamp}:`).update(body).digest('hex')
    return {
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'user-agent': 'Slackbot 1.0 (+https://api.slack.com/robots)',
        'x-slack-request-timestamp': stamp,
        'x-slack-signature': `v0=${signature}`,
      },
      body,
    }
  }

  #common(type: string, user: string): Record<string, unknown> {
    const known = this.workspace.users.get(user)
    return {
      type,
      team: { id: this.teamId, domain: 'acme' },
      user: { id: user, username: known?.name ?? user, name: known?.name ?? user, team_id: known?.team ?? this.teamId },
      api_app_id: this.appId,
      token: 'legacy-token-that-nobody-reads',
      trigger_id: this.workspace.newTrigger(user),
      is_enterprise_install: false,
      enterprise: null,
    }
  }

  #applyAnswer(viewId: string, { status, body }: Acknowledged): void {
    if (status !== 200) return
    const at = this.workspace.views.findIndex((each) => each.id === viewId)
    const open = this.workspace.views[at]
    const answer = body === '' ? null : (JSON.parse(body) as { response_action?: string; view?: never })
    if (answer?.response_action === 'errors') return
    if (answer?.response_action === 'update' && answer.view !== undefined && open) open.view = answer.view
    else this.workspace.views.splice(at, 1)
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString('utf8')
    const url = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (!url.pathname.startsWith('/api/')) {
      this.responses.push({ path: url.pathname, body })
      response.writeHead(200).end('ok')
      return
    }
    const args = argumentsOf(url, request.headers['content-type'] ?? '', body)
    const bearer = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1]
    const { token, ...given } = args
    const method = url.pathname.slice(5)
    const silence = this.silence(method)
    if (silence !== null) this.silenced++
    if (silence === 'before') return
    const answer = this.api.answer(method, bearer ?? (typeof token === 'string' ? token : null), given)
    await this.beforeAnswer(method)
    if (silence === 'after') return
    response.writeHead(answer.status, { 'content-type': 'application/json; charset=utf-8', ...answer.headers })
    response.end(JSON.stringify(answer.body))
  }
}

const flat = (payload: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(payload).map(([name, value]) => [name, String(value)]))

function argumentsOf(url: URL, type: string, body: string): Record<string, unknown> {
  const query = Object.fromEntries(url.searchParams)
  if (type.startsWith('application/json')) return { ...query, ...(JSON.parse(body) as Record<string, unknown>) }
  return { ...query, ...Object.fromEntries(new URLSearchParams(body)) }
}

function typedInto(
  element: { type: string; initial_value?: string | undefined },
  value: string | readonly string[] | undefined,
): Record<string, unknown> {
  const option = (each: string): object => ({ text: { type: 'plain_text', text: each }, value: each })
  if (element.type === 'static_select')
    return { type: element.type, selected_option: typeof value === 'string' ? option(value) : null }
  if (element.type === 'multi_static_select')
    return { type: element.type, selected_options: (typeof value === 'string' ? [value] : (value ?? [])).map(option) }
  return { type: element.type, value: value ?? element.initial_value ?? null }
}
