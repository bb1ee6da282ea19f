import { beforeEach, describe, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { rowTrouble } from '../audit/check-row.ts'
import { silentLog } from '../foundation/log.ts'
import { recordingFile } from '../recording/recordings-folder.ts'
import { Snapshot } from '../grants/snapshot.ts'
import { createSealer } from '../identity/sealing.ts'
import { createSecretKey, randomBytes } from 'node:crypto'
import type { SshSignIn, EndNotice } from './control-plane.ts'
import { sshFacts } from './authorization.ts'
import type { OnwardOrder } from './credentials.ts'
import { LocalControlPlane } from './local-control-plane.ts'

const HOUR = 3_600_000

let store: SeededStore
let control: LocalControlPlane
let minted: OnwardOrder[]

beforeEach(async () => {
  store = await seededStore()
  minted = []
  control = controlOver(store.snapshot)
  store.afterCommit(() => control.live.recheckAll())
  await store.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await store.role('engineer', {
    allow: { logins: ['deploy'], node_labels: { env: 'dev' }, request: { roles: ['dba'], max_duration: '4h' } },
  })
  await store.user('ada', ['engineer'])
  await store.login('ada')
  await store.node('db-box', { env: 'prod' })
  await store.node('dev-box', { env: 'dev' })
  await store.node('secret-box', { env: 'hidden' })
})

const controlOver = (snapshot: Snapshot): LocalControlPlane =>
  new LocalControlPlane({
    instanceId: null,
    catchUp: async () => {},
    deeds: store.deeds,
    snapshot,
    sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
    credentials: {
      onwardCertificate: (order) => {
        minted.push(order)
        return Promise.resolve(new Uint8Array([1]))
      },
      databaseCertificate: () => Promise.resolve(new Uint8Array([2])),
      databasePassword: () => Promise.resolve('secret'),
    },
    reportAuthFailure: () => {},
    recordingsDir: '/var/lib/sallyport/recordings',
    offlineGraceMs: 60_000,
    checkSignIn: () => null,
    checkRow: (ref) => rowTrouble(store.database, ref),
    clock: store.clock,
    log: silentLog,
  })

const ask = (changes: Partial<SshSignIn> = {}): SshSignIn => ({
  protocol: 'ssh',
  loginSessionId: 'lgn_ada',
  userId: 'usr_ada',
  keyFingerprint: 'SHA256:ada',
  certificateSerial: '7',
  node: 'db-box',
  login: null,
  address: '127.0.0.1',
  proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
  ...changes,
})

async function letIn(changes: Partial<SshSignIn> = {}) {
  const answer = await control.authorize(ask(changes))
  if (!answer.ok) throw new Error(answer.lines.join('\n'))
  const notices: EndNotice[] = []
  control.watchEnd(answer.facts.sessionId, (notice) => notices.push(notice))
  return { facts: sshFacts(answer.facts), notices }
}

describe('authorize', () => {
  test('a refusal names the role that would help and the command that asks for it', async () => {
    const answer = await control.authorize(ask())
    expect(answer).toMatchObject({ ok: false, code: 'access_denied' })
    if (answer.ok) return
    expect(answer.lines.join('\n')).toContain('dba (postgres; up to 4h)')
    expect(answer.lines.join('\n')).toContain('sally request create --roles=dba')
    expect(answer.lines.length).toBeLessThanOrEqual(10)
    expect(await store.events('session.reject')).toHaveLength(1)
  })

  test('a node that may not be known and one that is absent get the same answer', async () => {
    const hidden = await control.authorize(ask({ node: 'secret-box' }))
    const absent = await control.authorize(ask({ node: 'absent-box' }))
    expect(JSON.stringify(hidden).replaceAll('secret-box', 'X')).toBe(
      JSON.stringify(absent).replaceAll('absent-box', 'X'),
    )
  })

  test('with a grant the same question is answered yes, and session.start is stored before the answer', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    expect(facts).toMatchObject({
      login: 'postgres',
      grants: ['grt_1'],
      requests: ['req_1'],
      endsAt: store.clock.now() + HOUR,
    })
    const [event] = await store.events('session.start')
    expect(event).toMatchObject({ session_id: facts.sessionId, grant_ids_json: '["grt_1"]', request_id: 'req_1' })
    expect(JSON.parse(event?.details_json ?? '')).toMatchObject({
      recording: recordingFile(facts.sessionId),
      certificate: '7',
    })
  })

  test.each([
    ['another device key', { keyFingerprint: 'SHA256:eve' }, 'login_ended'],
    ["another user's login session", { userId: 'usr_bob' }, 'login_ended'],
    ['an unknown login session', { loginSessionId: 'lgn_none' }, 'login_ended'],
    ['a login that the role does not give', { login: 'root' }, 'login_not_allowed'],
  ])('%s is refused', async (_name, changes, code) => {
    await store.grant('1', 'ada', 'dba', HOUR)
    expect(await control.authorize(ask(changes))).toMatchObject({ ok: false, code })
  })

  test.each<[string, () => Promise<unknown>, string]>([
    ['ended login session', () => store.login('ada', { ended_at: 1 }), 'login_ended'],
    ['expired login session', () => store.login('ada', { expires_at: store.clock.now() }), 'login_ended'],
    ['disabled user', () => store.user('ada', ['engineer'], { disabled: 1 }), 'user_disabled'],
    ['lock on the user', () => store.lock('user', 'usr_ada', 'incident 7'), 'locked'],
    ['lock on the login session', () => store.lock('login', 'lgn_ada', 'incident 7'), 'locked'],
    ['lock on the node', () => store.lock('node', 'nod_db-box', 'incident 7'), 'locked'],
    ['lock on the request', () => store.lock('request', 'req_1', 'incident 7'), 'access_denied'],
    ['lock on the granted role', () => store.lock('role', 'rol_dba', 'incident 7'), 'access_denied'],
    ['deleted role', () => store.removeRole('dba'), 'resource_unknown'],
    ['lock on the role that lets them ask', () => store.lock('role', 'rol_engineer', 'incident 7'), 'resource_unknown'],
    ['permission to request taken away', () => store.user('ada', []), 'resource_unknown'],
  ])('%s: new access is refused, and the open session ends at once', async (_name, change, code) => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { notices } = await letIn()
    await change()
    expect(notices).toMatchObject([{ kind: 'end' }])
    expect(await control.authorize(ask())).toMatchObject({ ok: false, code })
  })

  test('while the store cannot write, nobody is let in and nothing is half done', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    await store.database.transact(async () => {}).catch(() => {})
    await store.deeds.close()
    expect(await control.authorize(ask())).toMatchObject({ ok: false })
    expect(control.live.size).toBe(0)
  })

  test('a role that was edited after approval gives what both revisions give, never more', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    await store.role('dba', { allow: { logins: ['postgres', 'root'], node_labels: { '*': '*' } } }, 2)
    expect(await control.authorize(ask({ login: 'root' }))).toMatchObject({ ok: false })
    expect(await control.authorize(ask({ node: 'secret-box' }))).toMatchObject({ ok: false })
    expect(await control.authorize(ask())).toMatchObject({ ok: true })
    await store.role('dba', { allow: { logins: ['root'], node_labels: { '*': '*' } } }, 3)
    expect(await control.authorize(ask())).toMatchObject({ ok: false })
  })
})

describe('rows that somebody changed behind our back', () => {
  const slipIn = async (statement: string): Promise<void> => {
    const { DatabaseSync } = await import('node:sqlite')
    const attacker = new DatabaseSync(store.database.path)
    attacker.exec(statement)
    attacker.close()
    control = controlOver(await Snapshot.load(store.database.reads))
  }

  test.each([
    ['a longer grant', `update grants set ends_at = ends_at + 86400000`],
    ['a grant for somebody else', `update grants set user_id = 'usr_ada' where id = 'grt_2'`],
    ['a wider role', `update role_revisions set spec_json = replace(spec_json, '"env":"prod"', '"*":"*"')`],
    ['a role given to the user', `update users set role_ids_json = '["rol_engineer","rol_dba"]' where id = 'usr_ada'`],
    ['another key for the login session', `update login_sessions set key_fingerprint = 'SHA256:ada', device = 'x'`],
    ['another address for the node', `update nodes set address = '127.0.0.1:2222'`],
  ])('%s gives nothing at its first use', async (name, statement) => {
    await store.user('bob', [])
    await store.grant('2', 'bob', 'dba', HOUR)
    if (name !== 'a role given to the user' && !name.includes('somebody')) await store.grant('1', 'ada', 'dba', HOUR)
    await slipIn(statement)
    expect(await control.authorize(ask())).toMatchObject({ ok: false, code: 'row_altered' })
    const [event] = await store.events('session.reject')
    expect(event?.details_json).toContain('is not what event')
  })

  test('a grant that no event tells of gives nothing', async () => {
    await store.grant('1', 'ada', 'dba', 1)
    store.clock.advance(10)
    await slipIn(`update grants set id = 'grt_x', ends_at = ends_at + 86400000`)
    expect(await control.authorize(ask())).toMatchObject({ ok: false, code: 'row_altered' })
  })
})

describe('the onward credential', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['the grant has ended meanwhile', () => store.grant('1', 'ada', 'dba', HOUR, { state: 'ended', ended_at: 1 })],
    ['its time is over', async () => store.clock.jumpTo(store.clock.now() + HOUR)],
    ['the session was ended', async () => control.live.end(control.live.all()[0]!, 'terminated', 'enough')],
  ])('is not minted when %s', async (_name, change) => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    await change()
    const order = {
      kind: 'ssh-certificate' as const,
      authorizationId: facts.id,
      publicKey: new Uint8Array(),
      sourceAddress: null,
    }
    await expect(control.mint(order)).rejects.toMatchObject({ code: 'access_denied' })
    expect(minted).toEqual([])
  })

  test('is minted once per authorization, for the login that was decided', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    const order = {
      kind: 'ssh-certificate' as const,
      authorizationId: facts.id,
      publicKey: new Uint8Array([9]),
      sourceAddress: '127.0.0.1',
    }
    await control.mint(order)
    expect(minted).toMatchObject([
      { login: 'postgres', userName: 'ada', sessionId: facts.sessionId, sourceAddress: '127.0.0.1' },
    ])
    await expect(control.mint(order)).rejects.toThrow('used before')
  })

  test('is not minted after 30 s, nor for an authorization that nobody made', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    store.clock.advance(30_001)
    const order = {
      kind: 'ssh-certificate' as const,
      authorizationId: facts.id,
      publicKey: new Uint8Array([9]),
      sourceAddress: null,
    }
    await expect(control.mint(order)).rejects.toThrow()
    await expect(control.mint({ ...order, authorizationId: 'azn_forged' })).rejects.toThrow()
    expect(minted).toEqual([])
  })
})

describe('live sessions obey', () => {
  test('a revoke ends the session at once and its terminal learns by whom and why', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { notices } = await letIn()
    const ended = { ended_at: 1, end_reason: 'revoked', ended_by: 'carol', end_comment: 'wrong box' }
    await store.grant('1', 'ada', 'dba', HOUR, { state: 'ended', ...ended })
    expect(notices).toMatchObject([{ kind: 'end', text: 'your access (dba) was revoked by carol: wrong box' }])
  })

  test('a grant ends at its end, not a millisecond later than the clock says', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { notices } = await letIn()
    store.clock.advance(HOUR - 1)
    expect(notices).toEqual([])
    store.clock.advance(2)
    expect(notices).toMatchObject([{ kind: 'end', text: 'your access (dba) has expired' }])
  })

  test('what another grant still gives goes on, with the new end and an event', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    await store.grant('2', 'ada', 'dba', 2 * HOUR)
    const { facts, notices } = await letIn()
    expect(facts.endsAt).toBe(store.clock.now() + 2 * HOUR)
    await store.grant('2', 'ada', 'dba', 2 * HOUR, { state: 'ended', ended_at: 1, end_reason: 'returned' })
    expect(notices).toMatchObject([{ kind: 'move', endsAt: store.clock.now() + HOUR }])
    await new Promise((resolve) => setImmediate(resolve))
    await store.role('unrelated', {})
    expect(await store.events('session.reauthorized')).toHaveLength(1)
  })

  test('an own role keeps a session when the grant beside it ends', async () => {
    await store.role('always', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
    await store.user('ada', ['engineer', 'always'])
    await store.grant('1', 'ada', 'dba', HOUR)
    const { notices } = await letIn()
    store.clock.advance(HOUR + 1)
    expect(notices.filter((notice) => notice.kind === 'end')).toEqual([])
  })

  test('losing port forwarding ends a session that used it, and spares one that did not', async () => {
    const spec = { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } }
    await store.role('dba', { ...spec, options: { port_forwarding: true } }, 2)
    await store.grant('1', 'ada', 'dba', HOUR, {}, 2)
    const using = await letIn()
    const idle = await letIn()
    const forward = {
      type: 'port_forward',
      channel: 0,
      direction: 'local',
      target: 'localhost:5432',
      allowed: true,
    } as const
    await control.append(using.facts.sessionId, forward)
    await store.role('dba', spec, 3)
    expect(using.notices).toMatchObject([{ kind: 'end', text: 'port forwarding is not permitted any more' }])
    expect(idle.notices.filter((notice) => notice.kind === 'end')).toEqual([])
    await expect(control.append(idle.facts.sessionId, forward)).rejects.toThrow('not permitted')
  })

  test('access that ended while the target was being reached is refused before the first byte', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const answer = await control.authorize(ask())
    if (!answer.ok) throw new Error('refused')
    store.clock.jumpTo(store.clock.now() + HOUR)
    expect(await control.startUse(answer.facts.sessionId)).toMatchObject({
      ok: false,
      text: 'your access (dba) has expired',
    })
  })

  test('a session that has been told to end may do nothing more', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    await store.lock('user', 'usr_ada', 'stop')
    await expect(control.append(facts.sessionId, { type: 'exec', channel: 0, command: 'id' })).rejects.toThrow('over')
  })

  test('the end of a session is stored with what its recording came to', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { facts } = await letIn()
    const head = { chunks: 3, bytes: 900, digest: 'ab'.repeat(32) }
    await control.endSession(facts.sessionId, {
      reason: 'closed by the client',
      head,
      complete: true,
      contents: ['shell'],
    })
    const row = await store.database.reads.selectFrom('sessions').selectAll().executeTakeFirstOrThrow()
    expect(row).toMatchObject({
      recording_state: 'complete',
      recording_head: head.digest,
      end_reason: 'closed by the client',
    })
    expect(await store.events('session.end')).toHaveLength(1)
    expect(control.live.size).toBe(0)
  })

  test('a clock set back does not lengthen a session: its budget is monotonic', async () => {
    await store.grant('1', 'ada', 'dba', HOUR)
    const { notices, facts } = await letIn()
    expect(facts.budgetMs).toBe(HOUR)
    store.clock.jumpTo(store.clock.now() - 2 * HOUR)
    store.clock.advance(HOUR + 2)
    expect(notices.at(-1)).toMatchObject({ kind: 'end' })
  })
})
