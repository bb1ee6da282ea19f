import { generateKeyPairSync } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { FakeControlPlane } from '../../../../test/support/fake-control-plane.ts'
import { FakeLeg } from '../../../../test/support/fake-ssh-leg.ts'
import { ManualClock } from '../../../../test/support/manual-clock.ts'
import { NotingObserver, settled } from '../../../../test/support/relay-pair.ts'
import { mintCertificate } from '../../../formats/openssh/mint-certificate.ts'
import { publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { makeSignature } from '../../../formats/openssh/signature.ts'
import { newId } from '../../../foundation/ids.ts'
import { silentLog, type Log } from '../../../foundation/log.ts'
import type { RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { moveSession } from './session-states.ts'
import { SshSession, type Recorder } from './session.ts'
import { UpstreamFailed } from './upstream-side.ts'
import { bytesToSign, publicKeyRequest, readBanner, serviceRequest } from './wire/auth-messages.ts'
import { payload } from './wire/payload.ts'

const authority = generateKeyPairSync('ed25519').privateKey
const userKey = generateKeyPairSync('ed25519').privateKey
const head: RecordingHead = { chunks: 3, bytes: 99, digest: 'ab' }

function settingsFor(userAuthority: Uint8Array): WorkerSettings {
  const none = new Uint8Array()
  return {
    installation: 'ins_1',
    proxyName: 'proxy',
    userAuthorities: [userAuthority],
    userX509Authorities: [],
    hostKey: { privatePem: '', certificate: none, publicBlob: none },
    tls: { keyPem: '', certificatePem: '' },
    webTls: null,
    apiSocket: '',
    limits: {
      loginGraceMs: 30_000,
      connections: 10,
      unauthenticated: 10,
      unauthenticatedPerAddress: 10,
      channelsPerConnection: 10,
    },
    mysqlServerVersion: '8.0.0',
  }
}

class FakeRecorder extends NotingObserver implements Recorder {
  readonly contents = ['shell']
  closedFor: string[] = []
  head(): RecordingHead {
    return head
  }
  close(reason: string): Promise<{ head: RecordingHead; complete: boolean }> {
    this.closedFor.push(reason)
    return Promise.resolve({ head, complete: true })
  }
}

class Scene {
  readonly client = new FakeLeg()
  readonly target = new FakeLeg()
  readonly clock = new ManualClock(Date.now())
  readonly recorder = new FakeRecorder()
  readonly control: FakeControlPlane
  readonly session: SshSession
  readonly done: Promise<void>
  onFailure: (error: Error) => void = () => {}
  /** What exchangeKeys answers */
  reach: () => Promise<FakeLeg> = () => Promise.resolve(this.target)
  isDone = false
  readonly errors: string[] = []
  readonly log: Log = {
    ...silentLog,
    error: (_fields, message) => void this.errors.push(message),
    child: () => this.log,
  }
  readonly certificate: Buffer
  loginEnds = this.clock.now() + 3_600_000

  constructor(node: string | null = null) {
    const facts = {
      id: 'nod_1',
      name: 'box',
      host: 'box',
      port: 22,
      hostKey: null,
      hostAuthority: null,
      hostPrincipal: null,
    }
    this.control = new FakeControlPlane({
      onwardAuthority: authority,
      node: facts,
      login: 'deploy',
      folder: '/nowhere',
    })
    this.certificate = mintCertificate(
      {
        subject: publicKeyOf(userKey),
        kind: 'user',
        keyId: 'alice',
        principals: [`sallyport-user-${newId('user', 1)}`],
        validAfter: 0,
        validBefore: this.loginEnds,
        criticalOptions: { 'login-session@sallyport': newId('login', 1) },
      },
      authority,
    ).blob
    const settings = settingsFor(publicKeyOf(authority).blob)
    const signInBy = this.clock.monotonic() + 30_000
    this.session = new SshSession(
      { leg: this.client, node, signInBy, signedIn: () => {} },
      {
        control: this.control,
        settings: () => settings,
        authorizationOf: (facts) => this.control.authorizationOf(facts),
        clock: this.clock,
        log: this.log,
        openRecorder: (_facts, onFailure) => {
          this.onFailure = onFailure
          return this.recorder
        },
        dial: () => Promise.resolve({ socket: new PassThrough(), localAddress: null, peerAddress: 'box' }),
        exchangeKeys: () => this.reach(),
      },
    )
    this.done = this.session.run().then(() => void (this.isDone = true))
  }

  /** As far as the target's answer to our signing in. */
  async signIn(user = '+box'): Promise<void> {
    const request = publicKeyRequest(user, 'ssh-ed25519-cert-v01@openssh.com', this.certificate)
    const signature = makeSignature(userKey, 'ssh-ed25519', bytesToSign(this.client.sessionId, request))
    this.client.receive(serviceRequest('ssh-userauth'), Buffer.concat([request, payload(0, signature).subarray(1)]))
    await this.turn()
  }

  async relaying(): Promise<void> {
    await this.signIn()
    this.target.receive(payload(52))
    await this.turn()
  }

  /** Key pairs are made off the main thread, so promises alone are not enough. */
  async turn(): Promise<void> {
    for (let i = 0; i < 5000 && !this.isDone; i++) {
      await settled()
      await new Promise((resolve) => setImmediate(resolve))
      if (this.target.sent.length > 0 || this.client.disconnected) break
    }
    await settled()
  }

  get ends() {
    return [...this.control.ends.values()].flat()
  }
}

test('a client is let in when the target has let us in and the use has begun, not before', async () => {
  const scene = new Scene()
  await scene.signIn()
  expect(scene.target.sent.map((message) => message[0])).toEqual([5, 50])
  expect(scene.client.isAuthenticated).toBe(false)
  scene.target.receive(payload(52))
  await settled()
  expect(scene.client.isAuthenticated).toBe(true)
  expect(scene.client.sent.at(-1)).toEqual(payload(52))
  expect(scene.session.state).toBe('relaying')
})

test('what the target sends early is passed on in order when the client is in', async () => {
  const scene = new Scene()
  await scene.signIn()
  scene.target.receive(payload(52), payload(80, 'keepalive@openssh.com', true))
  expect(scene.target.isPaused).toBe(true)
  await settled()
  expect(scene.client.sent.slice(-2)).toEqual([payload(52), payload(80, 'keepalive@openssh.com', true)])
  expect(scene.target.isPaused).toBe(false)
})

test('somebody without access gets one banner, and no session is ended that never was', async () => {
  const scene = new Scene()
  scene.control.refusal = { ok: false, code: 'access_denied', lines: ['no access', 'ask for it'] }
  await scene.signIn()
  await scene.done
  expect(readBanner(scene.client.sent.at(-1)!)).toBe('no access\r\nask for it\r\n')
  expect(scene.client.disconnected).toEqual({ reason: 14, text: 'no access' })
  expect(scene.ends).toEqual([])
})

test.each([
  [
    'the target cannot be used',
    'host_key_changed',
    (scene: Scene) => {
      scene.reach = () => Promise.reject(new UpstreamFailed('host_key_changed', 'the host key of box has changed'))
    },
    /host key of box/,
  ],
  [
    'the certificate cannot be minted',
    'upstream_refused',
    (scene: Scene) => {
      scene.control.onMint = () => {
        throw new Error('no authority')
      }
    },
    /box cannot be used/,
  ],
  [
    'access ended meanwhile',
    'refused_before_use',
    (scene: Scene) => {
      scene.control.onStartUse = () => Promise.resolve({ ok: false, text: 'revoked' })
    },
    /revoked/,
  ],
  [
    'startUse fails',
    'refused_before_use',
    (scene: Scene) => {
      scene.control.onStartUse = () => Promise.reject(new Error('store gone'))
    },
    /cannot be decided/,
  ],
] as const)('when %s the client reads why, and the end is stored once', async (_what, reason, prepare, text) => {
  const scene = new Scene()
  prepare(scene)
  await scene.relaying()
  await scene.done
  expect(scene.client.isAuthenticated).toBe(false)
  expect(readBanner(scene.client.sent.at(-1)!)).toMatch(text)
  // Stored before the session counts as over.
  expect(scene.ends).toMatchObject([{ reason, head }])
  expect(scene.errors).not.toContain('the end of a session failed')
})

test('a certificate that expires while the connection is made does not let in', async () => {
  const scene = new Scene()
  await scene.signIn()
  scene.control.onStartUse = () => {
    scene.clock.advance(3_600_000)
    return Promise.resolve({ ok: true })
  }
  scene.target.receive(payload(52))
  await scene.done
  expect(scene.client.isAuthenticated).toBe(false)
  expect(scene.ends).toMatchObject([{ reason: 'certificate_expired' }])
})

test('a client that leaves while the connection is made leaves nothing open', async () => {
  const scene = new Scene()
  await scene.signIn()
  scene.client.close()
  await scene.done
  expect(scene.ends).toMatchObject([{ reason: 'client_left', head }])
  expect(scene.session.state).toBe('closed')
})

test('a client that leaves before it is known is not stored', async () => {
  const scene = new Scene()
  scene.client.receive(serviceRequest('ssh-userauth'))
  scene.client.close()
  await scene.done
  expect([scene.ends, scene.control.asked]).toEqual([[], []])
})

test('a client that is slow to sign in is dropped without a word', async () => {
  const scene = new Scene()
  scene.client.receive(serviceRequest('ssh-userauth'))
  scene.clock.advance(30_000)
  await scene.done
  expect(scene.client.isDestroyed).toBe(true)
  expect(scene.client.disconnected).toBeNull()
})

test('an end notice closes both sides with the reason and stores the head of the recording', async () => {
  const scene = new Scene()
  await scene.relaying()
  scene.control.notify({
    kind: 'end',
    text: 'revoked by\u001b[2J bob',
    endText: 'the end',
    endsAt: null,
    budgetMs: null,
  })
  await scene.done
  expect(scene.client.disconnected).toEqual({ reason: 11, text: 'revoked by[2J bob' })
  expect(scene.target.disconnected?.text).toBe('revoked by[2J bob')
  expect(scene.ends).toEqual([{ reason: 'ended', head, complete: true, contents: ['shell'] }])
  expect(scene.recorder.closedFor).toEqual(['ended'])
})

test('an end that comes with the answer of authorize is not lost', async () => {
  const scene = new Scene()
  const watchEnd = scene.control.watchEnd.bind(scene.control)
  scene.control.watchEnd = (sessionId, onNotice) => {
    const watch = watchEnd(sessionId, onNotice)
    onNotice({ sessionId, kind: 'end', text: 'locked', endText: 'the end', endsAt: null, budgetMs: null })
    return watch
  }
  await scene.signIn()
  await scene.done
  expect(scene.target.sent).toEqual([])
  expect(scene.ends).toMatchObject([{ reason: 'ended' }])
})

test('a stop while access is being decided lets nobody in afterwards', async () => {
  const scene = new Scene()
  const authorize = scene.control.authorize.bind(scene.control)
  const decided = Promise.withResolvers<void>()
  scene.control.authorize = async (input) => {
    await decided.promise
    return await authorize(input)
  }
  await scene.signIn()
  const stopped = scene.session.tellAndClose('the proxy is restarted')
  decided.resolve()
  await stopped
  expect(scene.target.sent).toEqual([])
  expect(scene.client.isAuthenticated).toBe(false)
  expect(scene.ends).toMatchObject([{ reason: 'shutdown' }])
})

test('of several reasons to end the first counts, and the end is stored once', async () => {
  const scene = new Scene()
  await scene.relaying()
  scene.onFailure(new Error('disk full'))
  scene.control.notify({ kind: 'end', text: 'revoked', endText: 'the end', endsAt: null, budgetMs: null })
  scene.client.close()
  scene.target.close()
  await scene.done
  expect(scene.ends.map((end) => end.reason)).toEqual(['recording_failed'])
  expect(scene.errors).toEqual(['the recording failed'])
})

test('an end that cannot be stored still closes everything', async () => {
  const scene = new Scene()
  await scene.relaying()
  scene.control.endSession = () => Promise.reject(new Error('store gone'))
  scene.client.close()
  await scene.done
  expect(scene.target.disconnected).not.toBeNull()
})

test('a preface may name the node, and then the user name is only the login', async () => {
  const scene = new Scene('Box')
  await scene.signIn('root')
  expect(scene.control.asked[0]).toMatchObject({ node: 'box', login: 'root' })
})

test('a preface and a user name that name two nodes are refused', async () => {
  const scene = new Scene('box')
  await scene.signIn('root+other')
  await scene.done
  expect(scene.control.asked).toEqual([])
  expect(readBanner(scene.client.sent.at(-1)!)).toContain('names another node')
})

test('a session goes only where the table says', () => {
  expect(moveSession('identifying', 'authorizing')).toBe('authorizing')
  expect(() => moveSession('identifying', 'relaying')).toThrow('cannot go from identifying to relaying')
  expect(() => moveSession('closed', 'relaying')).toThrow('cannot go')
  expect(() => moveSession('ending', 'relaying')).toThrow('cannot go')
})
