// Refused, asked, approved, authorized anew: the control side as a whole over a real store; only the requests are fake.
import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { rowTrouble } from '../audit/check-row.ts'
import { silentLog } from '../foundation/log.ts'
import { createSealer } from '../identity/sealing.ts'
import type { AskAtDoor, RequestStanding } from './ask-at-door.ts'
import type { SshSignIn, RequestNews } from './control-plane.ts'
import { LocalControlPlane } from './local-control-plane.ts'

const HOUR = 3_600_000

let store: SeededStore
let control: LocalControlPlane
let tell: (standing: RequestStanding) => void
let judged: boolean[]

beforeEach(async () => {
  store = await seededStore()
  judged = []
  const requests: AskAtDoor = {
    pending: () => Promise.resolve(null),
    ask: () => Promise.resolve('req_1'),
    watch: (_person, _id, onStanding) => {
      tell = onStanding
      return { stop: () => {} }
    },
  }
  control = new LocalControlPlane({
    deeds: store.deeds,
    snapshot: store.snapshot,
    sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
    credentials: {
      onwardCertificate: () => Promise.resolve(new Uint8Array([1])),
      databaseCertificate: () => Promise.resolve(new Uint8Array([2])),
      databasePassword: () => Promise.resolve('secret'),
    },
    reportAuthFailure: () => {},
    recordingsDir: '/var/lib/sallyport/recordings',
    offlineGraceMs: 60_000,
    instanceId: null,
    catchUp: async () => {},
    checkSignIn: (_input, again) => {
      judged.push(again)
      return null
    },
    asking: { requests, limits: { perUser: 3, perInstance: 100, longestMs: HOUR / 4 } },
    checkRow: (ref) => rowTrouble(store.database, ref),
    clock: store.clock,
    log: silentLog,
  })
  store.afterCommit(() => {
    control.live.recheckAll()
    control.doors?.recheckAll()
  })
  await store.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await engineer(true)
  await store.user('ada', ['engineer'])
  await store.login('ada')
  await store.node('db-box', { env: 'prod' })
})

const engineer = (asksInside: boolean, revision = 1): Promise<unknown> =>
  store.role(
    'engineer',
    { options: { request_on_denied: asksInside }, allow: { request: { roles: ['dba'], max_duration: '4h' } } },
    revision,
  )

const input: SshSignIn = {
  ...{ protocol: 'ssh', loginSessionId: 'lgn_ada', userId: 'usr_ada', keyFingerprint: 'SHA256:ada' },
  ...{ certificateSerial: '7', node: 'db-box', login: null, address: '127.0.0.1' },
  proof: { sessionId: new Uint8Array([1]), request: new Uint8Array(), signature: new Uint8Array() },
}

async function refused(): Promise<string> {
  const answer = await control.authorize(input)
  if (answer.ok || answer.door === undefined) throw new Error('no door')
  return answer.door
}

async function waiting() {
  const door = await refused()
  const news: RequestNews[] = []
  control.watchRequest(door, (one) => news.push(one))
  await control.ask({ door, reason: null })
  expect(await control.ask({ door, reason: 'ticket 7' })).toMatchObject({ kind: 'waiting' })
  return { door, news }
}

test('without the role option nothing is offered', async () => {
  await engineer(false, 2)
  const answer = await control.authorize(input)
  expect(answer).toMatchObject({ ok: false, code: 'access_denied' })
  expect(answer).not.toHaveProperty('door')
})

test('a locked role that says so offers nothing', async () => {
  await store.lock('role', 'rol_engineer', '')
  expect(await control.authorize(input)).not.toHaveProperty('door')
})

test('approved: authorized anew by everything, as a session of that request', async () => {
  const { door, news } = await waiting()
  await store.grant('1', 'ada', 'dba', HOUR)
  tell({ state: 'approved', lines: [] })
  expect(news.at(-1)).toMatchObject({ kind: 'go' })
  expect(await store.events('session.start')).toEqual([])
  const answer = await control.authorize({ ...input, door })
  expect(answer).toMatchObject({ ok: true, facts: { requests: ['req_1'], login: 'postgres' } })
  expect(judged).toEqual([false, true])
})

test('an approval that is not one in the store opens nothing', async () => {
  const { door } = await waiting()
  tell({ state: 'approved', lines: [] })
  const answer = await control.authorize({ ...input, door })
  expect(answer).toMatchObject({ ok: false, code: 'access_denied' })
  // Whoever waited is not asked a second time.
  expect(answer).not.toHaveProperty('door')
  expect(await control.authorize({ ...input, door })).toMatchObject({ ok: false, code: 'access_denied' })
})

test.each<[string, () => Promise<unknown>, string]>([
  ['the login session has ended', () => store.login('ada', { ended_at: 1 }), 'login_ended'],
  ['the user is disabled', () => store.user('ada', ['engineer'], { disabled: 1 }), 'user_disabled'],
  ['the user is locked', () => store.lock('user', 'usr_ada', 'incident'), 'locked'],
  ['the node is locked', () => store.lock('node', 'nod_db-box', 'incident'), 'locked'],
  ['the role may not be asked for any more', () => store.user('ada', []), 'resource_unknown'],
])(
  '%s while waiting: the connection ends with the reason, and is not let in afterwards',
  async (_name, change, code) => {
    const { door, news } = await waiting()
    await store.grant('1', 'ada', 'dba', HOUR)
    await change()
    expect(news.at(-1)).toMatchObject({ kind: 'over' })
    expect(await control.authorize({ ...input, door })).toMatchObject({ ok: false, code: 'access_denied' })
    expect(await control.authorize(input)).toMatchObject({ ok: false, code })
  },
)

test('while the proxy stops nothing is asked', async () => {
  const door = await refused()
  control.refuseNew()
  expect(await control.ask({ door, reason: null })).toMatchObject({ kind: 'refused', code: 'shutting_down' })
})
