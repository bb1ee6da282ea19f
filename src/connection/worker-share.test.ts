import { generateKeyPairSync } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import { FakeControlPlane } from '../../test/support/fake-control-plane.ts'
import type { SshSignIn } from './control-plane.ts'
import { WorkerShare } from './worker-share.ts'

let control: FakeControlPlane
let orphans: string[]

beforeEach(() => {
  const node = { id: 'nod_1', name: 'box', host: '192.0.2.1', port: 22 }
  control = new FakeControlPlane({
    onwardAuthority: generateKeyPairSync('ed25519').privateKey,
    node: { ...node, hostKey: null, hostAuthority: null, hostPrincipal: null },
    login: 'root',
    folder: '/nowhere',
  })
  orphans = []
})

const worker = (): WorkerShare => new WorkerShare(control, (id) => orphans.push(id))
const nothing = new Uint8Array()
const input: SshSignIn = {
  ...{ protocol: 'ssh', loginSessionId: 'lgn_1', userId: 'usr_1', keyFingerprint: 'SHA256:x', certificateSerial: '1' },
  ...{ node: 'box', login: null, address: '192.0.2.9' },
  proof: { sessionId: nothing, request: nothing, signature: nothing },
}

async function session(share: WorkerShare) {
  const answer = await share.authorize(input)
  if (!answer.ok) throw new Error('refused')
  return answer.facts
}

test('a worker has nothing to say about the sessions of another', async () => {
  const facts = await session(worker())
  const other = worker()
  const { sessionId } = facts
  const head = { chunks: 1, bytes: 1, digest: 'x' }
  const end = { reason: 'x', head, complete: true, contents: [] }
  const foreign = { code: 'not_allowed' }
  const mint = { kind: 'ssh-certificate' as const, authorizationId: facts.id, publicKey: nothing, sourceAddress: null }
  await expect(other.mint(mint)).rejects.toMatchObject(foreign)
  await expect(other.startUse(sessionId)).rejects.toMatchObject(foreign)
  await expect(other.append(sessionId, { type: 'shell', channel: 0 })).rejects.toMatchObject(foreign)
  await expect(other.endSession(sessionId, end)).rejects.toMatchObject(foreign)
  expect(() => other.watchEnd(sessionId, () => {})).toThrow('no session of this worker')
  other.reportHeads(new Map([[sessionId, head]]))
  expect([control.events, control.ends.size, control.heads.size]).toEqual([[], 0, 0])
})

test('the sessions of a worker that died are ended, those still being authorized included', async () => {
  const share = worker()
  const ended = await session(share)
  await share.endSession(ended.sessionId, { reason: 'x', head: null, complete: false, contents: [] })
  const first = await session(share)
  const late = session(share)
  share.gone()
  expect(orphans).toEqual([first.sessionId])
  const { sessionId } = await late
  expect(orphans).toEqual([first.sessionId, sessionId])
})

test('a worker has nothing to say at the doors of another, and goes through each of its own once', async () => {
  control.refusal = { ok: false, code: 'access_denied', lines: [], door: 'dor_1' }
  const share = worker()
  const other = worker()
  await share.authorize(input)
  await expect(other.ask({ door: 'dor_1', reason: null })).rejects.toMatchObject({ code: 'not_allowed' })
  expect(() => other.watchRequest('dor_1', () => {})).toThrow('no session of this worker')
  await expect(other.authorize({ ...input, door: 'dor_1' })).rejects.toMatchObject({ code: 'not_allowed' })
  expect(control.reasons).toEqual([])
  const watch = share.watchRequest('dor_1', () => {})
  await share.ask({ door: 'dor_1', reason: null })
  await share.authorize({ ...input, door: 'dor_1' })
  watch.stop()
  await expect(share.authorize({ ...input, door: 'dor_1' })).rejects.toMatchObject({ code: 'not_allowed' })
  await expect(share.ask({ door: 'dor_1', reason: 'x' })).rejects.toMatchObject({ code: 'not_allowed' })
})
