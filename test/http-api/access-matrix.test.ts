import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { routes } from '../../src/contract/routes.ts'
import type { Route, RouteName } from '../../src/contract/routes.ts'
import { SERVICE_SCOPES, type ServiceScope } from '../../src/contract/service-token.ts'
import { Refused } from '../../src/foundation/errors.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import type { Handlers } from '../../src/http-api/handler.ts'
import { identityChecks } from '../../src/http-api/identity-handlers.ts'
import { createApi } from '../../src/http-api/server.ts'
import type { Api } from '../../src/http-api/server.ts'
import { identityWorld } from '../support/identity-world.ts'
import type { IdentityWorld } from '../support/identity-world.ts'
import { addServiceToken } from '../../src/identity/service-tokens.ts'
import { rawCall } from './raw-call.ts'
import { SAMPLE_BODIES, samplePath } from './sample-calls.ts'

// Every route is called by everybody. Handlers only say that they were reached.
const NAMES = Object.keys(routes) as RouteName[]
const REACHED = 'already_resolved'

// Written by hand, so that a slip in the contract is seen here.
const ANYONE: RouteName[] = ['ping', 'signIn', 'acceptInvitation', 'listAuthorities']
const LOCAL_ONLY: RouteName[] = ['acceptRollback', 'status', 'listDeliveries', 'claimDeliveries', 'confirmDelivery']
const OPERATOR: { readonly [K in RouteName]?: string } = {
  terminateSession: 'session/delete',
  listRoles: 'role/list',
  removeRole: 'role/delete',
  listNodeDocuments: 'node/list',
  removeNode: 'node/delete',
  listDatabaseDocuments: 'database/list',
  removeDatabase: 'database/delete',
  listReviewRules: 'review_rule/list',
  removeReviewRule: 'review_rule/delete',
  listIntegrations: 'integration/list',
  removeIntegration: 'integration/delete',
  listIntegrationStatus: 'integration/list',
  retryIntegration: 'integration/update',
  checkIntegration: 'integration/update',
  testIntegration: 'integration/update',
  previewDelivery: 'integration/read',
  listPolicies: 'policy/list',
  pastJudgements: 'policy/read',
  reloadPolicies: 'policy/update',
  listUsers: 'user/list',
  addUser: 'user/create',
  removeUser: 'user/delete',
  resetUser: 'user/update',
  endUserLogins: 'user/update',
  listServiceTokens: 'token/list',
  addServiceToken: 'token/create',
  removeServiceToken: 'token/delete',
  listLocks: 'lock/list',
  addLock: 'lock/create',
  removeLock: 'lock/delete',
  searchAudit: 'audit/list',
  verifyAudit: 'audit/read',
  rotateAuthority: 'authority/update',
}
/** What service accounts alone do */
const SERVICE_ONLY: RouteName[] = ['annotate']
/** What each scope of a service token opens, and nothing else does */
const SCOPED: { readonly [K in ServiceScope]: RouteName[] } = {
  'requests:read': ['listRequests', 'showRequest', 'previewRequest', 'watchRequest', 'requestChanges'],
  'requests:review': ['review'],
  'requests:annotate': ['annotate'],
}
/** What the local admin never does: play, review, ask, prove factors. */
const NOT_FOR_LOCAL: RouteName[] = [
  ...(['listLogins', 'me', 'addTotp', 'confirmTotp', 'listFactors', 'removeFactor', 'stepUp'] as const),
  ...([
    'listNodes',
    'searchRequestable',
    'checkAccess',
    'listDatabases',
    'checkDatabaseAccess',
    'issueDatabaseCertificate',
    'ask',
    'review',
    'cancelRequest',
    'extendGrant',
    'returnGrant',
    'playSession',
    'searchRecordings',
  ] as const),
  ...(['listDelegations', 'addDelegation', 'breakGlass', 'acknowledge', 'requestChanges', 'annotate'] as const),
  ...(['listChatAccounts', 'lookAtChatLink', 'linkChatAccount'] as const),
]

let world: IdentityWorld
let folder: string
let api: Api
const tokens = new Map<string, string>()

beforeAll(async () => {
  world = await identityWorld()
  folder = mkdtempSync(join(tmpdir(), 'matrix-'))
  const reached = async (): Promise<never> => {
    throw new Refused(REACHED, 'reached')
  }
  const handlers: Handlers = Object.fromEntries(NAMES.map((name) => [name, reached]))
  api = createApi({
    handlers,
    ...identityChecks(world.services),
    reportRefused: () => {},
    checkStepUp: async (_login, _action, token) => {
      if (token !== 'fresh') throw new Refused('step_up_required', 'no')
      return { checkedAt: 0, spend: async () => {} }
    },
    origins: [],
    notReady: async () => [],
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    clock: systemClock,
    log: silentLog,
  })
  await api.serve(join(folder, 'api'))
  await api.serveAdmin(join(folder, 'admin', 'sock'))
  tokens.set('plain', (await world.person('plain')).token)
  for (const rule of new Set(Object.values(OPERATOR))) {
    const [resource, verb] = rule.split('/')
    await world.role(`only-${resource}-${verb}`, { rules: [{ resources: [resource], verbs: [verb] }] })
    tokens.set(rule, (await world.person(`op-${resource}-${verb}`, [`only-${resource}-${verb}`])).token)
  }
  await world.role('admin', { rules: [{ resources: ['*'], verbs: ['*'] }] })
  const admin = { actor: { kind: 'local-admin', id: null, name: 'local-admin' }, loginId: null } as const
  await world.role('everything', { rules: [{ resources: ['*'], verbs: ['*'] }], review_requests: { roles: ['*'] } })
  for (const scopes of [...SERVICE_SCOPES.map((scope) => [scope]), [...SERVICE_SCOPES]]) {
    const account = `bot-${scopes.join('-').replaceAll(':', '-')}`
    const body = { account, owner: 'plain', roles: ['everything'], scopes, ttl: 3_600_000, note: '' }
    tokens.set(scopes.join(), (await addServiceToken(world.services, admin, body, async () => {})).secret)
  }
  tokens.set('no factor', (await world.person('plain-admin', ['admin'], true)).token)
})
afterAll(async () => {
  await api.close(200)
  await world.close()
  rmSync(folder, { recursive: true })
})

/** True: the handler was reached. */
async function reaches(name: RouteName, who: string, stepUp: string | null = 'fresh'): Promise<boolean> {
  const { error } = await callAs(name, who, stepUp)
  return error?.code === REACHED
}

async function callAs(name: RouteName, who: string, stepUp: string | null = 'fresh') {
  const route: Route = routes[name]
  const local = who === 'local'
  const answer = await rawCall(join(folder, local ? 'admin/sock' : 'api'), {
    method: route.method,
    path: samplePath(name, route.path),
    body: SAMPLE_BODIES[name],
    token: tokens.get(who),
    headers: stepUp === null || local ? {} : { 'sallyport-step-up': stepUp },
    peer: local ? null : 'PEER 192.0.2.1 1\n',
  })
  return { status: answer.status, error: answer.json.error }
}

async function reachedBy(who: string): Promise<RouteName[]> {
  const found: RouteName[] = []
  for (const name of NAMES) if (await reaches(name, who)) found.push(name)
  return found
}

test('every route with a body has a sample of one', () => {
  const withBody = NAMES.filter((name) => (routes[name] as Route).body !== undefined)
  expect(Object.keys(SAMPLE_BODIES).sort()).toEqual(withBody.sort())
})

describe('who reaches which route', () => {
  test('nobody who is not signed in, but for what anyone may call', async () => {
    expect(await reachedBy('anonymous')).toEqual(NAMES.filter((name) => ANYONE.includes(name)))
  })

  test('a signed-in user without rules: nothing of the operators’ and nothing local', async () => {
    const others = [...LOCAL_ONLY, ...SERVICE_ONLY]
    const theirs = NAMES.filter((name) => !others.includes(name) && OPERATOR[name] === undefined)
    expect(await reachedBy('plain')).toEqual(theirs)
  })

  test('the local admin: everything but what is for people alone', async () => {
    expect(await reachedBy('local')).toEqual(NAMES.filter((name) => !NOT_FOR_LOCAL.includes(name)))
  })

  test.each(SERVICE_SCOPES)('a service token with the one scope %s, whatever its account’s roles', async (scope) => {
    const anybodys = NAMES.filter((name) => ANYONE.includes(name))
    expect((await reachedBy(scope)).toSorted()).toEqual([...anybodys, ...SCOPED[scope]].toSorted())
  })

  test('a service token with every scope: what the scopes name and no more', async () => {
    const named = [...NAMES.filter((name) => ANYONE.includes(name)), ...Object.values(SCOPED).flat()]
    expect((await reachedBy(SERVICE_SCOPES.join())).toSorted()).toEqual(named.toSorted())
    expect((await callAs('ask', SERVICE_SCOPES.join())).error?.code).toBe('not_allowed')
    expect((await callAs('listUsers', SERVICE_SCOPES.join())).error?.code).toBe('not_allowed')
  })

  test('a token of one kind is refused where another is expected', async () => {
    const login = tokens.get('plain') ?? ''
    const service = tokens.get('requests:read') ?? ''
    for (const [name, token] of [
      ['login as service', login.replace('sally_login_', 'sally_service_')],
      ['service as login', service.replace('sally_service_', 'sally_login_')],
    ] as const) {
      tokens.set(name, token)
      expect((await callAs('listRequests', name)).error?.code).toBe('not_signed_in')
    }
  })

  test.each([...new Set(Object.values(OPERATOR))])(
    'an operator with the one rule %s reaches its routes alone',
    async (rule) => {
      const found: string[] = []
      for (const name of Object.keys(OPERATOR) as RouteName[]) if (await reaches(name, rule)) found.push(name)
      expect(found).toEqual(Object.keys(OPERATOR).filter((name) => OPERATOR[name as RouteName] === rule))
      for (const name of LOCAL_ONLY) expect(await reaches(name, rule)).toBe(false)
    },
  )

  test('an operator without a second factor reaches no operator’s route', async () => {
    for (const name of Object.keys(OPERATOR) as RouteName[])
      expect((await callAs(name, 'no factor')).error?.code).toBe('second_factor_setup_required')
  })
})

test('routes that need a fresh factor are refused without a step-up, and with a wrong one', async () => {
  const fresh = NAMES.filter((name) => (routes[name] as Route).fresh)
  expect(fresh.sort()).toEqual(
    [
      ...([
        'addDelegation',
        'breakGlass',
        'addServiceToken',
        'addUser',
        'createDocument',
        'removeDatabase',
        'removeFactor',
        'removeLock',
        'removeIntegration',
        'removeNode',
        'removeRole',
      ] as const),
      ...(['reloadPolicies', 'removeReviewRule', 'removeUser', 'resetUser', 'rotateAuthority'] as const),
    ].sort(),
  )
  for (const name of fresh) {
    const who = OPERATOR[name] ?? 'plain'
    expect((await callAs(name, who, null)).error?.code).toBe('step_up_required')
    expect((await callAs(name, who, 'wrong')).error?.code).toBe('step_up_required')
  }
})

const HOSTILE: [string, unknown][] = [
  ['null', null],
  ['empty text', ''],
  ['an empty list', []],
  ['an empty object', {}],
  ['a list in a list', [[['x']]]],
  ['a number', 5],
  ['a negative fraction', -1.5],
  ['a huge number', 1e308],
  ['true', true],
  ['200 000 letters', 'a'.repeat(200_000)],
  ['text with a NUL and an escape', '\0\u001b[31m\r\n'],
  ['a lone surrogate', '\ud800'],
  ['an object named like a method', { toString: 1, constructor: 1 }],
]

describe('bodies that are wrong in one field', () => {
  test.each(Object.keys(SAMPLE_BODIES) as RouteName[])('%s answers with a refusal and never fails', async (name) => {
    const route: Route = routes[name]
    const sample = SAMPLE_BODIES[name] ?? {}
    const local = !ANYONE.includes(name) && !NOT_FOR_LOCAL.includes(name)
    for (const field of [...Object.keys(sample), 'surplus']) {
      for (const [what, value] of HOSTILE) {
        const body = { ...sample, [field]: value }
        const answer = await rawCall(join(folder, local ? 'admin/sock' : 'api'), {
          method: route.method,
          path: samplePath(name, route.path),
          body,
          token: local ? undefined : tokens.get(SERVICE_ONLY.includes(name) ? SERVICE_SCOPES.join() : 'plain'),
          headers: local ? {} : { 'sallyport-step-up': 'fresh' },
          peer: local ? null : 'PEER 192.0.2.1 1\n',
        })
        const isTaken = route.body?.safeParse(body).success === true
        const { code } = answer.json.error ?? { code: 'none' }
        expect([field, what, code]).toEqual([field, what, isTaken ? REACHED : 'malformed'])
        if (field === 'surplus') expect(isTaken).toBe(false)
      }
    }
  })
})
