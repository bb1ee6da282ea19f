import { createPrivateKey } from 'node:crypto'
import { connect, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import type { Authorization, SshFacts } from '../../authorization.ts'
import type { ControlPlane, RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { prepareSocket, RelaySessions } from '../../relay-sessions.ts'
import { hostIdentityOf } from './host-identity.ts'
import { hostKeyAlgorithms, judgeHostKey, type Node } from './host-key.ts'
import { acceptLeg, openLeg } from './leg-over-socket.ts'
import { SessionRecorder } from './observe/session-recorder.ts'
import { SshSession, type SessionWorld } from './session.ts'
import type { SshLeg } from './ssh-leg.ts'
import { UpstreamFailed, type Dialled } from './upstream-side.ts'
import type { HostIdentity } from './wire/key-exchange.ts'

export interface SshRelayDeps {
  readonly control: ControlPlane
  /** What the worker was told last */
  readonly settings: () => WorkerSettings
  /** ControlPlaneStub.authorizationOf, or what the in-process form has in its place */
  readonly authorizationOf: (facts: SshFacts) => Authorization<SshFacts>
  readonly clock: Clock
  readonly log: Log
}

/** An SSH connection of which no byte was read, or none that was not put back. */
export interface SshArrival {
  readonly socket: Duplex
  /** Of the peer, without port */
  readonly address: string
  /** Named by a CONNECT preface; then the user name need not name it */
  readonly node: string | null
  /** Takes it out of the unauthenticated counts. */
  signedIn(): void
}

/** All SSH connections of one worker. */
export class SshRelay {
  readonly #deps: SshRelayDeps
  readonly #world: SessionWorld
  readonly #sessions: RelaySessions
  readonly #stop = new AbortController()
  readonly #hostIdentity: () => HostIdentity

  constructor(deps: SshRelayDeps) {
    this.#deps = deps
    this.#sessions = new RelaySessions(deps)
    this.#hostIdentity = hostIdentityFrom(deps.settings)
    this.#world = {
      ...deps,
      dial,
      exchangeKeys: (dialled, node, signal) => exchangeKeys(dialled, node, { signal, clock: deps.clock }),
      openRecorder: (facts, onFailure) => SessionRecorder.open(facts, deps.clock, onFailure),
    }
  }

  /** Connections past the key exchange */
  get connections(): number {
    return this.#sessions.size
  }

  /** Serves one connection until it has ended and its end is stored. Never rejects. */
  async handle(arrival: SshArrival): Promise<void> {
    const { clock, settings, log } = this.#deps
    const signInBy = clock.monotonic() + settings().limits.loginGraceMs
    const leg = await this.#accept(arrival)
    if (!leg) return
    const session = new SshSession({ leg, node: arrival.node, signedIn: arrival.signedIn, signInBy }, this.#world)
    try {
      await this.#sessions.run(session)
    } catch (error) {
      log.error({ err: error }, 'an SSH session failed')
      leg.destroy()
    }
  }

  /** Takes no more connections and ends the live ones, with `text` on their terminals. */
  async tellAndClose(text: string): Promise<void> {
    this.#stop.abort(new Error(text))
    await this.#sessions.tellAndClose(text)
  }

  /** Where each open recording stands. */
  heads(): ReadonlyMap<string, RecordingHead> {
    return this.#sessions.heads()
  }

  async #accept(arrival: SshArrival): Promise<SshLeg | null> {
    const { clock, settings, log } = this.#deps
    if (arrival.socket instanceof Socket) prepareSocket(arrival.socket)
    try {
      return await acceptLeg(arrival.socket, {
        task: { signal: this.#stop.signal, clock },
        peerAddress: arrival.address,
        hostIdentity: this.#hostIdentity(),
        handshakeMs: settings().limits.loginGraceMs,
      })
    } catch (error) {
      log.debug({ err: error, address: arrival.address }, 'no SSH connection came about')
      arrival.socket.destroy()
      return null
    }
  }
}

/** The key is read from PEM once for each key, not for each connection. */
function hostIdentityFrom(settings: () => WorkerSettings): () => HostIdentity {
  let last: { readonly pem: string; readonly certificate: Uint8Array; readonly identity: HostIdentity } | null = null
  return () => {
    const { privatePem: pem, certificate } = settings().hostKey
    if (last?.pem !== pem || last.certificate !== certificate) {
      last = { pem, certificate, identity: hostIdentityOf(createPrivateKey(pem), certificate) }
    }
    return last.identity
  }
}

function dial(host: string, port: number, signal: AbortSignal): Promise<Dialled> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port })
    const abort = (): void => {
      socket.destroy()
      reject(signal.reason as Error)
    }
    socket.once('error', reject)
    socket.once('connect', () => {
      signal.removeEventListener('abort', abort)
      socket.off('error', reject)
      prepareSocket(socket)
      resolve({ socket, localAddress: socket.localAddress ?? null, peerAddress: socket.remoteAddress ?? host })
    })
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

function exchangeKeys(
  dialled: Dialled,
  node: Node,
  task: { readonly signal: AbortSignal; readonly clock: Clock },
): Promise<SshLeg> {
  return openLeg(dialled.socket, {
    task,
    peerAddress: dialled.peerAddress,
    localAddress: dialled.localAddress,
    hostKeyAlgorithms: hostKeyAlgorithms(node),
    verifyHostKey: ({ blob }) => {
      const verdict = judgeHostKey(node, Buffer.from(blob), task.clock.now())
      if (!verdict.ok) throw new UpstreamFailed(verdict.reason, verdict.text)
    },
  })
}
