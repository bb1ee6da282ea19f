import { afterEach, beforeEach, expect, test } from 'vitest'
import { aRequest } from '../../test/support/a-request.ts'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import type { Wanted } from '../access/show/find-pending.ts'
import { AccessCheck } from '../contract/access-check.ts'
import { AccessRequest } from '../contract/request.ts'
import { silentLog } from '../foundation/log.ts'
import { checkAccessHandlers } from './check-access.ts'
import type { CallContext } from './handler.ts'

const HOUR = 3_600_000

let store: SeededStore
let pending: AccessRequest | null
let wanted: Wanted[]

beforeEach(async () => {
  store = await seededStore()
  pending = null
  wanted = []
  await store.role('dba', { allow: { logins: ['postgres', 'root'], node_labels: { env: 'prod' } } })
  await store.role('one', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  const reason = { mode: 'required', prompt: 'Ticket' }
  await store.role('engineer', {
    allow: { request: { roles: ['dba'], search_as_roles: ['one'], max_duration: '4h', reason } },
  })
  await store.user('ada', ['engineer'])
  await store.login('ada')
  await store.node('db-box', { env: 'prod' })
  await store.node('secret-box', { env: 'hidden' })
})
afterEach(() => store.database.close())

async function check(name: string, login?: string): Promise<AccessCheck> {
  const { checkAccess } = checkAccessHandlers({
    snapshot: store.snapshot,
    clock: store.clock,
    requests: {
      pendingFor: (_caller, asked) => {
        wanted.push(asked)
        return Promise.resolve(pending)
      },
    },
  })
  const context: CallContext = {
    actor: { kind: 'user', id: 'usr_ada', name: 'ada' },
    login: { id: 'lgn_ada', userId: 'usr_ada', secondFactorAt: null },
    local: false,
    address: '127.0.0.1',
    signal: new AbortController().signal,
    requireOperator: () => Promise.resolve(),
    requireFresh: () => Promise.resolve(null),
    confirmation: null,
    log: silentLog,
  }
  return AccessCheck.parse(await checkAccess?.(context, { params: { name }, query: { login }, body: undefined }))
}

test('a refusal names the ways out, the least first, with what each must be told', async () => {
  expect(await check('db-box', 'postgres')).toMatchObject({
    ok: false,
    code: 'access_denied',
    ways: [
      {
        roles: ['one'],
        resources: [{ kind: 'node', name: 'db-box' }],
        narrowing: { login: 'postgres' },
        logins: ['postgres'],
        longest: 4 * HOUR,
        reason: { required: true, prompt: 'Ticket' },
      },
      { roles: ['dba'], resources: [], narrowing: null, logins: ['postgres', 'root'] },
    ],
    pending: null,
  })
  expect(wanted).toMatchObject([{ place: { kind: 'node', name: 'db-box' }, account: 'postgres' }])
})

test('only what gives the wanted login would help', async () => {
  const answer = await check('db-box', 'root')
  expect(answer).toMatchObject({ ok: false, ways: [{ roles: ['dba'] }] })
  expect(await check('db-box', 'nobody')).toMatchObject({ ok: false, code: 'access_denied', ways: [] })
})

test('what is pending already is told with it', async () => {
  pending = AccessRequest.parse(aRequest())
  expect(await check('db-box')).toMatchObject({ pending: { id: 'req_1' } })
})

test('with a grant the answer is yes, the login and the end', async () => {
  await store.grant('1', 'ada', 'dba', HOUR)
  expect(await check('db-box', 'root')).toEqual({ ok: true, login: 'root', endsAt: store.clock.now() + HOUR })
})

test('a node that may not be known and one that is absent get the same answer', async () => {
  const [hidden, absent] = [await check('secret-box'), await check('absent-box')]
  expect(JSON.stringify(hidden).replaceAll('secret', 'X')).toBe(JSON.stringify(absent).replaceAll('absent', 'X'))
  expect(hidden).toMatchObject({ ok: false, code: 'resource_unknown', ways: [] })
  expect(wanted).toEqual([])
})

test('where asking cannot help nothing is looked for', async () => {
  await store.lock('node', 'nod_db-box', 'incident 7')
  expect(await check('db-box')).toMatchObject({ ok: false, code: 'locked', ways: [], pending: null })
  expect(wanted).toEqual([])
})

test('what is no name of a node is refused', async () => {
  await expect(check('db box')).rejects.toMatchObject({ code: 'malformed' })
})
