import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AccessRequests } from '../../src/access/access-requests.ts'
import type { AccessRequest } from '../../src/contract/request.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { identityChecks } from '../../src/http-api/identity-handlers.ts'
import { createApi, type Api } from '../../src/http-api/server.ts'
import { rawCall, type RawAnswer } from '../http-api/raw-call.ts'
import { identityWorld, type IdentityWorld, type SignedInPerson } from './identity-world.ts'
import { hiddenOf } from './page-visitor.ts'
import { sentOrigin } from './sent-origin.ts'

const HOST = 'sallyport.test'
const LOCAL = {
  actor: { kind: 'local-admin', id: null, name: 'local-admin' },
  userId: null,
  loginId: null,
  local: true,
} as const

interface Sent {
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** The pages over a real listener: alice (no second factor) may ask for `dba`, bob (with one) reviews everything. */
export class PageHouse {
  readonly world: IdentityWorld
  readonly requests: AccessRequests
  readonly alice: SignedInPerson
  readonly bob: SignedInPerson
  readonly socket: string
  readonly #folder: string
  readonly #api: Api
  #addresses = 0

  private constructor(world: IdentityWorld, people: readonly [SignedInPerson, SignedInPerson]) {
    const { database, deeds, clock, services } = world
    this.world = world
    ;[this.alice, this.bob] = people
    this.requests = new AccessRequests({ reads: database.reads, deeds, clock, log: silentLog, takeAway: () => {} })
    this.#folder = mkdtempSync(join(tmpdir(), 'pages-'))
    this.socket = join(this.#folder, 'api')
    this.#api = createApi({
      handlers: {},
      ...identityChecks(services),
      reportRefused: () => {},
      origins: [],
      pages: { ...services, requests: this.requests, log: silentLog },
      callbacks: async ({ integration: name, path, body, headers }) =>
        name === 'echo'
          ? {
              status: 200,
              headers: { 'content-type': 'text/plain' },
              body: `${path} ${body.length} ${headers['x-twice'] ?? ''}`,
            }
          : null,
      notReady: async () => [],
      metrics: async () => ({ contentType: 'text/plain', text: '' }),
      clock: { ...systemClock, now: () => clock.now() },
      log: silentLog,
    })
  }

  static async open(): Promise<PageHouse> {
    const world = await identityWorld()
    await world.role('dba')
    await world.role('engineer', { request: { roles: ['dba'] } })
    await world.role('lead', { review_requests: { roles: ['*'] } })
    const alice = await world.person('alice', ['engineer'], true)
    const house = new PageHouse(world, [alice, await world.person('bob', ['lead'])])
    await house.#api.serve(house.socket)
    return house
  }

  async close(): Promise<void> {
    await this.#api.close(200)
    await this.world.close()
    rmSync(this.#folder, { recursive: true })
  }

  async call(method: string, path: string, { form, headers }: Sent = {}): Promise<RawAnswer> {
    const body = form === undefined ? undefined : Buffer.from(new URLSearchParams(form).toString())
    const type = body ? { 'content-type': 'application/x-www-form-urlencoded' } : {}
    const at = this.#addresses++
    return await rawCall(this.socket, {
      ...{ method, path, body, headers: { host: HOST, ...type, ...headers } },
      peer: `PEER 10.2.${at >> 8}.${at & 255} 1\n`,
    })
  }

  /** Opens the page as a browser does, and sends its form. */
  async fill(path: string, form: Readonly<Record<string, string>>, headers: Sent['headers'] = {}): Promise<RawAnswer> {
    await this.call('GET', path)
    // The form of a page that is over by now was good in this browser all the same.
    return await this.send(await this.call('GET', '/r/any'), path, form, headers)
  }

  /** Sends the first form of a page that was seen, as its browser would. */
  async send(
    seen: RawAnswer,
    path: string,
    form: Readonly<Record<string, string>>,
    headers: Sent['headers'] = {},
  ): Promise<RawAnswer> {
    const cookie = String(seen.headers['set-cookie']).split(';')[0] ?? ''
    const policy = seen.headers['referrer-policy']
    return await this.call('POST', path, {
      form: { ...hiddenOf(seen.text.split('</form>')[0] ?? ''), ...form },
      headers: { cookie, origin: sentOrigin(`https://${HOST}`, policy), ...headers },
    })
  }

  /** Alice asks for `dba`. */
  async asked(reason = 'ticket 7'): Promise<string> {
    const { id, loginId } = this.alice
    const caller = { actor: { kind: 'user', id, name: 'alice' }, userId: id, loginId, local: false } as const
    const { request } = await this.requests.ask(caller, {
      ...{ roles: ['dba'], resources: [], narrowing: null, reason, durationMs: 3_600_000 },
      ...{ pendingForMs: null, reviewers: [], start: { at: 'approval' } },
    })
    return request.id
  }

  async standing(id: string): Promise<AccessRequest> {
    return await this.requests.show(LOCAL, id)
  }
}
