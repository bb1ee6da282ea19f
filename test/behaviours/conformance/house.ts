// A real daemon on one kind of store, driven over its API alone: one scene for each behaviour, with roles of its own; people come from
// pools, and their roles and traits are set anew.
import { ApiError } from '../../../src/contract/api-error.ts'
import { proxyTransport, type OpenTransport } from '../../../src/cli/shared/proxy-transport.ts'
import { createDeviceKey } from '../../../src/cli/sally/login/device-key.ts'
import { createClient, type Answer, type Client, type Transport } from '../../../src/contract/client.ts'
import type { AccessRequest, AskBody, ReviewBody } from '../../../src/contract/request.ts'
import type { RoleDocument } from '../../../src/contract/role.ts'
import type { z } from 'zod'
import { createAuthenticator, type Authenticator } from '../../support/account.ts'
import { PostgresServer } from '../../support/postgres.ts'
import { startSallyport, type Sallyport } from '../../support/sallyport.ts'
import type { StoreKind } from '../../support/stores.ts'

export const HOUR = 3_600_000
/** Nobody asks more than twenty times an hour. */
const SCENES_OF_A_REQUESTER = 6
/** Nobody connects to it. */
const NODE = {
  address: '127.0.0.1:22',
  host_key: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO0ZIPmLhdDHQ9JC8r1tPDUFF0SFIIpOHtAmHHwLnqjh',
}
type RoleSpec = z.input<typeof RoleDocument>['spec']
type RequestBlock = NonNullable<NonNullable<RoleSpec['allow']>['request']>
type ReviewBlock = NonNullable<NonNullable<RoleSpec['allow']>['review_requests']>
type Traits = Readonly<Record<string, string[]>>

export interface Person {
  readonly name: string
  readonly api: Client
  /** Any bytes to any path, with this person's token; gives status, and the code of a refusal. */
  send(method: Method, target: string, body?: string): Promise<{ status: number; code: string | null }>
}
type Method = Parameters<Transport>[0]['method']

export interface SceneOptions {
  /** Of the role that lets the requester ask for `roles`; `roles` is filled in when left out */
  readonly request?: RequestBlock
  /** Roles to be asked for, by their short names; `dba` when left out */
  readonly roles?: Readonly<Record<string, RoleSpec>>
  readonly review?: ReviewBlock
  /** Traits of the reviewers; their number is how many there are. Two without traits when left out */
  readonly reviewers?: readonly Traits[]
  readonly traits?: Traits
}

export interface Scene {
  readonly requester: Person
  readonly reviewers: readonly Person[]
  /** Full name of a role of this scene */
  role(short: string): string
  /** Makes or replaces a role of this scene. */
  define(short: string, spec: RoleSpec): Promise<void>
  /** Makes or replaces a node of this scene; `env: prod` when there are no labels. */
  node(short: string, labels?: Readonly<Record<string, string>>): Promise<void>
  /** Logins that the requester may use now on a node of this scene. */
  loginsAt(short: string): Promise<string[]>
  /** Replaces roles (short names) and traits. */
  give(person: Person, roles: readonly string[], traits?: Traits): Promise<void>
  ask(more?: Partial<Omit<AskBody, 'roles'>>, roles?: readonly string[]): Promise<AccessRequest>
  vote(
    reviewer: number | Person,
    request: AccessRequest,
    decision: 'approve' | 'deny',
    more?: Partial<ReviewBody>,
  ): Promise<AccessRequest>
  /** As its requester sees it. */
  look(request: AccessRequest): Promise<AccessRequest>
}

export class ConformanceHouse implements AsyncDisposable {
  readonly sallyport: Sallyport
  readonly #server: PostgresServer | null
  readonly #open: OpenTransport[] = []
  readonly #pool: Person[] = []
  readonly #requesters: Person[] = []
  #ping: Answer<'ping'> | null = null
  #scenes = 0

  private constructor(sallyport: Sallyport, server: PostgresServer | null) {
    this.sallyport = sallyport
    this.#server = server
  }

  static async start(kind: StoreKind): Promise<ConformanceHouse> {
    const server = kind === 'postgres' ? await PostgresServer.start() : null
    try {
      const config = server ? { storage: server.url(await server.database()) } : {}
      return new ConformanceHouse(await startSallyport({ config }), server)
    } catch (error) {
      await server?.stop()
      throw error
    }
  }

  get admin(): Client {
    return this.sallyport.api
  }

  async scene(options: SceneOptions = {}): Promise<Scene> {
    const { admin } = this
    const tag = `s${++this.#scenes}`
    const full = (short: string): string => `${tag}-${short}`
    const roles = options.roles ?? { dba: { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } } }
    const define = (short: string, spec: RoleSpec): Promise<void> =>
      this.sallyport.role({ kind: 'role', metadata: { name: full(short) }, spec })
    for (const [short, spec] of Object.entries(roles)) await define(short, spec)
    await define('dev', { allow: { request: { roles: Object.keys(roles).map(full), ...options.request } } })
    await define('reviewer', { allow: { review_requests: { roles: [full('*')], ...options.review } } })
    const give = async (person: Person, names: readonly string[], traits: Traits = {}): Promise<void> => {
      const spec = { roles: names.map(full), traits: { ...traits } }
      await this.sallyport.document({ kind: 'user', metadata: { name: person.name }, spec })
    }
    const requester = await this.#nextRequester()
    await give(requester, ['dev'], options.traits)
    const reviewers: Person[] = []
    for (const [index, traits] of (options.reviewers ?? [{}, {}]).entries()) {
      const reviewer = await this.#fromPool(index)
      await give(reviewer, ['reviewer'], traits)
      reviewers.push(reviewer)
    }
    const look = (request: AccessRequest): Promise<AccessRequest> =>
      requester.api.showRequest({ params: { id: request.id } })
    return {
      requester,
      reviewers,
      role: full,
      define,
      give,
      look,
      node: (short, labels = { env: 'prod' }) =>
        this.sallyport.document({ kind: 'node', metadata: { name: full(short), labels }, spec: NODE }),
      async loginsAt(short) {
        const { items } = await requester.api.listNodes({})
        return items.flatMap(({ name, logins }) => (name === full(short) ? logins : [])).toSorted()
      },
      async ask(more = {}, names = Object.keys(roles)) {
        const body = { roles: names.map((name) => (name === '*' ? name : full(name))), reason: 'ticket #1', ...more }
        const { request } = await requester.api.ask({ body })
        if (!request) throw new Error('nothing was asked for')
        return request
      },
      async vote(who, { id }, decision, more = {}) {
        const person = typeof who === 'number' ? reviewers[who] : who
        if (!person) throw new Error(`there is no reviewer ${String(who)}`)
        const { requestDigest, factsDigest } = await admin.showRequest({ params: { id } })
        const body = { decision, reason: 'seen', requestDigest, factsDigest, ...more }
        return await person.api.review({ params: { id }, body })
      },
    }
  }

  async #nextRequester(): Promise<Person> {
    const index = Math.floor((this.#scenes - 1) / SCENES_OF_A_REQUESTER)
    return (this.#requesters[index] ??= await this.#newPerson(`requester-${index}`))
  }

  /** Somebody who is signed in, with an authenticator app. */
  async #fromPool(index: number): Promise<Person> {
    const known = this.#pool[index]
    if (known) return known
    const person = await this.#newPerson(`reviewer-${index}`, true)
    this.#pool.push(person)
    return person
  }

  async #newPerson(name: string, factor = false): Promise<Person> {
    const { code } = await this.sallyport.user(name)
    const { transport } = await this.#transport()
    const key = createDeviceKey(name)
    const body = { code, password: 'correct horse battery', device: 'conformance', sshPublicKey: key.publicLine }
    const { token } = await createClient(transport).acceptInvitation({ body })
    const plain = createClient(transport, { token })
    const send: Person['send'] = (method, target, sent) => sendRaw(transport, token, { method, target, body: sent })
    if (!factor) return { name, api: plain, send }
    const app = createAuthenticator()
    for (let i = 0; i < APPS; i++) await addTo(app, plain)
    return { name, api: createClient(transport, { token, stepUpCode: () => app.code() }), send }
  }

  async #transport(): Promise<OpenTransport> {
    const [known] = this.#open
    if (known) return known
    this.#ping ??= await this.admin.ping({})
    const { proxyName, tlsAuthority } = this.#ping
    const opened = proxyTransport({ host: '127.0.0.1', port: this.sallyport.port, name: proxyName, tlsAuthority })
    this.#open.push(opened)
    return opened
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const open of this.#open) open.close()
    await this.sallyport.stop()
    await this.#server?.stop()
  }
}

async function sendRaw(
  transport: Transport,
  token: string,
  { method, target, body }: { method: Method; target: string; body: string | undefined },
): Promise<{ status: number; code: string | null }> {
  const headers = { 'sallyport-contract': '1', authorization: `Bearer ${token}`, accept: 'application/json' }
  const typed = body === undefined ? headers : { ...headers, 'content-type': 'application/json' }
  const bytes = body === undefined ? null : new TextEncoder().encode(body)
  const answer = await transport({ method, target, headers: typed, body: bytes })
  const chunks: Uint8Array[] = []
  for await (const chunk of answer.body) chunks.push(chunk)
  const text = Buffer.concat(chunks).toString()
  const code = answer.status < 400 ? null : (JSON.parse(text) as { error: { code: string } }).error.code
  return { status: answer.status, code }
}

/** Of each person: a code works once and is followed by the next in half a minute, which nobody wants to wait for. */
const APPS = 3

async function addTo(app: Authenticator, api: Client): Promise<void> {
  const { id, secret } = await api.addTotp({ body: { name: 'app' } })
  await api.confirmTotp({ params: { id }, body: { code: await app.add(secret) } })
}

/** The code with which a call is refused; fails when it is not. */
export async function refusalOf(call: Promise<unknown>): Promise<string> {
  try {
    await call
  } catch (error) {
    if (error instanceof ApiError) return error.code
    throw error
  }
  return 'was not refused'
}
