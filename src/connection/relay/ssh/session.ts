import { parseSshUserName, type SshUserName } from '../../../formats/ssh-user-name.ts'
import type { Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import { sshFacts, type Authorization, type SshFacts } from '../../authorization.ts'
import {
  AdmittedSession,
  askAccess,
  CLIENT_LEFT,
  INTERNAL_ERROR,
  NO_LONGER_VALID,
  type SessionRecorder,
} from '../../admitted-session.ts'
import type { AuthorizeAnswer, ControlPlane, RecordingHead, SshSignIn, WorkerSettings } from '../../control-plane.ts'
import { AskInside } from './ask-inside.ts'
import type { Side } from './channel-rules.ts'
import { ClientSide, type Identification, type ProvenClient } from './client-side.ts'
import { ConnectionRelay } from './connection-relay.ts'
import type { EndReason } from '../../live-end.ts'
import { plainLine, refuse } from './refuse.ts'
import type { SessionObserver } from './relay-host.ts'
import { moveSession, type SessionState } from './session-states.ts'
import type { SshLeg } from './ssh-leg.ts'
import { connectUpstream, UpstreamFailed, type Upstream, type UpstreamWorld } from './upstream-side.ts'
import { authSuccess } from './wire/auth-messages.ts'
import { DISCONNECT_REASON } from './wire/messages.ts'

/** How long a peer may take to receive its last words. */
const FAREWELL_MS = 500
/** However late the sign-in was: a client goes on to the next method by itself, in one round trip. */
const LEAST_PATIENCE_MS = 5_000

type Target = Extract<SshUserName, { ok: true }>
type Answer = AuthorizeAnswer<SshFacts>
type Denied = Extract<Answer, { ok: false }>

export type Recorder = SessionObserver & SessionRecorder

export interface SessionWorld extends UpstreamWorld {
  readonly control: ControlPlane
  /** What the control side decided, brought back to life on this side (ControlPlaneStub.authorizationOf). */
  authorizationOf(facts: SshFacts): Authorization<SshFacts>
  settings(): WorkerSettings
  readonly clock: Clock
  readonly log: Log
  /** Creates the recording file; throws where there is none to be had. `onFailure`: the session must end. */
  openRecorder(facts: SshFacts, onFailure: (error: Error) => void): Recorder
}

export interface SessionArrival {
  readonly leg: SshLeg
  /** Named by a preface of the connection (CONNECT); the user name then need not name it. */
  readonly node: string | null
  /** Monotonic instant by which the client must have signed in */
  readonly signInBy: number
  /** The connection belongs to somebody known from now on. */
  signedIn(): void
}

/** What there is once authorize() said yes: from here on the end must be stored. */
interface Admitted {
  readonly session: AdmittedSession<SshFacts, Recorder>
  upstream: SshLeg | null
  readonly upstreamClosed: PromiseWithResolvers<void>
  relay: ConnectionRelay | null
}

/** One connection: identify -> authorize -> upstream -> start of use -> relay and record -> end. */
export class SshSession {
  readonly #world: SessionWorld
  readonly #arrival: SessionArrival
  readonly #client: SshLeg
  readonly #abort = new AbortController()
  #log: Log
  #state: SessionState = 'accepting'
  #admitted: Admitted | null = null
  #asking: AskInside | null = null
  /** The proxy stops; a session that is only being admitted ends with this as soon as it is. */
  #stopped: EndReason | null = null
  readonly #clientClosed = Promise.withResolvers<void>()
  readonly #over = Promise.withResolvers<void>()

  constructor(arrival: SessionArrival, world: SessionWorld) {
    this.#arrival = arrival
    this.#world = world
    this.#client = arrival.leg
    this.#log = world.log
  }

  get state(): SessionState {
    return this.#state
  }

  /** Null before authorize() said yes and where there is no recording yet. */
  get recordingHead(): readonly [string, RecordingHead] | null {
    return this.#admitted?.session.recordingHead ?? null
  }

  /** Resolves when everything is closed and its end is stored. Never rejects. */
  async run(): Promise<void> {
    const identified = this.#identify()
    this.#client.onClose = ({ error }) => {
      this.#clientClosed.resolve()
      this.#clientLeft(error)
    }
    try {
      const identification = await identified
      if (identification.kind === 'gave-up') this.#closed()
      else if (identification.kind === 'expired') this.#refuse(EXPIRED_LINES)
      else await this.#admit(identification.client)
    } catch (error) {
      this.#log.error({ err: error }, 'an SSH session failed')
      if (this.#admitted) this.#end(INTERNAL_ERROR)
      else this.#giveUp()
    }
    await this.#over.promise
  }

  /** Ends the session with a text on its terminals. */
  tellAndClose(text: string): Promise<void> {
    this.#asking?.end(text)
    if (this.#state === 'identifying' || this.#state === 'accepting') {
      this.#client.disconnect(DISCONNECT_REASON.SERVICE_NOT_AVAILABLE, plainLine(text))
    }
    this.#stopped = { reason: 'shutdown', text }
    this.#end(this.#stopped)
    return this.#over.promise
  }

  #identify(): Promise<Identification> {
    this.#move('identifying')
    const { clock, settings, control } = this.#world
    const leg = this.#client
    return new Promise((resolve) => {
      // Slow ones just lose the connection: nobody is known who could be told.
      const grace = clock.after(this.#arrival.signInBy - clock.monotonic(), () =>
        leg.destroy(new Error('too slow to sign in')),
      )
      const settle = (identification: Identification): void => {
        grace.cancel()
        resolve(identification)
      }
      this.#abort.signal.addEventListener('abort', () => settle({ kind: 'gave-up' }), { once: true })
      const onFailure = (code: string): void => control.reportAuthFailure({ address: leg.peerAddress, code })
      const authorities = (): readonly Uint8Array[] => settings().userAuthorities
      void new ClientSide({ leg, authorities, clock, onFailure, onIdentified: settle })
    })
  }

  async #admit(client: ProvenClient): Promise<void> {
    this.#move('authorizing')
    this.#arrival.signedIn()
    const target = whereTo(client.userName, this.#arrival.node)
    if (!target.ok) {
      this.#refuse([target.message])
      return
    }
    const first = await this.#authorize(client, target)
    const answer = first.ok || first.door === undefined ? first : await this.#ask(client, target, first, first.door)
    if (answer === null) {
      this.#closed()
      return
    }
    if (!answer.ok) {
      this.#refuse(answer.lines)
      return
    }
    const admitted = this.#enter(answer.facts)
    if (admitted.session.isEnding) return
    if (this.#stopped) this.#end(this.#stopped)
    else if (this.#abort.signal.aborted) this.#end(CLIENT_LEFT)
    else if (!client.isStillValid()) this.#end(NO_LONGER_VALID)
    else await this.#connect(admitted, client)
  }

  /** Null: the client has been told, or has left. What authorize() says after the waiting is its answer of then. */
  async #ask(client: ProvenClient, target: Target, refused: Denied, door: string): Promise<Answer | null> {
    this.#move('asking')
    const { control, clock } = this.#world
    const leg = this.#client
    const asking = new AskInside({
      ...{ leg, control, clock, door, userName: client.userName, refusal: refused.lines },
      patienceMs: Math.max(LEAST_PATIENCE_MS, this.#arrival.signInBy - clock.monotonic()),
    })
    this.#asking = asking
    try {
      const outcome = await asking.run(this.#abort.signal)
      if (this.#abort.signal.aborted) return null
      this.#move('authorizing')
      if (outcome.kind === 'go') return await this.#authorize(client, target, door)
      if (outcome.lines.length > 0) return { ok: false, code: refused.code, lines: outcome.lines }
      leg.disconnect(DISCONNECT_REASON.NO_MORE_AUTH_METHODS_AVAILABLE, plainLine(refused.lines[0] ?? 'access denied'))
      return null
    } finally {
      this.#asking = null
      asking.leave()
    }
  }

  async #authorize(client: ProvenClient, target: Target, door?: string): Promise<Answer> {
    const input: SshSignIn = {
      protocol: 'ssh',
      loginSessionId: client.user.loginSessionId,
      userId: client.user.userId,
      keyFingerprint: client.user.keyFingerprint,
      certificateSerial: client.user.serial,
      node: target.node,
      login: target.login,
      address: this.#client.peerAddress,
      proof: client.proof,
      ...(door === undefined ? {} : { door }),
    }
    const answer = await askAccess(this.#world.control, this.#log, input)
    return answer.ok ? { ok: true, facts: sshFacts(answer.facts) } : answer
  }

  #enter(facts: SshFacts): Admitted {
    const { control, clock } = this.#world
    this.#log = this.#log.child({ session: facts.sessionId })
    const session: Admitted['session'] = new AdmittedSession(facts, {
      ...{ control, clock, log: this.#log },
      protocol: {
        tell: (text) => void admitted.relay?.injectNotice(plainLine(text)),
        farewell: ({ text }) => this.#farewell(admitted, text),
        destroy: () => {
          this.#client.destroy()
          admitted.upstream?.destroy()
        },
        closed: () => this.#closed(),
      },
    })
    const admitted: Admitted = {
      ...{ session, upstreamClosed: Promise.withResolvers<void>() },
      ...{ upstream: null, relay: null },
    }
    this.#admitted = admitted
    session.watch()
    return admitted
  }

  async #connect(admitted: Admitted, client: ProvenClient): Promise<void> {
    this.#move('connecting')
    const { session } = admitted
    const { facts } = session
    // The target's sshd starts a process for us: meanwhile the recording is opened. Without one the dialling is aborted in this very tick.
    const dialling = this.#openUpstream(session)
    const recorder = session.openRecorder((onFailure) => this.#world.openRecorder(facts, onFailure))
    const upstream = await dialling
    if (!upstream || !recorder) return
    admitted.upstream = upstream.leg
    upstream.leg.onClose = ({ error, peerText }) => {
      admitted.upstreamClosed.resolve()
      this.#targetLeft(facts.node.name, error, peerText)
    }
    if (await session.mayBegin(() => client.isStillValid())) this.#relay(admitted, recorder, upstream)
  }

  #openUpstream(session: Admitted['session']): Promise<Upstream | null> {
    const { facts } = session
    const task = { signal: this.#abort.signal, clock: this.#world.clock }
    return session.openUpstream({
      target: facts.node.name,
      connect: () => connectUpstream(this.#world.authorizationOf(facts), this.#world, task),
      drop: ({ leg }) => leg.destroy(),
      failed: (error) => {
        const { reason, message } =
          error instanceof UpstreamFailed ? error : new UpstreamFailed('internal_error', 'the target cannot be used')
        return { end: { reason, text: message } }
      },
    })
  }

  #relay(admitted: Admitted, recorder: Recorder, upstream: Upstream): void {
    this.#move('relaying')
    const { facts, liveEnd } = admitted.session
    const { control, clock, settings } = this.#world
    const relay = new ConnectionRelay({
      client: this.#client,
      target: upstream.leg,
      permissions: facts.permissions,
      channelsPerConnection: settings().limits.channelsPerConnection,
      clock,
      host: {
        observer: recorder,
        append: (event) => control.append(facts.sessionId, event),
        active: () => liveEnd.active(),
        fail: (error, side) => this.#relayFailed(error, side),
      },
    })
    admitted.relay = relay
    relay.start()
    this.#client.authenticated()
    this.#client.send(authSuccess())
    for (const packet of upstream.held) relay.receive('target', packet)
    upstream.leg.resume()
    liveEnd.start()
  }

  #relayFailed(error: Error, side: Side | null): void {
    this.#log.warn({ err: error, side }, 'the relay failed')
    if (side === null) this.#admitted?.session.recordingFailed(error)
    else if (side === 'client') this.#end({ reason: 'client_protocol_error', text: `protocol error: ${error.message}` })
    else
      this.#end({ reason: 'target_protocol_error', text: 'Session ended: the target does not keep to the protocol.' })
  }

  #clientLeft(error: Error | undefined): void {
    this.#abort.abort(error ?? new Error('the client left'))
    this.#end(error ? { reason: 'client_connection_lost', text: error.message } : CLIENT_LEFT)
  }

  #targetLeft(node: string, error: Error | undefined, peerText: string | undefined): void {
    if (error) this.#log.warn({ err: error }, 'connection to the target lost')
    const why = peerText === undefined ? '' : `: ${peerText}`
    this.#end({ reason: 'target_left', text: `${node} closed the connection${why}` })
  }

  /** Somebody proven has no access; nothing was stored as begun. */
  #refuse(lines: readonly string[]): void {
    if (this.#state === 'closed') return
    this.#move('refusing')
    refuse(this.#client, lines)
    this.#closed()
  }

  /** Nothing happens before there is a session. */
  #end(end: EndReason): void {
    this.#admitted?.session.end(end)
  }

  async #farewell(admitted: Admitted, text: string): Promise<void> {
    const wasRelaying = this.#state === 'relaying'
    this.#move('ending')
    const shown = plainLine(text)
    if (wasRelaying) await admitted.relay?.windUp(shown)
    this.#abort.abort(new Error(shown))
    if (wasRelaying) this.#client.disconnect(DISCONNECT_REASON.BY_APPLICATION, shown)
    else refuse(this.#client, [text])
    await this.#bothClosed(admitted, shown)
  }

  /** Waits until both connections are closed, and closes them after half a second in any case. */
  async #bothClosed({ upstream, upstreamClosed }: Admitted, text: string): Promise<void> {
    if (upstream) upstream.disconnect(DISCONNECT_REASON.BY_APPLICATION, text)
    else upstreamClosed.resolve()
    const timer = this.#world.clock.after(FAREWELL_MS, () => {
      this.#client.destroy()
      upstream?.destroy()
      this.#clientClosed.resolve()
      upstreamClosed.resolve()
    })
    await Promise.all([this.#clientClosed.promise, upstreamClosed.promise])
    timer.cancel()
  }

  #giveUp(): void {
    this.#client.destroy()
    this.#closed()
  }

  #closed(): void {
    if (this.#state !== 'closed') this.#move('closed')
    this.#over.resolve()
  }

  #move(to: SessionState): void {
    this.#state = moveSession(this.#state, to)
  }
}

const EXPIRED_LINES = ['Your certificate has expired.', 'run: sally login']
function whereTo(userName: string, node: string | null): SshUserName {
  if (node === null) return parseSshUserName(userName)
  const named = parseSshUserName(userName.includes('+') ? userName : `${userName}+${node}`)
  const wanted = parseSshUserName(`+${node}`)
  if (!wanted.ok) return wanted
  if (named.ok && named.node !== wanted.node) return { ok: false, message: 'the user name names another node' }
  return named
}
