import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import type { AuthorizationFacts } from './authorization.ts'
import { mintedCertificate } from './control-plane.ts'
import type { AuthorizeAnswer, AuthorizeInput, ControlPlane, EndNotice, RequestNews } from './control-plane.ts'
import { serveControlPlane, type Port, type ToControl, type ToWorker } from './control-plane-ipc.ts'
import { ControlPlaneStub } from './control-plane-stub.ts'

/** Two ports that clone what they carry, as a process boundary does. */
function portPair() {
  const handlers = { toControl: (_message: ToControl) => {}, toWorker: (_message: ToWorker) => {} }
  const closers: (() => void)[] = []
  const worker: Port<ToControl, ToWorker> = {
    send: (message) => queueMicrotask(() => handlers.toControl(structuredClone(message))),
    onMessage: (handler) => void (handlers.toWorker = handler),
    onClose: (handler) => void closers.push(handler),
  }
  const control: Port<ToWorker, ToControl> = {
    send: (message) => queueMicrotask(() => handlers.toWorker(structuredClone(message))),
    onMessage: (handler) => void (handlers.toControl = handler),
    onClose: (handler) => void closers.push(handler),
  }
  return { worker, control, cut: () => closers.forEach((close) => close()) }
}

const question: AuthorizeInput = {
  protocol: 'ssh',
  loginSessionId: 'lgn_1',
  userId: 'usr_1',
  keyFingerprint: 'SHA256:x',
  certificateSerial: '1',
  node: 'db-box',
  login: null,
  address: '127.0.0.1',
  proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
}

function controlThat(overrides: Partial<ControlPlane>): ControlPlane {
  const never = (): Promise<never> => new Promise(() => {})
  return {
    authorize: never,
    ask: never,
    watchRequest: () => ({ stop: () => {} }),
    mint: never,
    startUse: never,
    append: never,
    endSession: never,
    watchEnd: () => ({ stop: () => {} }),
    reportHeads: () => {},
    reportAuthFailure: () => {},
    silentFor: () => 0,
    ...overrides,
  }
}

test('answers, bytes and refusals come across as they are', async () => {
  const { worker, control } = portPair()
  const stub = new ControlPlaneStub(worker, new ManualClock())
  serveControlPlane(
    control,
    controlThat({
      authorize: (input) =>
        Promise.resolve({ ok: false, code: 'access_denied', lines: ['node' in input ? input.node : ''] }),
      mint: (input) =>
        Promise.resolve({
          kind: 'certificate',
          certificate: 'publicKey' in input ? input.publicKey.slice(1) : new Uint8Array(),
        }),
      append: () => Promise.reject(new Error('the store is full')),
    }),
  )
  expect(await stub.authorize(question)).toEqual({ ok: false, code: 'access_denied', lines: ['db-box'] })
  const minted = await stub.mint({
    kind: 'ssh-certificate',
    authorizationId: 'azn_1',
    publicKey: new Uint8Array([1, 2, 3]),
    sourceAddress: null,
  })
  expect([...mintedCertificate(minted)]).toEqual([2, 3])
  await expect(stub.append('ses_1', { type: 'shell', channel: 0 })).rejects.toThrow('the store is full')
})

test('a call that is never answered fails: silence grants nothing', async () => {
  const clock = new ManualClock()
  const { worker, control } = portPair()
  const stub = new ControlPlaneStub(worker, clock)
  serveControlPlane(control, controlThat({}))
  const answer = stub.authorize(question)
  clock.advance(30_000)
  await expect(answer).rejects.toThrow('did not answer authorize')
})

test('when the control process goes, what waits fails and nothing new is asked', async () => {
  const { worker, control, cut } = portPair()
  const stub = new ControlPlaneStub(worker, new ManualClock())
  serveControlPlane(control, controlThat({}))
  const waiting = stub.startUse('ses_1')
  cut()
  await expect(waiting).rejects.toThrow('is gone')
  await expect(stub.authorize(question)).rejects.toThrow('is gone')
})

test('an end notice reaches the session it is for, and no other', async () => {
  const { worker, control } = portPair()
  const stub = new ControlPlaneStub(worker, new ManualClock())
  const watching = new Map<string, (notice: EndNotice) => void>()
  serveControlPlane(
    control,
    controlThat({
      watchEnd: (id, onNotice) => {
        watching.set(id, onNotice)
        return { stop: () => watching.delete(id) }
      },
    }),
  )
  const seen: string[] = []
  const first = stub.watchEnd('ses_1', (notice) => seen.push(notice.text))
  stub.watchEnd('ses_2', () => seen.push('wrong'))
  await settle()
  watching.get('ses_1')?.({
    sessionId: 'ses_1',
    kind: 'end',
    text: 'revoked',
    endText: 'the end',
    endsAt: null,
    budgetMs: null,
  })
  await settle()
  expect(seen).toEqual(['revoked'])
  first.stop()
  await settle()
  expect([...watching.keys()]).toEqual(['ses_2'])
})

test('how long the control process has been silent is known, by the monotonic clock', async () => {
  const clock = new ManualClock()
  const { worker, control } = portPair()
  const stub = new ControlPlaneStub(worker, clock)
  clock.advance(5000)
  clock.jumpTo(0)
  expect(stub.silentFor()).toBe(5000)
  control.send({ kind: 'beat' })
  await settle()
  expect(stub.silentFor()).toBe(0)
})

test('only facts that came as a yes become an authorization, and only once', async () => {
  const { worker, control } = portPair()
  const stub = new ControlPlaneStub(worker, new ManualClock())
  // Only the id matters here: the stub looks at nothing else.
  const facts = { id: 'azn_1' } as AuthorizationFacts
  serveControlPlane(control, controlThat({ authorize: () => Promise.resolve({ ok: true, facts }) }))
  const answer = await stub.authorize(question)
  if (!answer.ok) throw new Error('it was refused')
  expect(() => stub.authorizationOf({ ...answer.facts })).toThrow('did not say yes')
  expect(stub.authorizationOf(answer.facts).spend()).toBe(answer.facts)
  expect(() => stub.authorizationOf(answer.facts)).toThrow('did not say yes')
})

test('a yes that comes after its deadline is ended, because nobody waits for it', async () => {
  const { worker, control } = portPair()
  const clock = new ManualClock()
  const stub = new ControlPlaneStub(worker, clock)
  const late = Promise.withResolvers<AuthorizeAnswer>()
  const ended: string[] = []
  const endSession = (id: string): Promise<void> => Promise.resolve(void ended.push(id))
  serveControlPlane(control, controlThat({ authorize: () => late.promise, endSession }))
  const asked = stub.authorize(question)
  await settle()
  clock.advance(30_000)
  await expect(asked).rejects.toThrow('did not answer authorize')
  late.resolve({ ok: true, facts: { id: 'azn_1', sessionId: 'ses_1' } as AuthorizationFacts })
  await expect.poll(() => ended).toEqual(['ses_1'])
})

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('asking and the news of a request cross the boundary, each to its door; a worker that dies gives its doors up', async () => {
  const { worker, control, cut } = portPair()
  const stub = new ControlPlaneStub(worker, new ManualClock())
  const doors = new Map<string, (news: RequestNews) => void>()
  serveControlPlane(
    control,
    controlThat({
      ask: ({ door, reason }) => Promise.resolve({ kind: 'prompt', lines: [door], prompt: reason ?? 'why?' }),
      watchRequest: (door, onNews) => {
        doors.set(door, onNews)
        return { stop: () => doors.delete(door) }
      },
    }),
  )
  expect(await stub.ask({ door: 'dor_1', reason: null })).toEqual({ kind: 'prompt', lines: ['dor_1'], prompt: 'why?' })
  const seen: RequestNews[] = []
  const first = stub.watchRequest('dor_1', (news) => seen.push(news))
  stub.watchRequest('dor_2', () => seen.push({ kind: 'over', lines: ['wrong'] }))
  await settle()
  doors.get('dor_1')?.({ kind: 'progress', lines: ['1 of 2'] })
  doors.get('dor_1')?.({ kind: 'go', lines: [] })
  await settle()
  expect(seen.map(({ kind }) => kind)).toEqual(['progress', 'go'])
  first.stop()
  await settle()
  expect([...doors.keys()]).toEqual(['dor_2'])
  cut()
  expect(doors.size).toBe(0)
  await expect(stub.ask({ door: 'dor_2', reason: 'x' })).rejects.toThrow('is gone')
})
