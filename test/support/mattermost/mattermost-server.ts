// Mattermost as an integration meets it: API v4 as far as we call it, buttons, forms and slash commands.
//
//   await using mattermost = await startMattermost()
//   const bob = mattermost.person('bob'); const channel = mattermost.channel('P', [bob])
//   await bob.press(post.id, 'Approve'); bob.dialog(); await bob.submit({ reason: 'fine' }); await bob.type(channel.id, '/access mine')
//   mattermost.fault = () => ({ status: 500 })          // instead of the next answers, while it is set
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { ApiError } from './api-error.ts'
import { addChannel, newHouse, newPerson, type Channel, type House, type Person } from './house.ts'
import { MattermostPerson } from './mattermost-person.ts'
import { ROUTES } from './routes.ts'
import { checkWithVendor } from './check-with-vendor.ts'

const BODY_BYTES = 1024 * 1024

export interface MattermostOptions {
  readonly now?: () => number
  /** How long a trigger id opens forms: 3 s on old servers, the time limit of integrations on current ones */
  readonly triggerLifeMs?: number
  readonly integrationTimeoutMs?: number
}

/** `cut`: the connection ends instead of an answer; `silent`: it stays, and nothing comes; `after`: what was asked is done all the same. */
export interface Fault {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly cut?: boolean
  readonly silent?: boolean
  readonly after?: boolean
}

export async function startMattermost(options: MattermostOptions = {}): Promise<Mattermost> {
  const mattermost = new Mattermost(options)
  await mattermost.listen()
  return mattermost
}

export class Mattermost implements AsyncDisposable {
  readonly house: House
  /** Asked at each call of the bot's; what it gives is what happens. */
  fault: (call: { readonly method: string; readonly path: string; readonly body: unknown }) => Fault | null = () => null
  /** Trusted when integrations are called. */
  ca: string | undefined
  readonly #timeoutMs: number
  readonly #server = createServer((request, response) => void this.#serve(request, response))
  url = ''

  constructor(options: MattermostOptions) {
    this.house = newHouse(options.now ?? Date.now, options.triggerLifeMs ?? 30_000)
    this.#timeoutMs = options.integrationTimeoutMs ?? 30_000
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get bot(): Person {
    return this.house.bot
  }

  person(username: string): MattermostPerson {
    const person = newPerson(username)
    this.house.people.set(person.id, person)
    return new MattermostPerson(this.url, this.house, person)
  }

  /** Of the team, with the bot among its members. */
  channel(type: 'O' | 'P', members: readonly MattermostPerson[], name = 'access'): Channel {
    const ids = [this.bot.id, ...members.map((member) => member.id)]
    return addChannel(this.house, { type, name, teamId: this.house.teamId, members: ids })
  }

  command(url: string): string {
    const token = this.house.newId()
    this.house.commands.push({ token, teamId: this.house.teamId, trigger: 'access', url })
    return token
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await readBody(request)
    const method = request.method ?? ''
    const path = (request.url ?? '').replace(/^\/api\/v4/, '')
    const bare = path.replace(/\?.*$/, '')
    const person = this.#personOf(request)
    const body = parsedBody(text)
    const fault = person?.isBot ? this.fault({ method, path: bare, body }) : null
    if (fault && !fault.after) return answerFault(response, fault)
    const query = new URL(path, 'http://127.0.0.1').searchParams
    const answered = await this.#answer({ method, path: bare, query, body, person })
    if (person?.isBot) {
      this.house.calls.push({ method, path: bare, body, status: answered.status })
      checkWithVendor({ method, path: bare, body, answered })
    }
    if (fault) return answerFault(response, fault)
    response.writeHead(answered.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(answered.body))
  }

  async #answer(call: {
    readonly method: string
    readonly path: string
    readonly query: URLSearchParams
    readonly body: unknown
    readonly person: Person | undefined
  }): Promise<{ status: number; body: unknown }> {
    try {
      // Readable without a session, as far as it concerns us
      if (call.method === 'GET' && call.path === '/config/client')
        return {
          status: 200,
          body: {
            DiagnosticId: this.house.siteId,
            Version: '10.11.0',
            AsymmetricSigningPublicKey: this.house.triggers.publicKey,
          },
        }
      for (const route of ROUTES) {
        const found = route.call.exec(`${call.method} ${call.path}`)
        if (!found) continue
        if (!call.person)
          throw new ApiError(401, 'api.context.session_expired.app_error', 'Invalid or expired session.')
        const outgoing = { ca: this.ca, timeoutMs: this.#timeoutMs }
        return await route.answer({
          house: this.house,
          person: call.person,
          ids: found.slice(1),
          body: call.body,
          query: call.query,
          outgoing,
        })
      }
      throw new ApiError(404, 'api.context.404.app_error', 'Sorry, we could not find the page.')
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      const { id, message, status } = error
      return { status, body: { id, message, detailed_error: '', request_id: this.house.newId(), status_code: status } }
    }
  }

  #personOf(request: IncomingMessage): Person | undefined {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    return [...this.house.people.values()].find((person) => person.token === token)
  }
}

function parsedBody(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    return text
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length <= BODY_BYTES) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function answerFault(response: ServerResponse, fault: Fault): void {
  if (fault.silent) return
  if (fault.cut) {
    response.destroy()
    return
  }
  const status = fault.status ?? 500
  response.writeHead(status, { 'content-type': 'application/json', ...fault.headers })
  response.end(JSON.stringify({ id: 'stand_in.fault', message: 'It does not work.', status_code: status }))
}
