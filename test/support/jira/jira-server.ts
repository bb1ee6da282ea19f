// Jira as an integration meets it: a workflow, its change log, signed webhooks, and a search that lags behind.
//
//   await using jira = await startJira({ product: 'cloud' })
//   jira.webhook = { url, secret }                       // calls until it is answered 2xx, at most three times
//   const bob = jira.person('Bob'); await bob.move(jira.only(), 'approved')
//   jira.fault = ({ method, path }) => ({ status: 429, headers: { 'retry-after': '30' } })
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  STATUSES,
  refusal,
  type Answer,
  type Call,
  type Fault,
  type HistoryEntry,
  type Issue,
  type JiraAccount,
  type JiraHouse,
  type StatusName,
} from './house.ts'
import { ROUTES } from './routes.ts'
import { vendorDescription } from '../vendor-apis.ts'

export async function startJira(options: { product: 'cloud' | 'datacenter'; now?: () => number }): Promise<Jira> {
  const jira = new Jira(options.product, options.now ?? Date.now)
  await jira.listen()
  return jira
}

export { STATUSES, type Issue } from './house.ts'

export class Jira implements AsyncDisposable, JiraHouse {
  readonly product: 'cloud' | 'datacenter'
  readonly now: () => number
  readonly project = { id: '10000', key: 'OPS' } as const
  readonly issueType = '10001'
  readonly bot: JiraAccount = { id: 'bot-account', name: 'Sallyport', type: 'atlassian' }
  readonly botEmail = 'sallyport@acme.test'
  readonly token = `jira-token-${randomUUID()}`
  readonly issues = new Map<string, Issue>()
  readonly calls: Call[] = []
  /** What the vendor's own description has against what was sent; empty without VENDOR_APIS */
  readonly problems: string[] = []
  /** Ways through the workflow: from anywhere, unless it says from where */
  transitions: { id: string; to: string; from?: string }[] = Object.values(STATUSES).map((to) => ({ id: `9${to}`, to }))
  webhook: { readonly url: string; readonly secret: string } | null = null
  readonly webhookAnswers: number[] = []
  /** Search finds what is older than this */
  searchLagMs = 0
  fault: (call: Call) => Fault | null = () => null
  /** Calls that were done and not answered */
  held = 0
  url = ''
  #lastId = 10_000
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  constructor(product: 'cloud' | 'datacenter', now: () => number) {
    this.product = product
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

  newId(): string {
    this.#lastId += 1
    return String(this.#lastId)
  }

  /** The issue that there is. */
  only(): Issue {
    const [issue, ...more] = this.issues.values()
    if (!issue || more.length > 0) throw new Error(`there are ${this.issues.size} issues`)
    return issue
  }

  person(name: string, more: Partial<JiraAccount> = {}): JiraPerson {
    return new JiraPerson(this, { id: `acc-${name.toLowerCase()}`, name, type: 'atlassian', ...more })
  }

  /** A move as Jira makes it: the change log first, then who listens is called. Returns the id of the change. */
  async move(issue: Issue, to: string, author: JiraAccount, tell = true): Promise<string> {
    const entry: HistoryEntry = {
      id: this.newId(),
      author,
      created: this.now(),
      items: [{ field: 'status', from: issue.status, to }],
    }
    issue.history.push(entry)
    issue.status = to
    issue.updatedAt = this.now()
    if (tell) await this.call(issue, entry)
    return entry.id
  }

  /** Texts have no ids in the change log, so `from` and `to` say nothing of them. */
  log(issue: Issue, author: JiraAccount, texts: { readonly summary: string; readonly description: unknown }): void {
    const changed = (['summary', 'description'] as const).filter(
      (field) => JSON.stringify(issue[field]) !== JSON.stringify(texts[field]),
    )
    const items = changed.map((field) => ({ field, from: null, to: null }))
    if (items.length > 0) issue.history.push({ id: this.newId(), author, created: this.now(), items })
  }

  /** Calls the webhook as Jira does; `claims`: what the payload says and the change log does not. */
  async call(issue: Issue, entry: HistoryEntry, claims: object = {}): Promise<number> {
    if (!this.webhook) return 0
    const { url, secret } = this.webhook
    const body = JSON.stringify({
      timestamp: this.now(),
      webhookEvent: 'jira:issue_updated',
      issue_event_type_name: 'issue_generic',
      user: this.shownAccount(entry.author),
      issue: { id: issue.id, key: issue.key, self: `${this.url}/rest/api/2/issue/${issue.id}` },
      changelog: { id: entry.id, items: entry.items },
      ...claims,
    })
    const identifier = randomUUID()
    for (let retry = 0; retry < 3; retry++) {
      const headers = {
        'x-hub-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
        'x-atlassian-webhook-identifier': identifier,
        ...(retry > 0 ? { 'x-atlassian-webhook-retry': String(retry) } : {}),
      }
      // Whoever does not answer is called again as well.
      const status = await this.post(url, body, headers).catch(() => 0)
      this.webhookAnswers.push(status)
      if (status >= 200 && status < 300) return status
    }
    return this.webhookAnswers.at(-1) ?? 0
  }

  /** How the product calls somebody else; tests replace it where the daemon's certificate is its own. */
  post: (url: string, body: string, headers: Readonly<Record<string, string>>) => Promise<number> = async (
    url,
    body,
    headers,
  ) => (await fetch(url, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } })).status

  shownAccount({ id, name, type }: JiraAccount): object {
    return this.product === 'cloud'
      ? { accountId: id, accountType: type, displayName: name, active: true }
      : { key: id, name: name.toLowerCase(), displayName: name, active: true }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString('utf8')
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://jira')
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    const call: Call = { method: request.method ?? 'GET', path: pathname, query: searchParams, body }
    this.calls.push(call)
    const fault = this.fault(call)
    const isDone = !fault || fault.after === true || fault.hold === true
    const answer = isDone ? this.#answer(call, request.headers.authorization ?? '') : null
    if (fault?.hold === true) {
      this.held += 1
      return
    }
    if (fault?.cut === true) {
      request.socket.destroy()
      return
    }
    const given = fault ? { status: fault.status ?? 500, headers: fault.headers ?? {}, body: fault.body } : answer
    response.writeHead(given?.status ?? 500, { 'content-type': 'application/json', ...given?.headers })
    const shown = given?.body
    response.end(shown === undefined ? '' : typeof shown === 'string' ? shown : JSON.stringify(shown))
  }

  #answer(call: Call, authorization: string): Answer {
    const basic = Buffer.from(`${this.botEmail}:${this.token}`).toString('base64')
    if (authorization !== (this.product === 'cloud' ? `Basic ${basic}` : `Bearer ${this.token}`))
      return refusal(401, 'Client must be authenticated to access this resource.')
    const root = this.product === 'cloud' ? '/rest/api/3' : '/rest/api/2'
    if (!call.path.startsWith(root)) return refusal(404, 'null for uri')
    this.#checkWithVendor(call)
    const path = call.path.slice(root.length)
    for (const [method, pattern, handle] of ROUTES) {
      const found = method === call.method ? pattern.exec(path) : null
      if (found) return handle(this, call, found.slice(1).map(decodeURIComponent))
    }
    return refusal(404, `no such operation: ${call.method} ${path}`)
  }

  #checkWithVendor({ method, path, body }: Call): void {
    const isCloud = this.product === 'cloud'
    const description = vendorDescription(isCloud ? 'jira-cloud.json' : 'jira-dc.json')
    const problem = description?.problemWith(method, isCloud ? path : path.replace(/^\/rest/, ''), body)
    // The description of Data Center says that every field is an object, and shows texts in its examples.
    const real = (problem ?? '').split(', ').filter((one) => !/^data\/fields\/\w+ must be object$/.test(one))
    if (problem && (isCloud || real.length > 0)) this.problems.push(`${method} ${path}: ${real.join(', ')}`)
  }
}

export class JiraPerson {
  readonly account: JiraAccount
  readonly #jira: Jira

  constructor(jira: Jira, account: JiraAccount) {
    this.#jira = jira
    this.account = account
  }

  /** Presses a button of the workflow in the browser. */
  move(issue: Issue, status: StatusName, tell = true): Promise<string> {
    return this.#jira.move(issue, STATUSES[status], this.account, tell)
  }
}
