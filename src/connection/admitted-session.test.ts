import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { settled } from '../../test/support/relay-pair.ts'
import { silentLog } from '../foundation/log.ts'
import { AdmittedSession, askAccess, type SessionProtocol, type SessionRecorder } from './admitted-session.ts'
import type { SessionFacts } from './authorization.ts'
import type { ControlPlane, EndNotice, RecordingHead, SessionEnd } from './control-plane.ts'

const head: RecordingHead = { chunks: 3, bytes: 99, digest: 'ab' }
const facts: SessionFacts = {
  ...{ id: 'azn_1', sessionId: 'ses_1', user: { id: 'usr_1', name: 'alice' }, loginSessionId: 'lgn_1' },
  ...{ grants: [], requests: [], endsAt: null, endText: 'over', budgetMs: null, idleMs: null, offlineGraceMs: 60_000 },
  recording: { path: '/nowhere', keyId: 'k', key: new Uint8Array(32), mode: 'strict', recordInput: false },
  position: 1,
}
const notice: EndNotice = {
  ...{ sessionId: 'ses_1', kind: 'end', text: 'revoked', endText: 'over', endsAt: null, budgetMs: null },
}
const recorder: SessionRecorder = {
  contents: ['shell'],
  head: () => head,
  close: () => Promise.resolve({ head, complete: true }),
}

class Scene {
  readonly clock = new ManualClock(1_000_000)
  readonly done: string[] = []
  readonly ends: SessionEnd[] = []
  use: () => Promise<{ ok: true } | { ok: false; text: string }> = () => Promise.resolve({ ok: true })
  storeEnd: () => Promise<void> = () => Promise.resolve()
  say: (notice: EndNotice) => void = () => {}
  readonly session: AdmittedSession<SessionFacts, SessionRecorder, number>

  constructor(protocol: Partial<SessionProtocol<number>> = {}, change: Partial<SessionFacts> = {}) {
    const control: Pick<ControlPlane, 'startUse' | 'watchEnd' | 'endSession' | 'silentFor'> = {
      startUse: () => this.use(),
      watchEnd: (_id, onNotice) => {
        this.say = onNotice
        return { stop: () => void this.done.push('watch stopped') }
      },
      endSession: async (_id, end) => {
        await this.storeEnd()
        this.ends.push(end)
      },
      silentFor: () => 0,
    }
    this.session = new AdmittedSession<SessionFacts, SessionRecorder, number>(
      { ...facts, ...change },
      {
        control: control as ControlPlane,
        clock: this.clock,
        log: silentLog,
        protocol: {
          farewell: ({ text }, told) => {
            this.done.push(`told ${text}${told === undefined ? '' : ` as ${told}`}`)
            return Promise.resolve()
          },
          destroy: () => void this.done.push('destroyed'),
          closed: () => void this.done.push('closed'),
          ...protocol,
        },
      },
    )
    this.session.watch()
  }

  record(made: SessionRecorder = recorder): void {
    this.session.openRecorder(() => made)
  }
}

const stored = (reason: string) => ({ reason, head, complete: true, contents: ['shell'] })
const unrecorded = (reason: string) => ({ reason, head: null, complete: false, contents: [] })

test('of several reasons to end the first counts; the client is told, then the end is stored, then it is closed', async () => {
  const scene = new Scene()
  scene.record()
  scene.session.end({ reason: 'client_protocol_error', text: 'bad packet' }, 1835)
  scene.say(notice)
  scene.session.recordingFailed(new Error('disk full'))
  await settled()
  expect(scene.done).toEqual(['watch stopped', 'told bad packet as 1835', 'closed'])
  expect(scene.ends).toEqual([stored('client_protocol_error')])
})

test('an end that comes while it begins to be watched is not lost, and nothing is watched afterwards', async () => {
  const scene = new Scene()
  scene.say(notice)
  expect(scene.session.isEnding).toBe(true)
  await settled()
  expect(scene.ends).toEqual([unrecorded('ended')])
})

test('a farewell that fails closes both connections, and the end is stored all the same', async () => {
  const scene = new Scene({ farewell: () => Promise.reject(new Error('cannot be told')) })
  scene.record()
  scene.say(notice)
  await settled()
  expect(scene.done).toEqual(['watch stopped', 'destroyed', 'closed'])
  expect(scene.ends).toEqual([stored('ended')])
})

test('a recording that cannot be closed is stored as incomplete', async () => {
  const scene = new Scene()
  scene.record({ ...recorder, close: () => Promise.reject(new Error('disk gone')) })
  scene.say(notice)
  await settled()
  expect(scene.ends).toEqual([{ reason: 'ended', head: null, complete: false, contents: ['shell'] }])
})

test('an end that cannot be stored closes the session all the same', async () => {
  const scene = new Scene()
  scene.storeEnd = () => Promise.reject(new Error('store gone'))
  scene.say(notice)
  await settled()
  expect(scene.done.at(-1)).toBe('closed')
})

test('without a recording there is no session', async () => {
  const scene = new Scene()
  const open = (): SessionRecorder => {
    throw new Error('no space left')
  }
  expect(scene.session.openRecorder(open)).toBeNull()
  await settled()
  expect(scene.ends).toEqual([unrecorded('recording_unavailable')])
})

test('a connection to the target that comes about after the end is dropped', async () => {
  const scene = new Scene()
  const connected = Promise.withResolvers<string>()
  const dropped: string[] = []
  const opening = scene.session.openUpstream({
    ...{ target: 'box', connect: () => connected.promise, drop: (upstream: string) => void dropped.push(upstream) },
    failed: () => ({ end: { reason: 'x', text: 'x' } }),
  })
  scene.say(notice)
  connected.resolve('leg')
  expect(await opening).toBeNull()
  expect(dropped).toEqual(['leg'])
})

test('a target that cannot be used ends the session with what its protocol says of it', async () => {
  const scene = new Scene()
  const opened = await scene.session.openUpstream<never>({
    ...{ target: 'box', connect: () => Promise.reject(new Error('refused')), drop: () => {} },
    failed: () => ({ end: { reason: 'target_refused', text: 'no' }, told: 1045 }),
  })
  await settled()
  expect(opened).toBeNull()
  expect(scene.done).toContain('told no as 1045')
})

test.each<[string, (scene: Scene) => void, boolean, string]>([
  [
    'access ended meanwhile',
    (scene) => (scene.use = async () => ({ ok: false, text: 'no' })),
    true,
    'refused_before_use',
  ],
  [
    'it cannot be decided',
    (scene) => (scene.use = () => Promise.reject(new Error('gone'))),
    true,
    'refused_before_use',
  ],
  ['its certificate has run out', () => {}, false, 'certificate_expired'],
  ['it ended meanwhile', (scene) => (scene.use = async () => (scene.say(notice), { ok: true })), true, 'ended'],
])('nothing begins where %s', async (_what, prepare, isValid, reason) => {
  const scene = new Scene()
  prepare(scene)
  expect(await scene.session.mayBegin(() => isValid)).toBe(false)
  await settled()
  expect(scene.ends).toEqual([unrecorded(reason)])
})

test('what is let in begins', async () => {
  expect(await new Scene().session.mayBegin(() => true)).toBe(true)
})

test('a moved end counts from then on, and is told where there is room for a line', async () => {
  const told: string[] = []
  const scene = new Scene({ tell: (text) => void told.push(text) }, { endsAt: 1_010_000 })
  scene.session.liveEnd.start()
  scene.say({ ...notice, kind: 'move', text: 'ten more seconds', endsAt: 1_020_000 })
  scene.say({ ...notice, kind: 'tell', text: '' })
  scene.clock.advance(15_000)
  expect([scene.session.isEnding, told]).toEqual([false, ['ten more seconds']])
  scene.clock.advance(6_000)
  expect(scene.session.isEnding).toBe(true)
})

test('access that cannot be decided is refused', async () => {
  const control = { authorize: () => Promise.reject(new Error('gone')) } as Partial<ControlPlane> as ControlPlane
  const input = { protocol: 'mysql' } as Parameters<ControlPlane['authorize']>[0]
  expect(await askAccess(control, silentLog, input)).toMatchObject({ ok: false, code: 'store_unavailable' })
})
