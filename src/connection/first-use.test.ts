import { createSecretKey, randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { seededStore, type SeededStore } from '../../test/support/seeded-store.ts'
import { rowTrouble } from '../audit/check-row.ts'
import { silentLog } from '../foundation/log.ts'
import { Snapshot } from '../grants/snapshot.ts'
import { createSealer } from '../identity/sealing.ts'
import type { SshSignIn, EndNotice } from './control-plane.ts'
import { LocalControlPlane } from './local-control-plane.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

let store: SeededStore
let control: LocalControlPlane

beforeEach(async () => {
  store = await seededStore()
  control = controlOver(store.snapshot)
  store.afterCommit(() => control.live.recheckAll())
  await store.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
  await store.role('ops', { allow: { logins: ['postgres', 'root'], node_labels: { env: 'prod' } } })
  await store.role('engineer', { allow: { request: { roles: ['*'], max_duration: '4h' } } })
  await store.user('ada', ['engineer'])
  await store.login('ada', { expires_at: store.clock.now() + 3 * DAY })
  await store.node('db-box', { env: 'prod' })
})

const controlOver = (snapshot: Snapshot): LocalControlPlane =>
  new LocalControlPlane({
    deeds: store.deeds,
    snapshot,
    instanceId: 'ist_test',
    catchUp: () => Promise.resolve(),
    sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
    credentials: {
      onwardCertificate: () => Promise.resolve(new Uint8Array([1])),
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

/** A grant of `ms` that waits for its first use for a day. */
const waiting = (id: string, ms: number, role = 'dba', changes: object = {}): Promise<null> => {
  const use_by = store.clock.now() + DAY
  const clock = { state: 'scheduled', use_by, use_length_ms: ms, ends_at: use_by + ms } as const
  return store.grant(id, 'ada', role, ms, { ...clock, ...changes })
}

const question = (login: string | null): SshSignIn => ({
  protocol: 'ssh',
  loginSessionId: 'lgn_ada',
  userId: 'usr_ada',
  keyFingerprint: 'SHA256:ada',
  certificateSerial: '7',
  node: 'db-box',
  login,
  address: '127.0.0.1',
  proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
})

interface Opened {
  readonly id: string
  readonly notices: EndNotice[]
  /** When it has ended: what its terminal was told */
  readonly end: () => string | undefined
  readonly endsAt: () => number | null | undefined
}

/** Signed in at the target, before the first byte. */
async function signIn(plane = control, login: string | null = 'postgres'): Promise<Opened> {
  const answer = await plane.authorize(question(login))
  if (!answer.ok) throw new Error(answer.lines.join('\n'))
  const notices: EndNotice[] = []
  const id = answer.facts.sessionId
  plane.watchEnd(id, (notice) => notices.push(notice))
  return {
    id,
    notices,
    end: () => notices.find(({ kind }) => kind === 'end')?.text,
    endsAt: () => plane.live.get(id)?.endsAt,
  }
}

async function open(plane = control, login: string | null = 'postgres'): Promise<Opened> {
  const opened = await signIn(plane, login)
  expect(await plane.startUse(opened.id)).toEqual({ ok: true })
  return opened
}

const refused = async (login: string | null = 'postgres'): Promise<string> => {
  const answer = await control.authorize(question(login))
  return answer.ok ? 'let in' : answer.lines.join('\n')
}

const grant = (id: string) =>
  store.database.reads.selectFrom('grants').selectAll().where('id', '=', `grt_${id}`).executeTakeFirstOrThrow()

describe('a grant that waits for its first use', () => {
  test('its clock starts when bytes may pass, not at the sign-in', async () => {
    await waiting('one', HOUR)
    store.clock.advance(3 * HOUR)
    const session = await signIn()
    expect(await grant('one')).toMatchObject({ state: 'scheduled' })
    store.clock.advance(5000)
    expect(await control.startUse(session.id)).toEqual({ ok: true })
    const now = store.clock.now()
    expect(await grant('one')).toMatchObject({ state: 'active', starts_at: now, ends_at: now + HOUR, use_by: null })
    expect(await store.events('grant.start')).toHaveLength(1)
    expect(session.notices.at(-1)).toMatchObject({ kind: 'move', endsAt: now + HOUR, budgetMs: HOUR })
    store.clock.advance(HOUR - 1)
    expect(session.end()).toBeUndefined()
    store.clock.advance(2)
    expect(session.end()).toBe('your access (dba) has expired')
    expect(await refused()).toContain('may not use')
  })
  test('a target that does not let us in uses nothing up', async () => {
    await waiting('one', HOUR)
    const session = await signIn()
    await control.endSession(session.id, { reason: 'upstream_refused', head: null, complete: false, contents: [] })
    store.clock.advance(5 * HOUR)
    expect(await grant('one')).toMatchObject({ state: 'scheduled' })
    await open()
  })
  test('what something else permits does not use it up', async () => {
    await waiting('one', HOUR)
    await store.grant('two', 'ada', 'ops', 2 * HOUR)
    const session = await open()
    expect(await grant('one')).toMatchObject({ state: 'scheduled' })
    store.clock.advance(2 * HOUR + 1)
    // And it is not taken over to: a connection starts its clock, not the end of another grant.
    expect(session.end()).toBe('your access (ops) has expired')
    expect(await grant('one')).toMatchObject({ state: 'scheduled' })
    await open()
    expect(await grant('one')).toMatchObject({ state: 'active' })
  })
  test('what came to permit it while the target was signed in to leaves it unused', async () => {
    await waiting('one', HOUR)
    const session = await signIn()
    await store.grant('two', 'ada', 'ops', 2 * HOUR)
    expect(await control.startUse(session.id)).toEqual({ ok: true })
    expect(await grant('one')).toMatchObject({ state: 'scheduled' })
  })
  test('of several, the one that lapses first and gives the login is used, and no other', async () => {
    await waiting('late', HOUR)
    await waiting('soon', HOUR, 'dba', { use_by: store.clock.now() + HOUR, ends_at: store.clock.now() + 2 * HOUR })
    await waiting('root', HOUR, 'ops')
    await open()
    expect((await grant('soon')).state).toBe('active')
    await open(control, 'root')
    expect([(await grant('root')).state, (await grant('late')).state]).toEqual(['active', 'scheduled'])
  })
  test.each([
    ['1 ms before it lapses', -1, true],
    ['when it lapses', 0, false],
    ['1 ms later', 1, false],
  ])('%s', async (_, offset, works) => {
    await waiting('one', HOUR)
    store.clock.jumpTo((await grant('one')).use_by! + offset)
    expect((await refused()) === 'let in').toBe(works)
  })
  test('lapsed between sign-in and first byte, nothing is relayed', async () => {
    await waiting('one', HOUR)
    store.clock.jumpTo((await grant('one')).use_by! - 1)
    const session = await signIn()
    store.clock.advance(1)
    expect(await control.startUse(session.id)).toMatchObject({ ok: false })
    expect((await grant('one')).state).toBe('scheduled')
  })
  test('a later start is kept to', async () => {
    const later = store.clock.now() + HOUR
    await waiting('one', HOUR, 'dba', { starts_at: later })
    expect(await refused()).toContain('Your access (dba) starts 2026-')
    store.clock.jumpTo(later)
    await open()
  })
  test('revoked before its first use', async () => {
    await waiting('one', HOUR)
    const session = await signIn()
    await store.grant('one', 'ada', 'dba', HOUR, { state: 'ended', ended_at: store.clock.now(), end_reason: 'revoked' })
    expect(await control.startUse(session.id)).toMatchObject({ ok: false })
    expect(session.end()).toContain('revoked')
  })
  test('a store that cannot write starts nothing', async () => {
    await waiting('one', HOUR)
    const session = await signIn()
    store.deeds.becomeReadOnly('a test')
    expect(await control.startUse(session.id)).toMatchObject({ ok: false })
  })
})

describe('first uses at once', () => {
  test('many sessions at the same moment: one start, one end for all', async () => {
    await waiting('one', HOUR)
    const sessions = await Promise.all(Array.from({ length: 10 }, () => signIn()))
    const answers = await Promise.all(sessions.map(({ id }) => control.startUse(id)))
    expect(answers).toEqual(Array(10).fill({ ok: true }))
    expect(await store.events('grant.start')).toHaveLength(1)
    const { ends_at } = await grant('one')
    expect(sessions.map((session) => session.endsAt())).toEqual(Array(10).fill(ends_at))
  })
  test('two instances: the second reads the end of the first, even when it has not heard of it', async () => {
    await waiting('one', HOUR)
    const other = controlOver(await Snapshot.load(store.database.reads))
    const [first, second] = [await signIn(), await signIn(other)]
    expect(await control.startUse(first.id)).toEqual({ ok: true })
    const { ends_at } = await grant('one')
    store.clock.advance(10 * MINUTE)
    expect(await other.startUse(second.id)).toEqual({ ok: true })
    expect(second.endsAt()).toBe(ends_at)
    expect(await store.events('grant.start')).toHaveLength(1)
    store.clock.advance(50 * MINUTE + 1)
    expect([first.end(), second.end()]).toEqual(Array(2).fill('your access (dba) has expired'))
  })
})

describe('a grant with a start of its own', () => {
  test.each([
    ['1 ms before', -1, false],
    ['at its start', 0, true],
    ['1 ms before its end', HOUR - 1, true],
    ['at its end', HOUR, false],
  ])('%s', async (_, offset, works) => {
    const starts_at = store.clock.now() + DAY
    await store.grant('one', 'ada', 'dba', 0, { state: 'scheduled', starts_at, ends_at: starts_at + HOUR })
    store.clock.jumpTo(starts_at + offset)
    expect((await refused()) === 'let in').toBe(works)
  })
  test('the refusal before it says when it starts, to those whom it will let in', async () => {
    const starts_at = store.clock.now() + DAY
    await store.grant('one', 'ada', 'dba', 0, { state: 'scheduled', starts_at, ends_at: starts_at + HOUR })
    expect(await refused()).toContain('Your access (dba) starts')
    expect(await refused('root')).not.toContain('starts')
  })
})

describe('grants that give the same', () => {
  test('the session lives until the later end, and ending one takes nothing that the other gives', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    await store.grant('two', 'ada', 'dba', 2 * HOUR)
    const session = await open()
    store.clock.advance(HOUR + 1)
    expect(session.end()).toBeUndefined()
    store.clock.advance(HOUR)
    expect(session.end()).toBe('your access (dba) has expired')
  })
  test.each(['one', 'two'])('revoking %s leaves the session to the other', async (id) => {
    await store.grant('one', 'ada', 'dba', HOUR)
    await store.grant('two', 'ada', 'ops', 2 * HOUR)
    const session = await open()
    await store.grant(id, 'ada', 'dba', HOUR, { state: 'ended', ended_at: store.clock.now(), end_reason: 'revoked' })
    expect(session.end()).toBeUndefined()
    store.clock.advance((id === 'one' ? 2 : 1) * HOUR + 1)
    expect(session.end()).toMatch(/^your access \((dba|ops)\) has expired$/)
  })
})

describe('a lock on the request', () => {
  test('ends access for good, even taken away at once', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    const session = await open()
    await store.lock('request', 'req_one', 'held')
    expect(session.end()).toBeDefined()
    await store.unlock('request', 'req_one')
    expect(await refused()).not.toBe('let in')
  })
})

describe('a role that binds to the login session', () => {
  beforeEach(() =>
    store.role('dba', { options: { bind: 'login' }, allow: { logins: ['postgres'], node_labels: { env: 'prod' } } }, 2),
  )
  const asOther = { login_id: 'lgn_other' }

  test('a grant asked for from elsewhere does not work here', async () => {
    await store.grant('one', 'ada', 'dba', HOUR, asOther, 2)
    expect(await refused()).not.toBe('let in')
  })
  test('it works where it was asked for, and on its first use there', async () => {
    await waiting('one', HOUR, 'dba', { login_id: 'lgn_ada' })
    await open()
  })
  test.each([
    ['opened later with a second factor', 1, true, true],
    ['opened later without one', 1, false, false],
    ['opened before, with one', -1, true, false],
  ])('a login session %s', async (_, offset, factor, works) => {
    store.clock.advance(HOUR)
    const approved = store.clock.now()
    await waiting('one', HOUR, 'dba', asOther)
    store.clock.advance(HOUR)
    const created_at = approved + offset
    await store.login('ada', { created_at, expires_at: created_at + DAY, second_factor_at: factor ? created_at : null })
    expect((await refused()) === 'let in').toBe(works)
  })
})

describe('a user who was disabled', () => {
  test('gets nothing back by being enabled before anybody swept', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    const session = await open()
    const now = store.clock.now()
    await store.user('ada', ['engineer'], { disabled: 1, disabled_at: now })
    await store.user('ada', ['engineer'], { disabled: 0, disabled_at: now })
    expect(session.end()).toBeDefined()
    expect(await refused()).toContain('may not use')
    store.clock.advance(1)
    await store.grant('two', 'ada', 'dba', HOUR)
    await open()
  })
})

describe('notices before the end', () => {
  const told = ({ notices }: Opened): string[] => notices.flatMap(({ kind, text }) => (kind === 'tell' ? [text] : []))

  test('15, 5 and 1 minute before, each once, with what to do', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    const session = await open()
    store.clock.advance(45 * MINUTE - 1)
    expect(told(session)).toEqual([])
    store.clock.advance(2)
    expect(told(session)).toEqual([
      expect.stringMatching(
        /^sallyport: your access \(dba\) ends in 15 minutes, at \d\d:\d\d UTC\. More time: sally request extend req_one --duration=30m --reason="\.\.\."$/,
      ),
    ])
    control.live.recheckAll()
    store.clock.advance(10 * MINUTE)
    store.clock.advance(4 * MINUTE)
    control.live.recheckAll()
    expect(told(session).map((text) => /in (\d+ minutes?)/.exec(text)?.[1])).toEqual([
      '15 minutes',
      '5 minutes',
      '1 minute',
    ])
    store.clock.advance(MINUTE)
    expect(told(session)).toHaveLength(3)
  })
  test('a session that starts late is told only what is still to come', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    store.clock.advance(50 * MINUTE)
    const session = await open()
    expect(told(session)).toEqual([])
    store.clock.advance(9 * MINUTE + 1)
    expect(told(session)).toHaveLength(2)
  })
  test('a moved end is said, told anew, and the old one is not obeyed any more', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    const session = await open()
    const end = (await grant('one')).ends_at
    store.clock.advance(56 * MINUTE)
    await store.grant('one', 'ada', 'dba', HOUR, { starts_at: end - HOUR, ends_at: end + 30 * MINUTE })
    expect(session.notices.at(-1)).toMatchObject({ kind: 'move', endsAt: end + 30 * MINUTE, budgetMs: 34 * MINUTE })
    expect(session.notices.at(-1)?.text).toContain('now ends in 34 minutes')
    store.clock.advance(5 * MINUTE)
    expect(session.end()).toBeUndefined()
    store.clock.advance(28 * MINUTE + 1)
    expect(told(session).map((text) => /in (\d+ minutes?)/.exec(text)?.[1])).toEqual([
      '15 minutes',
      '5 minutes',
      '15 minutes',
      '5 minutes',
      '1 minute',
    ])
    store.clock.advance(MINUTE)
    expect(session.end()).toBe('your access (dba) has expired')
  })
  test('the clock set back tells nothing twice', async () => {
    await store.grant('one', 'ada', 'dba', HOUR)
    const session = await open()
    store.clock.advance(46 * MINUTE)
    store.clock.jumpTo(store.clock.now() - 5 * MINUTE)
    store.clock.advance(5 * MINUTE)
    expect(told(session)).toHaveLength(1)
  })
})
