import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { offerLink } from '../../src/access/from-chat/account-link.ts'
import { Delegations } from '../../src/access/delegation/delegations.ts'
import { AccessRequests } from '../../src/access/access-requests.ts'
import type { EventType } from '../../src/contract/audit.ts'
import { routes } from '../../src/contract/routes.ts'
import type { Route, RouteName } from '../../src/contract/routes.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { actionOf } from '../../src/http-api/freshness.ts'
import { identityChecks, identityHandlers } from '../../src/http-api/identity-handlers.ts'
import { delegationHandlers } from '../../src/http-api/delegations.ts'
import { integrationHandlers } from '../../src/http-api/integrations.ts'
import { requestHandlers } from '../../src/http-api/requests.ts'
import { createApi } from '../../src/http-api/server.ts'
import type { Api } from '../../src/http-api/server.ts'
import { codeOf, deviceKey, identityWorld, PASSWORD } from '../support/identity-world.ts'
import type { IdentityWorld, SignedInPerson } from '../support/identity-world.ts'
import { rawCall } from './raw-call.ts'
import type { RawAnswer } from './raw-call.ts'

// Walks the contract: every route that is no GET is called for real and must store its events, or say why it has none.

const MUTATING = (Object.keys(routes) as RouteName[]).filter((name) => {
  const route: Route = routes[name]
  return route.method !== 'GET' && route.eventless === undefined
})

/** Tested with their own parts: what they need is more than this folder builds. */
const ELSEWHERE: { readonly [K in RouteName]?: string } = {
  terminateSession: 'src/http-api/sessions.test.ts',
  reloadPolicies: 'test/journeys/automation.test.ts',
  issueDatabaseCertificate: 'src/http-api/databases.test.ts',
  verifyAudit: 'src/audit',
  acceptRollback: 'src/audit',
}

let world: IdentityWorld
let folder: string
let api: Api
let alice: SignedInPerson
let root: SignedInPerson
let addresses = 0

beforeEach(async () => {
  world = await identityWorld()
  folder = mkdtempSync(join(tmpdir(), 'mutating-'))
  const { database, deeds, clock } = world
  const requests = new AccessRequests({ reads: database.reads, deeds, clock, log: silentLog, takeAway: () => {} })
  const delegations = new Delegations({ reads: database.reads, deeds, clock })
  api = createApi({
    handlers: {
      ...identityHandlers(world.services),
      ...requestHandlers(requests, clock),
      ...delegationHandlers(delegations),
      ...integrationHandlers({
        reads: database.reads,
        deeds,
        clock,
        patienceMs: 0,
        waitsOf: () => [],
        check: () => Promise.resolve([]),
      }),
    },
    ...identityChecks(world.services),
    reportRefused: () => {},
    origins: [],
    notReady: async () => [],
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    // Real timers, the world's time.
    clock: { ...systemClock, now: () => clock.now() },
    log: silentLog,
  })
  await api.serve(join(folder, 'api'))
  await world.role('dba')
  await world.role('engineer', { request: { roles: ['dba'], break_glass: { roles: ['dba'] } } })
  await world.role('admin', { rules: [{ resources: ['*'], verbs: ['*'] }], review_requests: { roles: ['*'] } })
  await world.role('reviewer', { review_requests: { roles: ['dba'] } })
  alice = await world.person('alice', ['engineer'])
  root = await world.person('root', ['admin'])
})
afterEach(async () => {
  await api.close(200)
  await world.close()
  rmSync(folder, { recursive: true })
})

interface Made {
  readonly route: RouteName
  readonly who?: SignedInPerson
  readonly params?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** Calls like the client: a route that needs it gets a step-up bound to the call. */
const call = async (made: Made): Promise<RawAnswer> => await send(made, await confirmation(made))

function prepared({ route: name, params = {}, body }: Made) {
  const { method, path }: Route = routes[name]
  const target = path.replace(/:([a-z]+)/g, (_, key: string) => encodeURIComponent(params[key] ?? ''))
  return { method, path: target, body: body === undefined ? undefined : Buffer.from(JSON.stringify(body)) }
}

async function confirmation(made: Made): Promise<Record<string, string>> {
  const route: Route = routes[made.route]
  if (!route.fresh || !made.who) return {}
  const { method, path, body } = prepared(made)
  const action = actionOf(method, path, body ?? Buffer.alloc(0))
  const stepped = await call({ route: 'stepUp', who: made.who, body: { action, code: made.who.freshCode() } })
  return { 'sallyport-step-up': String(stepped.json['token']) }
}

async function send(made: Made, headers: Record<string, string>): Promise<RawAnswer> {
  // An address of its own, so that the lockout stays out of this.
  const peer = `PEER 10.1.${addresses >> 8}.${addresses++ & 255} 1\n`
  return await rawCall(join(folder, 'api'), { ...prepared(made), token: made.who?.token, headers, peer })
}

async function ok(made: Made): Promise<RawAnswer['json']> {
  const answer = await call(made)
  if (answer.status !== 200) throw new Error(`${made.route}: ${answer.text}`)
  return answer.json
}

const askBody = { roles: ['dba'], reason: 'ticket' }
async function ask(): Promise<{ id: string; requestDigest: string; factsDigest: string }> {
  const { request } = await ok({ route: 'ask', who: alice, body: askBody })
  return request as { id: string; requestDigest: string; factsDigest: string }
}
async function reviewBody() {
  const { id, requestDigest, factsDigest } = await ask()
  return { params: { id }, body: { decision: 'approve', requestDigest, factsDigest } }
}
async function granted(): Promise<string> {
  const { params, body } = await reviewBody()
  await ok({ route: 'review', who: root, params, body })
  return params.id
}
const breakGlassBody = { roles: ['dba'], reason: 'fire', confirm: 'dba' }
const delegationBody = () => ({ to: 'alice', until: world.clock.now() + 86_400_000 })
const serviceTokenBody = {
  account: 'bot',
  roles: ['reviewer'],
  scopes: ['requests:read', 'requests:annotate'],
  ttl: 3_600_000,
}
const device = () => ({ device: 'd', sshPublicKey: deviceKey() })
const role = (name: string) => ({ kind: 'role', metadata: { name }, spec: {} })
/** A code that an account at an integration was shown. */
async function linkCode(): Promise<string> {
  const spec = { vendor: 'teams', secrets: { workflows: { ops: 'https://example.org/hook' } } }
  const document = { kind: 'integration', metadata: { name: 'chat' }, spec }
  await ok({ route: 'createDocument', who: root, body: { document } })
  const integration = await world.database.reads.selectFrom('integrations').selectAll().executeTakeFirstOrThrow()
  const account = { tenant: 'T1', id: 'U1', name: 'alice' }
  const event = { eventId: 'e1', account, act: { kind: 'command', text: 'link' } } as const
  return await offerLink(world, { integration, event, key: 'k1' }, null)
}
async function secondFactor() {
  return (await ok({ route: 'addTotp', who: alice, body: { name: 'other' } })) as unknown as {
    id: string
    secret: string
  }
}

interface Scene {
  /** Prepares and returns the call */
  readonly call: () => Promise<Made>
  readonly events: readonly EventType[]
}

const SCENES: { readonly [K in RouteName]?: Scene } = {
  signIn: {
    call: async () => ({
      route: 'signIn',
      body: { user: 'alice', password: PASSWORD, code: alice.freshCode(), ...device() },
    }),
    events: ['user.login', 'cert.create'],
  },
  acceptInvitation: {
    call: async () => {
      const { code } = await ok({ route: 'resetUser', who: root, params: { name: 'alice' } })
      return { route: 'acceptInvitation', body: { code, password: PASSWORD, ...device() } }
    },
    events: ['user.update', 'user.login', 'cert.create'],
  },
  endLogin: {
    call: async () => ({ route: 'endLogin', who: alice, params: { id: alice.loginId } }),
    events: ['user.logout'],
  },
  addTotp: { call: async () => ({ route: 'addTotp', who: alice, body: { name: 'other' } }), events: ['mfa.add'] },
  confirmTotp: {
    call: async () => {
      const { id, secret } = await secondFactor()
      return { route: 'confirmTotp', who: alice, params: { id }, body: { code: codeOf(secret, world.clock.now()) } }
    },
    events: ['mfa.add'],
  },
  removeFactor: {
    call: async () => ({ route: 'removeFactor', who: alice, params: { id: (await secondFactor()).id } }),
    events: ['mfa.step_up', 'mfa.remove'],
  },
  stepUp: {
    call: async () => ({ route: 'stepUp', who: alice, body: { action: '0'.repeat(64), code: alice.freshCode() } }),
    events: ['mfa.step_up'],
  },
  ask: { call: async () => ({ route: 'ask', who: alice, body: askBody }), events: ['access_request.create'] },
  review: {
    call: async () => ({ route: 'review', who: root, ...(await reviewBody()) }),
    events: ['access_request.review', 'access_request.approve', 'grant.start'],
  },
  cancelRequest: {
    call: async () => ({ route: 'cancelRequest', who: alice, params: { id: (await ask()).id } }),
    events: ['access_request.cancel'],
  },
  extendGrant: {
    call: async () => ({
      route: 'extendGrant',
      who: alice,
      params: { id: await granted() },
      body: { duration: 60_000, reason: 'more time' },
    }),
    events: ['access_request.create'],
  },
  returnGrant: {
    call: async () => ({ route: 'returnGrant', who: alice, params: { id: await granted() } }),
    events: ['grant.return'],
  },
  revokeGrant: {
    call: async () => ({
      route: 'revokeGrant',
      who: root,
      params: { id: await granted() },
      body: { reason: 'enough' },
    }),
    events: ['grant.revoke'],
  },
  breakGlass: {
    call: async () => ({ route: 'breakGlass', who: alice, body: breakGlassBody }),
    events: ['mfa.step_up', 'access_request.break_glass', 'grant.start'],
  },
  acknowledge: {
    call: async () => {
      const { id } = await ok({ route: 'breakGlass', who: alice, body: breakGlassBody })
      return { route: 'acknowledge', who: root, params: { id: String(id) }, body: {} }
    },
    events: ['access_request.acknowledge'],
  },
  addDelegation: {
    call: async () => ({ route: 'addDelegation', who: root, body: delegationBody() }),
    events: ['mfa.step_up', 'delegation.create'],
  },
  removeDelegation: {
    call: async () => {
      const made = await ok({ route: 'addDelegation', who: root, body: delegationBody() })
      return { route: 'removeDelegation', who: alice, params: { id: String(made['id']) } }
    },
    events: ['delegation.remove'],
  },
  createDocument: {
    call: async () => ({ route: 'createDocument', who: root, body: { document: role('new'), replace: false } }),
    events: ['mfa.step_up', 'role.create'],
  },
  removeRole: {
    call: async () => ({ route: 'removeRole', who: root, params: { name: 'dba' } }),
    events: ['mfa.step_up', 'role.delete'],
  },
  removeNode: {
    call: async () => {
      const spec = { address: 'db:22', host_key: deviceKey() }
      const document = { kind: 'node', metadata: { name: 'db', labels: { env: 'dev' } }, spec }
      await ok({ route: 'createDocument', who: root, body: { document } })
      return { route: 'removeNode', who: root, params: { name: 'db' } }
    },
    events: ['mfa.step_up', 'resource.delete'],
  },
  removeDatabase: {
    call: async () => {
      const spec = { protocol: 'postgres', address: 'db:5432' }
      const document = { kind: 'database', metadata: { name: 'orders' }, spec }
      await ok({ route: 'createDocument', who: root, body: { document } })
      return { route: 'removeDatabase', who: root, params: { name: 'orders' } }
    },
    events: ['mfa.step_up', 'resource.delete'],
  },
  removeReviewRule: {
    call: async () => {
      const spec = { roles: ['dba'], decision: 'approve' }
      await ok({
        route: 'createDocument',
        who: root,
        body: { document: { kind: 'review_rule', metadata: { name: 'r' }, spec } },
      })
      return { route: 'removeReviewRule', who: root, params: { name: 'r' } }
    },
    events: ['mfa.step_up', 'review_rule.delete'],
  },
  retryIntegration: {
    call: async () => {
      const spec = { vendor: 'teams', secrets: { workflows: { ops: 'https://example.org/hook' } } }
      await ok({
        route: 'createDocument',
        who: root,
        body: { document: { kind: 'integration', metadata: { name: 'i' }, spec } },
      })
      return { route: 'retryIntegration', who: root, params: { name: 'i' }, body: {} }
    },
    events: ['integration.retry'],
  },
  testIntegration: {
    call: async () => {
      const spec = { vendor: 'teams', secrets: { workflows: { ops: 'https://example.org/hook' } } }
      await ok({
        route: 'createDocument',
        who: root,
        body: { document: { kind: 'integration', metadata: { name: 'i' }, spec } },
      })
      return { route: 'testIntegration', who: root, params: { name: 'i' }, body: { channel: 'ops' } }
    },
    events: ['integration.test'],
  },
  removeIntegration: {
    call: async () => {
      const spec = { vendor: 'teams', secrets: { workflows: { ops: 'https://example.org/hook' } } }
      await ok({
        route: 'createDocument',
        who: root,
        body: { document: { kind: 'integration', metadata: { name: 'i' }, spec } },
      })
      return { route: 'removeIntegration', who: root, params: { name: 'i' } }
    },
    events: ['mfa.step_up', 'integration.delete'],
  },
  linkChatAccount: {
    call: async () => ({ route: 'linkChatAccount', who: alice, body: { code: await linkCode() } }),
    events: ['chat_account.link'],
  },
  unlinkChatAccount: {
    call: async () => {
      const { id } = await ok({ route: 'linkChatAccount', who: alice, body: { code: await linkCode() } })
      return { route: 'unlinkChatAccount', who: alice, params: { id: String(id) } }
    },
    events: ['chat_account.unlink'],
  },
  addUser: {
    call: async () => ({ route: 'addUser', who: root, body: { name: 'dora', roles: ['dba'], traits: {} } }),
    events: ['mfa.step_up', 'user.create', 'user.invite'],
  },
  removeUser: {
    call: async () => ({ route: 'removeUser', who: root, params: { name: 'alice' } }),
    events: ['mfa.step_up', 'user.delete', 'login.end'],
  },
  resetUser: {
    call: async () => ({ route: 'resetUser', who: root, params: { name: 'alice' } }),
    events: ['mfa.step_up', 'user.reset', 'user.invite', 'login.end'],
  },
  endUserLogins: {
    call: async () => ({ route: 'endUserLogins', who: root, params: { name: 'alice' } }),
    events: ['login.end'],
  },
  addServiceToken: {
    call: async () => ({ route: 'addServiceToken', who: root, body: serviceTokenBody }),
    events: ['mfa.step_up', 'token.create', 'user.create'],
  },
  removeServiceToken: {
    call: async () => {
      const { token } = await ok({ route: 'addServiceToken', who: root, body: serviceTokenBody })
      return { route: 'removeServiceToken', who: root, params: { id: String(Reflect.get(Object(token), 'id')) } }
    },
    events: ['token.remove'],
  },
  annotate: {
    call: async () => {
      const { id } = await ask()
      const { secret } = await ok({ route: 'addServiceToken', who: root, body: serviceTokenBody })
      const bot = { ...root, token: String(secret) }
      return { route: 'annotate', who: bot, params: { id }, body: { text: 'the ticket is open' } }
    },
    events: ['access_request.annotate'],
  },
  addLock: {
    call: async () => ({ route: 'addLock', who: root, body: { kind: 'user', target: 'alice' } }),
    events: ['lock.create'],
  },
  removeLock: {
    call: async () => {
      const lock = await ok({ route: 'addLock', who: root, body: { kind: 'user', target: 'alice' } })
      return { route: 'removeLock', who: root, params: { id: String(lock['id']) } }
    },
    events: ['mfa.step_up', 'lock.delete'],
  },
  rotateAuthority: {
    call: async () => ({ route: 'rotateAuthority', who: root, params: { kind: 'user-ssh' }, body: { step: 'init' } }),
    events: ['mfa.step_up', 'ca.rotate'],
  },
}

test('every mutating route has its scene here or its test elsewhere', () => {
  expect([...Object.keys(SCENES), ...Object.keys(ELSEWHERE)].sort()).toEqual(MUTATING.toSorted())
})

describe('a mutating call stores its events', () => {
  test.each(Object.keys(SCENES) as RouteName[])('%s', async (name) => {
    const scene = SCENES[name]
    if (!scene) throw new Error('no scene')
    const made = await scene.call()
    const before = await world.eventTypes()
    await ok(made)
    expect((await world.eventTypes()).slice(before.length)).toEqual(scene.events)
  })
})

describe('a mutating call that cannot be stored is refused and changes nothing', () => {
  const givesPower = (Object.keys(SCENES) as RouteName[]).filter(
    (name) =>
      ![
        'endLogin',
        'endUserLogins',
        'addLock',
        'removeUser',
        'revokeGrant',
        'returnGrant',
        'removeDelegation',
        'removeServiceToken',
      ].includes(name),
  )
  test.each(givesPower)('%s', async (name) => {
    const scene = SCENES[name]
    if (!scene) throw new Error('no scene')
    const made = await scene.call()
    const before = await contents()
    world.deeds.becomeReadOnly('a test')
    const answer = await call(made)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(await contents()).toEqual(before)
  })
})

describe('a confirmation is used up by the deed it is for', () => {
  const fresh = (Object.keys(SCENES) as RouteName[]).filter((name) => (routes[name] as Route).fresh)
  const made = async (name: RouteName): Promise<Made> => {
    const scene = SCENES[name]
    if (!scene) throw new Error('no scene')
    return await scene.call()
  }

  test.each(fresh)('%s: one of three calls that show it at once is done', async (name) => {
    const call = await made(name)
    const headers = await confirmation(call)
    const before = await world.eventTypes()
    const answers = await Promise.all([1, 2, 3].map(() => send(call, headers)))
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, expect.any(Number), expect.any(Number)])
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    const done: string[] = SCENES[name]?.events.filter((type) => type !== 'mfa.step_up') ?? []
    expect((await world.eventTypes()).slice(before.length).filter((type) => done.includes(type))).toEqual(done)
    expect((await send(call, headers)).json).toMatchObject({ error: { code: 'step_up_required' } })
  })

  // What takes power away is done in memory, and stored later.
  const storedFirst = fresh.filter((name) => name !== 'removeUser' && name !== 'resetUser')
  test.each(storedFirst)('%s: refused once, it is done with the same confirmation', async (name) => {
    const call = await made(name)
    const headers = await confirmation(call)
    world.deeds.becomeReadOnly('a test')
    expect((await send(call, headers)).status).toBeGreaterThanOrEqual(400)
    await world.deeds.commitAcceptance(async () => ({
      result: null,
      events: [
        { type: 'audit.accept_rollback', actor: { kind: 'local-admin', id: null, name: 'test' }, outcome: 'success' },
      ],
    }))
    expect((await send(call, headers)).status).toBe(200)
    expect((await send(call, headers)).json).toMatchObject({ error: { code: 'step_up_required' } })
  })
})

/** Everything but when somebody was last seen. */
async function contents(): Promise<unknown> {
  const tables = [
    'users',
    'factors',
    'invitations',
    'login_sessions',
    'roles',
    'nodes',
    'locks',
    'authorities',
    'review_rules',
    'integrations',
    'chat_accounts',
    'chat_link_offers',
  ] as const
  const more = [
    'delegations',
    'acknowledgements',
    'access_requests',
    'reviews',
    'grants',
    'audit_events',
    'step_ups',
    'factor_uses',
  ] as const
  const rows: unknown[] = []
  for (const table of [...tables, ...more])
    rows.push(await world.database.reads.selectFrom(table).selectAll().execute())
  return rows
}
