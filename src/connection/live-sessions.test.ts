import { beforeEach, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { newLiveSession, LiveSessions, type LiveSession } from './live-sessions.ts'
import type { AuthorizeInput } from './control-plane.ts'
import type { SshFacts } from './authorization.ts'

const HOUR = 3_600_000

let store: SeededStore
let live: LiveSessions
let decided: string[]

beforeEach(async () => {
  store = await seededStore()
  decided = []
  const refused = { code: 'access_denied', lines: [], ended: 'over', ways: [], asksInside: false } as const
  live = new LiveSessions({
    clock: store.clock,
    decide: (session) => {
      decided.push(session.facts.sessionId)
      return { ok: false, ...refused }
    },
    onRecheck: () => {},
  })
  await store.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  for (const user of ['ada', 'bob']) {
    await store.user(user, ['dba'])
    await store.login(user)
  }
  for (const node of ['db-box', 'web-box']) await store.node(node, { env: 'prod' })
  live.register(session('ada', 'db-box'), null)
  live.register(session('ada', 'web-box'), null)
  live.register(session('bob', 'db-box'), null)
  store.snapshot.takeTouched()
  store.afterCommit(() => live.recheckTouched(store.snapshot.takeTouched()))
})

function session(user: string, node: string): LiveSession {
  const input: AuthorizeInput = {
    ...{ protocol: 'ssh', loginSessionId: `lgn_${user}`, userId: `usr_${user}`, keyFingerprint: `SHA256:${user}` },
    ...{ certificateSerial: '7', node, login: null, address: '127.0.0.1' },
    proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
  }
  const facts: SshFacts = {
    ...{ protocol: 'ssh', id: 'azn_1', sessionId: `${user} on ${node}`, user: { id: `usr_${user}`, name: user } },
    ...{ loginSessionId: `lgn_${user}`, login: 'postgres', grants: [], requests: [], position: 0 },
    node: {
      ...{ id: `nod_${node}`, name: node, host: '', port: 22 },
      hostKey: '',
      hostAuthority: '',
      hostPrincipal: '',
    },
    permissions: { pty: true, portForwarding: false, agentForwarding: false, forceCommand: null },
    ...{ endsAt: null, endText: '', budgetMs: null, idleMs: null, offlineGraceMs: 0 },
    recording: { path: '', keyId: '', key: new Uint8Array(), mode: 'strict', recordInput: false },
  }
  return newLiveSession(input, facts, store.clock)
}

/** Which sessions a change has decided anew. */
async function after(change: () => Promise<unknown>): Promise<string[]> {
  await change()
  return decided.toSorted()
}

const ALL = ['ada on db-box', 'ada on web-box', 'bob on db-box']

test.each<[what: string, change: () => Promise<unknown>]>([
  ['a grant', () => store.grant('1', 'ada', 'dba', HOUR)],
  ['a login session', () => store.login('ada', { ended_at: 1 })],
  ['the user', () => store.user('ada', [])],
  ['a lock on the user', () => store.lock('user', 'usr_ada', '')],
  ['a lock on a login session', () => store.lock('login', 'lgn_ada', '')],
])('%s of one user decides the sessions of that user alone', async (_what, change) => {
  expect(await after(change)).toEqual(['ada on db-box', 'ada on web-box'])
})

test('what is taken away in memory concerns that user alone, too', async () => {
  store.snapshot.takeAway({ kind: 'login', id: 'lgn_bob' }, store.clock.now())
  live.recheckTouched(store.snapshot.takeTouched())
  expect(decided).toEqual(['bob on db-box'])
})

test.each<[what: string, change: () => Promise<unknown>]>([
  ['a role', () => store.role('dba', {}, 2)],
  ['a role that is removed', () => store.removeRole('dba')],
  ['a lock on a role', () => store.lock('role', 'rol_dba', '')],
  ['a lock on a request', () => store.lock('request', 'req_1', '')],
  ['a lock on a node', () => store.lock('node', 'nod_db-box', '')],
])('%s decides every session', async (_what, change) => {
  expect(await after(change)).toEqual(ALL)
})

test('a node that is edited decides the sessions on it', async () => {
  expect(await after(() => store.node('db-box', {}))).toEqual(['ada on db-box', 'bob on db-box'])
})

test('a session that is over is decided no more, and one is forgotten with its end', async () => {
  live.remove('ada on db-box')
  expect(await after(() => store.user('ada', []))).toEqual(['ada on web-box'])
  expect(await after(() => store.user('ada', ['dba']))).toEqual(['ada on web-box'])
})
