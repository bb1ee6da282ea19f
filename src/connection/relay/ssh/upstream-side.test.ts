import { generateKeyPairSync } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { FakeControlPlane } from '../../../../test/support/fake-control-plane.ts'
import { FakeLeg } from '../../../../test/support/fake-ssh-leg.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { parseCertificate } from '../../../formats/openssh/certificate.ts'
import { verifySignature } from '../../../formats/openssh/signature.ts'
import { sshFacts, type Authorization, type SshFacts } from '../../authorization.ts'
import { connectUpstream, UpstreamFailed, type Upstream, type UpstreamWorld } from './upstream-side.ts'
import { bytesToSign, readAuthRequest } from './wire/auth-messages.ts'
import { payload } from './wire/payload.ts'

const NODE = {
  id: 'nod_1',
  name: 'box',
  host: 'box.internal',
  port: 22,
  hostKey: null,
  hostAuthority: null,
  hostPrincipal: null,
}

class Scene {
  readonly control = new FakeControlPlane({
    onwardAuthority: generateKeyPairSync('ed25519').privateKey,
    node: NODE,
    login: 'deploy',
    folder: '/nowhere',
  })
  readonly clock = new ManualClock()
  readonly abort = new AbortController()
  readonly socket = new PassThrough()
  readonly leg = new FakeLeg()
  readonly dialled: string[] = []
  world: UpstreamWorld = {
    control: this.control,
    dial: (host, port) => {
      this.dialled.push(`${host}:${port}`)
      return Promise.resolve({ socket: this.socket, localAddress: '192.0.2.2', peerAddress: '192.0.2.3' })
    },
    exchangeKeys: () => Promise.resolve(this.leg),
  }

  async authorization(): Promise<Authorization<SshFacts>> {
    const answer = await this.control.authorize({
      protocol: 'ssh',
      loginSessionId: 'lgn_1',
      userId: 'usr_1',
      keyFingerprint: 'SHA256:x',
      certificateSerial: '1',
      node: 'box',
      login: null,
      address: '192.0.2.1',
      proof: { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() },
    })
    if (!answer.ok) throw new Error('refused')
    return this.control.authorizationOf(sshFacts(answer.facts))
  }

  async connect(): Promise<Upstream> {
    return await connectUpstream(await this.authorization(), this.world, {
      signal: this.abort.signal,
      clock: this.clock,
    })
  }

  /** Key pairs are made off the main thread. */
  async untilAsked(): Promise<void> {
    while (this.leg.sent.length < 2) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Waits for promises and for what is made off the main thread. */
async function aWhile(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('the target is shown a fresh certificate for the login, signed for, in one flight', async () => {
  const scene = new Scene()
  const connecting = scene.connect()
  await scene.untilAsked()
  expect(scene.dialled).toEqual(['box.internal:22'])
  expect(scene.leg.sent[0]?.[0]).toBe(5)
  const request = readAuthRequest(scene.leg.sent[1]!)
  if (request.method !== 'publickey' || !request.signature) throw new Error('not a signed request')
  const { publicKey, principals, criticalOptions } = parseCertificate(request.key)
  expect([request.user, principals]).toEqual(['deploy', ['deploy']])
  expect(criticalOptions.get('source-address')?.toString()).toContain('192.0.2.2')
  const signed = bytesToSign(scene.leg.sessionId, request.signedPart)
  expect(verifySignature(publicKey, 'ssh-ed25519', signed, request.signature)).toBe(true)
  scene.leg.receive(payload(6, 'ssh-userauth'), payload(53, 'welcome', ''), payload(52))
  expect((await connecting).leg).toBe(scene.leg)
})

test('an authorization opens one connection, and no second', async () => {
  const scene = new Scene()
  const authorization = await scene.authorization()
  const task = { signal: scene.abort.signal, clock: scene.clock }
  const first = connectUpstream(authorization, scene.world, task)
  await expect(connectUpstream(authorization, scene.world, task)).rejects.toThrow('used twice')
  expect(scene.dialled).toHaveLength(1)
  await scene.untilAsked()
  scene.leg.receive(payload(52))
  await first
})

test.each([
  [
    'takes no connection',
    'upstream_unreachable',
    (scene: Scene) => {
      scene.world = { ...scene.world, dial: () => Promise.reject(new Error('ECONNREFUSED')) }
    },
  ],
  [
    'shows a wrong host key',
    'host_key_changed',
    (scene: Scene) => {
      scene.world = { ...scene.world, exchangeKeys: () => Promise.reject(new UpstreamFailed('host_key_changed', 'x')) }
    },
  ],
  [
    'speaks no SSH',
    'upstream_refused',
    (scene: Scene) => {
      scene.world = { ...scene.world, exchangeKeys: () => Promise.reject(new Error('no SSH identification')) }
    },
  ],
] as const)('a target that %s fails with a reason and leaves no socket open', async (_what, reason, prepare) => {
  const scene = new Scene()
  prepare(scene)
  await expect(scene.connect()).rejects.toMatchObject({ name: 'UpstreamFailed', reason })
  if (reason !== 'upstream_unreachable') expect(scene.socket.destroyed).toBe(true)
})

test.each([
  ['refuses the login', (leg: FakeLeg) => leg.receive(payload(51, 'publickey', false)), /did not let deploy in$/],
  ['hangs up', (leg: FakeLeg) => leg.close(), /it closed the connection/],
  ['says why it hangs up', (leg: FakeLeg) => leg.close(undefined, 'go away'), /go away/],
  ['talks nonsense', (leg: FakeLeg) => leg.receive(payload(90, 'session', 0, 0, 0)), /unexpected message 90/],
] as const)('a target that %s is told of', async (_what, act, text) => {
  const scene = new Scene()
  const connecting = scene.connect()
  connecting.catch(() => undefined)
  await scene.untilAsked()
  act(scene.leg)
  await expect(connecting).rejects.toThrow(text)
  expect(scene.socket.destroyed).toBe(true)
})

test('a target that does not answer is given up: ten seconds for the connection, fifteen for signing in', async () => {
  const silent = new Scene()
  silent.world = {
    ...silent.world,
    dial: (_host, _port, signal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  }
  const dialling = silent.connect()
  dialling.catch(() => undefined)
  await aWhile()
  silent.clock.advance(10_000)
  await expect(dialling).rejects.toThrow('box cannot be reached')

  const mute = new Scene()
  const signing = mute.connect()
  signing.catch(() => undefined)
  await mute.untilAsked()
  mute.clock.advance(15_000)
  await expect(signing).rejects.toThrow('it took too long')
})

test('a client that leaves ends the connecting', async () => {
  const scene = new Scene()
  const connecting = scene.connect()
  connecting.catch(() => undefined)
  await scene.untilAsked()
  scene.abort.abort(new Error('the client left'))
  await expect(connecting).rejects.toThrow('the client left')
  expect(scene.socket.destroyed).toBe(true)
})

test('a target that talks without end before it is listened to is disconnected', async () => {
  const scene = new Scene()
  const connecting = scene.connect()
  await scene.untilAsked()
  scene.leg.receive(payload(52))
  for (let i = 0; i < 64; i++) scene.leg.receive(payload(80, 'x', false))
  expect((await connecting).held).toHaveLength(64)
  scene.leg.receive(payload(80, 'x', false))
  expect(scene.leg.failure?.message).toBe('too much sent ahead')
})
