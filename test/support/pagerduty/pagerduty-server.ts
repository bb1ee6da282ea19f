// PagerDuty as an integration meets it: the REST API, Events API v2 and webhooks v3, on one address.
//
//   await using pagerduty = await startPagerDuty()
//   const ada = pagerduty.user('Ada', 'ada@acme.test'); const primary = pagerduty.schedule()
//   pagerduty.shift(ada, { schedule: primary, start, end }); pagerduty.override(primary, ada, start, end)
//   const subscription = pagerduty.subscribe(url); await pagerduty.annotate(incident, ada, '/access link')
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { vendorDescription } from '../vendor-apis.ts'
import {
  refusal,
  type Alert,
  type Answer,
  type Call,
  type Fault,
  type Incident,
  type OnCall,
  type PagerDutyHouse,
  type PagerDutyUser,
  type Subscription,
} from './house.ts'
import { ROUTES } from './routes.ts'

export async function startPagerDuty(options: { now?: () => number } = {}): Promise<PagerDuty> {
  const pagerduty = new PagerDuty(options.now ?? Date.now)
  await pagerduty.listen()
  return pagerduty
}

export type { PagerDutyUser, Subscription } from './house.ts'

export class PagerDuty implements AsyncDisposable, PagerDutyHouse {
  readonly now: () => number
  readonly account = 'acme'
  readonly token = `pd-token-${randomUUID()}`
  readonly service = 'PSERVICE1'
  readonly routingKey = randomUUID().replaceAll('-', '')
  readonly users: PagerDutyUser[] = []
  readonly oncalls: OnCall[] = []
  readonly overrides: { schedule: string; user: string; start: number; end: number }[] = []
  readonly incidents = new Map<string, Incident>()
  readonly alerts = new Map<string, Alert>()
  readonly subscriptions = new Map<string, Subscription>()
  readonly calls: Call[] = []
  readonly problems: string[] = []
  /** Listed in one page, whatever limit was asked for: whoever stops after one has read a part */
  pageSize = 100
  /** How far its clock goes before ours, ms */
  skewMs = 0
  fault: (call: Call) => Fault | null = () => null
  /** Calls that were done and not answered */
  held = 0
  url = ''
  #lastId = 100
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  constructor(now: () => number) {
    this.now = now
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  newId(letter = 'P'): string {
    this.#lastId += 1
    return `${letter}${this.#lastId.toString(36).toUpperCase().padStart(6, '0')}`
  }

  user(name: string, email: string): PagerDutyUser {
    const user = { id: this.newId(), name, email }
    this.users.push(user)
    return user
  }

  shift(
    user: PagerDutyUser,
    { schedule = null, policy = 'PPOLICY1', level = 1, start = null, end = null }: Partial<Omit<OnCall, 'user'>>,
  ): void {
    this.oncalls.push({ user: user.id, schedule, policy, level, start, end })
  }

  override(schedule: string, user: PagerDutyUser, start: number, end: number): void {
    this.overrides.push({ schedule, user: user.id, start, end })
  }

  /** A webhook subscription as its owner made it. */
  subscribe(url: string): Subscription {
    const subscription = {
      id: this.newId(),
      url,
      secrets: [`whsec-${randomUUID()}`],
      drops: 0,
      temporarilyDisabled: false,
    }
    this.subscriptions.set(subscription.id, subscription)
    return subscription
  }

  only(): Incident {
    const [incident, ...more] = this.incidents.values()
    if (!incident || more.length > 0) throw new Error(`there are ${this.incidents.size} incidents`)
    return incident
  }

  async annotate(incident: Incident, user: PagerDutyUser | null, content: string): Promise<void> {
    const id = this.newId()
    incident.notes.push({ id, content, by: user?.email ?? '' })
    await this.tell('incident.annotated', user, {
      id,
      type: 'incident_note',
      content,
      trimmed: false,
      incident: { id: incident.id, type: 'incident_reference', html_url: `https://elsewhere.test/${incident.id}` },
    })
  }

  async setStatus(incident: Incident, user: PagerDutyUser, status: Incident['status']): Promise<void> {
    incident.status = status
    await this.tell(`incident.${status}`, user, { id: incident.id, type: 'incident', status })
  }

  /** To every subscription. A status that is neither 2xx nor 5xx drops the event; three in a row switch it off. */
  async tell(type: string, user: PagerDutyUser | null, data: object): Promise<void> {
    const agent = user && { id: user.id, type: 'user_reference', summary: user.name, self: 'http://169.254.169.254/' }
    const event = { id: this.newId('E'), event_type: type, resource_type: 'incident', agent, client: null, data }
    const body = JSON.stringify({ event: { ...event, occurred_at: new Date(this.now()).toISOString() } })
    for (const subscription of this.subscriptions.values()) await this.deliver(subscription, body)
  }

  async deliver(subscription: Subscription, body: string): Promise<number> {
    if (subscription.temporarilyDisabled) return 0
    const signatures = subscription.secrets.map(
      (secret) => `v1=${createHmac('sha256', secret).update(body).digest('hex')}`,
    )
    const status = await this.post(subscription.url, body, {
      'x-pagerduty-signature': signatures.join(','),
      'x-webhook-id': randomUUID(),
      'x-webhook-subscription': subscription.id,
    })
    subscription.drops = status >= 400 && status < 500 ? subscription.drops + 1 : 0
    if (subscription.drops >= 3) subscription.temporarilyDisabled = true
    return status
  }

  post: (url: string, body: string, headers: Readonly<Record<string, string>>) => Promise<number> = async (
    url,
    body,
    headers,
  ) => (await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })).status

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://pagerduty')
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const { from, authorization, accept = '' } = request.headers
    const call: Call = { method: request.method ?? 'GET', path: pathname, query: searchParams, body, from }
    this.calls.push(call)
    const fault = this.fault(call)
    const { status = 500, headers = {}, hold = false } = fault ?? {}
    const answer: Answer = fault && !hold ? { status, headers } : this.#answer(call, authorization, accept)
    if (hold) {
      this.held += 1
      return
    }
    const date = new Date(this.now() + this.skewMs).toUTCString()
    response.sendDate = false
    response.writeHead(answer.status, { 'content-type': 'application/json', date, ...answer.headers })
    response.end('body' in answer ? JSON.stringify(answer.body) : '')
  }

  #answer(call: Call, authorization: string | undefined, accept: string): Answer {
    const isEvent = call.path === '/v2/enqueue'
    if (!isEvent && authorization !== `Token token=${this.token}`)
      return { status: 401, body: { error: { message: 'Unauthorized', code: 2006 } } }
    if (!isEvent && !accept.includes('version=2')) return refusal(400, 2001, 'the Accept header names no version')
    const problem = isEvent
      ? null
      : vendorDescription('pagerduty-rest.json')?.problemWith(call.method, call.path, call.body)
    // The vendor's description wants an object there and its own example is a text.
    if (problem && problem !== 'data/incident/body/details must be object')
      this.problems.push(`${call.method} ${call.path}: ${problem}`)
    for (const [method, pattern, handle] of ROUTES) {
      const found = method === call.method ? pattern.exec(call.path) : null
      if (found) return handle(this, call, found.slice(1).map(decodeURIComponent))
    }
    return { status: 404, body: { error: { message: 'Not Found', code: 2100 } } }
  }
}
