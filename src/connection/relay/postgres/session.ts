import type { Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { checkUserCertificate, type CertifiedUser } from '../../../formats/x509/check-user-certificate.ts'
import type { Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import { databaseFacts, type Authorization, type DatabaseFacts } from '../../authorization.ts'
import { AdmittedSession, askAccess, CLIENT_LEFT, INTERNAL_ERROR, NO_LONGER_VALID } from '../../admitted-session.ts'
import type { AuthorizeAnswer, ControlPlane, RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { moveDatabaseSession, type DatabaseSessionState } from '../../database-session-states.ts'
import type { EndReason } from '../../live-end.ts'
import { StatementRecorder } from '../../statement-recorder.ts'
import { WaitingClient } from '../../waiting-client.ts'
import { AskInside } from './ask-inside.ts'
import type { CancelKeys } from './cancel-keys.ts'
import { openClient, tellAndClose, type ClientOpening } from './client-side.ts'
import { QueryRelay } from './query-relay.ts'
import { sessionSettings } from './session-settings.ts'
import { judgeStartup, type Wanted } from './startup-rules.ts'
import { hasRules, statementRefusal } from './statement-rules.ts'
import { connectUpstream, UpstreamFailed, type Upstream } from './upstream-side.ts'
import { NEWEST_MINOR, SQLSTATE } from './wire/codes.ts'
import { AUTHENTICATION_OK, complaint, keyData, negotiateVersion } from './wire/server-messages.ts'

/** How long a peer may take to receive its last words. */
const FAREWELL_MS = 500

export interface SessionWorld {
  readonly control: ControlPlane
  /** What the control side decided, brought back to life on this side (ControlPlaneStub.authorizationOf). */
  authorizationOf(facts: DatabaseFacts): Authorization<DatabaseFacts>
  settings(): WorkerSettings
  /** TLS as a server that asks for a user's certificate */
  clientContext(): SecureContext
  readonly cancelKeys: CancelKeys
  /** Cancels by a key that may be of another worker. Resolves when the server has been told, or nobody knows the key. */
  cancel(key: Uint8Array): Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** A connection of which no byte was read, or none that was not put back. */
export interface PostgresArrival {
  readonly socket: Socket
  /** Of the peer, without port */
  readonly address: string
  /** Began with a ClientHello whose ALPN says `postgresql` */
  readonly isDirectTls: boolean
  /** Takes it out of the unauthenticated counts. */
  signedIn(): void
}

interface Identified extends Omit<ClientOpening, 'rest'> {
  /** Until it is let in */
  readonly waiting: WaitingClient
  readonly user: CertifiedUser
  /** DER */
  readonly shown: Uint8Array
}

type Denied = Extract<AuthorizeAnswer, { ok: false }>

/** SQLSTATE under which the client is told; null: it is told nothing */
type Told = string | null

/** What there is once authorize() said yes: from here on the end must be stored. */
interface Admitted {
  readonly session: AdmittedSession<DatabaseFacts, StatementRecorder, Told>
  readonly client: Identified
  upstream: Upstream | null
  relay: QueryRelay | null
  cancelKey: Buffer | null
}

/** One connection: identify -> authorize -> upstream -> start of use -> relay and record -> end. */
export class PostgresSession {
  readonly #arrival: PostgresArrival
  readonly #world: SessionWorld
  readonly #abort = new AbortController()
  #log: Log
  #state: DatabaseSessionState = 'opening'
  #admitted: Admitted | null = null
  #asking: AskInside | null = null
  #isGreeted = false
  /** The proxy stops; a session that is only being admitted ends with this as soon as it is. */
  #stopped: EndReason | null = null
  readonly #over = Promise.withResolvers<void>()

  constructor(arrival: PostgresArrival, world: SessionWorld) {
    this.#arrival = arrival
    this.#world = world
    this.#log = world.log
  }

  /** Null before authorize() said yes and where there is no recording yet. */
  get recordingHead(): readonly [string, RecordingHead] | null {
    return this.#admitted?.session.recordingHead ?? null
  }

  /** Resolves when everything is closed and its end is stored. Never rejects. */
  async run(): Promise<void> {
    try {
      const client = await this.#identify()
      if (client) await this.#admit(client)
      else {
        // It may have been told something, and need not go by itself.
        this.#destroyLater(this.#arrival.socket)
        this.#closed()
      }
    } catch (error) {
      this.#log.error({ err: error }, 'a PostgreSQL session failed')
      if (this.#admitted) this.#end(INTERNAL_ERROR)
      else {
        this.#arrival.socket.destroy()
        this.#closed()
      }
    }
    await this.#over.promise
  }

  /** Ends the session; the client is told `text`. */
  tellAndClose(text: string): Promise<void> {
    this.#stopped = { reason: 'shutdown', text }
    this.#asking?.end(text)
    if (this.#admitted) this.#end(this.#stopped)
    else this.#abort.abort(new Error(text))
    return this.#over.promise
  }

  /** Null: there is nobody to go on with, and who there was has been told why. */
  async #identify(): Promise<Identified | null> {
    const { clock, settings, control } = this.#world
    const { socket, address, isDirectTls } = this.#arrival
    const { limits, userX509Authorities, installation } = settings()
    // Slow ones just lose the connection: nobody is known who could be told.
    const grace = clock.after(limits.loginGraceMs, () => this.#abort.abort(new Error('too slow to sign in')))
    try {
      const opened = await openClient(socket, isDirectTls, this.#world.clientContext(), this.#abort.signal)
      if (opened.kind === 'cancel') await this.#cancel(opened.key, opened.socket)
      if (opened.kind !== 'startup') return null
      if (!opened.certificate) return this.#turnAway(opened, 'no_certificate')
      const shown = new Uint8Array(opened.certificate.raw)
      const trust = { authorities: userX509Authorities, installation, now: clock.now() }
      const verdict = checkUserCertificate(shown, trust)
      if (verdict.kind === 'refused') return this.#turnAway(opened, verdict.code)
      const waiting = new WaitingClient(opened.socket, opened.rest)
      return { ...opened, waiting, user: verdict.user, shown }
    } catch (error) {
      this.#log.debug({ err: error, address }, 'no PostgreSQL connection came about')
      if (!this.#abort.signal.aborted) control.reportAuthFailure({ address, code: 'handshake_failed' })
      return null
    } finally {
      grace.cancel()
    }
  }

  /** A client waits for the end of this connection: only then has the server been told. */
  async #cancel(key: Buffer, socket: Socket): Promise<void> {
    await this.#world.cancel(key)
    socket.end()
    socket.resume()
  }

  #turnAway({ socket }: ClientOpening, code: string): null {
    this.#world.control.reportAuthFailure({ address: this.#arrival.address, code })
    tellAndClose(
      socket,
      SQLSTATE.invalidAuthorization,
      CERTIFICATE_TROUBLE[code] ?? 'this certificate is not accepted',
      LOG_IN,
    )
    return null
  }

  async #admit(client: Identified): Promise<void> {
    this.#move('authorizing')
    this.#arrival.signedIn()
    client.waiting.left.addEventListener('abort', () => this.#end(CLIENT_LEFT, null), { once: true })
    const startup = judgeStartup(client.startup, client.user.database)
    if (!startup.ok) {
      this.#refuse(client, [startup.message], SQLSTATE.invalidAuthorization, startup.hint)
      return
    }
    const { wanted } = startup
    const first = await this.#authorize(client, wanted)
    const answer =
      first.ok || first.door === undefined ? first : await this.#askInside(client, wanted, first, first.door)
    if (!answer.ok) {
      this.#refuse(client, answer.lines, SQLSTATE.invalidAuthorization)
      return
    }
    const admitted = this.#enter(databaseFacts(answer.facts), client)
    if (admitted.session.isEnding) return
    if (this.#stopped) this.#end(this.#stopped)
    else if (client.waiting.left.aborted) this.#end(CLIENT_LEFT, null)
    else if (!this.#isStillValid(client)) this.#end(NO_LONGER_VALID)
    else await this.#connect(admitted, wanted)
  }

  /** The client is told that it waits, and for what; the server is not connected to before. */
  async #askInside(client: Identified, wanted: Wanted, refused: Denied, door: string): Promise<AuthorizeAnswer> {
    client.socket.write(this.#greeting(client))
    const asking = new AskInside({
      ...{ control: this.#world.control, door, refusal: refused.lines, reason: wanted.reason },
      show: (lines) => showNotice(client.socket, lines),
    })
    this.#asking = asking
    try {
      const outcome = await asking.run(AbortSignal.any([this.#abort.signal, client.waiting.left]))
      if (outcome.kind === 'refused') return { ok: false, ...outcome }
      return await this.#authorize(client, { ...wanted, door })
    } finally {
      this.#asking = null
      asking.leave()
    }
  }

  /** What comes before anything that the client may be told; empty the second time. */
  #greeting({ startup }: Identified): Buffer {
    if (this.#isGreeted) return Buffer.alloc(0)
    this.#isGreeted = true
    const minor = Math.min(startup.minor, NEWEST_MINOR)
    const isUnderstood = startup.minor <= NEWEST_MINOR && startup.extensions.length === 0
    const version = isUnderstood ? [] : [negotiateVersion(minor, startup.extensions)]
    return Buffer.concat([...version, AUTHENTICATION_OK])
  }

  #authorize(client: Identified, wanted: Wanted & { readonly door?: string }): Promise<AuthorizeAnswer> {
    const { userId, loginSessionId, keyFingerprint } = client.user
    const { database, dbUser, dbName, door } = wanted
    return askAccess(this.#world.control, this.#log, {
      protocol: 'postgres',
      ...{ userId, loginSessionId, keyFingerprint, database, dbUser },
      dbName: dbName ?? dbUser,
      certificate: client.shown,
      address: this.#arrival.address,
      ...(door === undefined ? {} : { door }),
    })
  }

  #enter(facts: DatabaseFacts, client: Identified): Admitted {
    const { control, clock } = this.#world
    this.#log = this.#log.child({ session: facts.sessionId })
    const session: Admitted['session'] = new AdmittedSession(facts, {
      ...{ control, clock, log: this.#log },
      protocol: {
        isBusy: () => admitted.relay?.isBusy ?? false,
        tell: (text) => admitted.relay?.tell(text),
        farewell: ({ text }, code = SQLSTATE.adminShutdown) => this.#farewell(admitted, text, code),
        destroy: () => {
          client.socket.destroy()
          admitted.upstream?.tcp.destroy()
        },
        closed: () => this.#closed(),
      },
    })
    const admitted: Admitted = { ...{ session, client }, ...{ upstream: null, relay: null, cancelKey: null } }
    this.#admitted = admitted
    session.watch()
    return admitted
  }

  async #connect(admitted: Admitted, wanted: Wanted): Promise<void> {
    this.#move('connecting')
    const { session, client } = admitted
    const { facts } = session
    if (wanted.isReplication && !facts.options.replication) {
      this.#end({
        reason: 'replication_refused',
        text: `your access to ${facts.database.name} does not include replication`,
      })
      return
    }
    const settings = sessionSettings(facts.options, wanted.parameters)
    if (!settings.ok) {
      this.#end({ reason: 'settings_refused', text: settings.text }, SQLSTATE.insufficientPrivilege)
      return
    }
    const recorder = session.openRecorder((onFailure) => StatementRecorder.open(facts, this.#world.clock, onFailure))
    if (!recorder) return
    if (wanted.isReplication) recorder.replicates()
    const upstream = await this.#openUpstream(session, settings.parameters)
    if (!upstream) return
    admitted.upstream = upstream
    if (await session.mayBegin(() => this.#isStillValid(client))) this.#relay(admitted, recorder, upstream)
  }

  #openUpstream(session: Admitted['session'], parameters: ReadonlyMap<string, string>): Promise<Upstream | null> {
    const { authorizationOf, control, clock } = this.#world
    const { facts } = session
    const task = { signal: this.#abort.signal, clock }
    return session.openUpstream({
      target: facts.database.name,
      connect: () => connectUpstream(authorizationOf(facts), parameters, { control }, task),
      drop: ({ tcp }) => tcp.destroy(),
      failed: (error) => {
        const { reason, message, sqlState } =
          error instanceof UpstreamFailed ? error : new UpstreamFailed('internal_error', 'the database cannot be used')
        return { end: { reason, text: message }, told: sqlState ?? SQLSTATE.cannotConnect }
      },
    })
  }

  #relay(admitted: Admitted, recorder: StatementRecorder, upstream: Upstream): void {
    this.#move('relaying')
    const { client, session } = admitted
    const { socket, startup } = client
    const { facts, liveEnd } = session
    const { options } = facts
    const rules = { denied: options.deniedStatements, readOnly: options.readOnly }
    const relay = new QueryRelay({
      ...{ client: socket, upstream, recorder, clock: this.#world.clock },
      refusal: hasRules(rules) ? (sql) => statementRefusal(sql, rules) : null,
      statementTimeoutMs: options.statementTimeoutMs,
      host: {
        active: () => liveEnd.active(),
        clientLeft: () => this.#end(CLIENT_LEFT, null),
        serverLeft: () =>
          this.#end({ reason: 'target_left', text: `${facts.database.name} closed the connection` }, null),
        fail: (error, side) => this.#relayFailed(error, side),
      },
    })
    admitted.relay = relay
    const minor = Math.min(startup.minor, NEWEST_MINOR)
    const key = this.#world.cancelKeys.issue(minor, () => relay.cancel())
    admitted.cancelKey = key
    socket.write(Buffer.concat([this.#greeting(client), upstream.greeting, keyData(key)]))
    relay.start(client.waiting.stop())
    liveEnd.start()
  }

  #isStillValid({ user }: Identified): boolean {
    return this.#world.clock.now() < user.until
  }

  #relayFailed(error: Error, side: 'client' | 'server' | null): void {
    this.#log.warn({ err: error, side }, 'the relay failed')
    if (side === null) this.#admitted?.session.recordingFailed(error)
    else if (side === 'client') this.#end({ reason: 'client_protocol_error', text: error.message }, sqlStateOf(error))
    else
      this.#end({ reason: 'target_protocol_error', text: 'Session ended: the server does not keep to the protocol.' })
  }

  /** Somebody proven has no access; nothing was stored as begun. */
  #refuse({ socket, waiting }: Identified, lines: readonly string[], code: string, hint?: string): void {
    waiting.stop()
    tellAndClose(socket, code, lines.join('\n'), hint)
    this.#destroyLater(socket)
    this.#closed()
  }

  /** Nothing happens before there is a session. */
  #end(end: EndReason, told?: Told): void {
    this.#admitted?.session.end(end, told)
  }

  async #farewell({ client, relay, upstream, cancelKey }: Admitted, text: string, code: Told): Promise<void> {
    this.#move('ending')
    if (cancelKey) this.#world.cancelKeys.forget(cancelKey)
    this.#abort.abort(new Error(text))
    if (relay) await relay.windUp(code === null ? null : { code, text })
    else {
      upstream?.tcp.destroy()
      client.waiting.stop()
      if (code !== null) tellAndClose(client.socket, code, text)
    }
    await this.#clientGone(client.socket)
  }

  /** Waits until the client has gone, and closes its connection after half a second in any case. */
  async #clientGone(client: TLSSocket): Promise<void> {
    if (client.closed) return
    const closed = new Promise<void>((resolve) => client.once('close', () => resolve()))
    client.resume()
    client.end()
    this.#destroyLater(client)
    await closed
  }

  #destroyLater(client: Socket): void {
    if (client.closed) return
    const late = this.#world.clock.after(FAREWELL_MS, () => client.destroy())
    client.once('close', () => late.cancel())
  }

  #closed(): void {
    if (this.#state !== 'closed') this.#move('closed')
    this.#over.resolve()
  }

  #move(to: DatabaseSessionState): void {
    this.#state = moveDatabaseSession(this.#state, to)
  }
}

function showNotice(socket: TLSSocket, lines: readonly string[]): void {
  if (lines.length === 0 || socket.destroyed) return
  socket.write(complaint({ severity: 'NOTICE', code: SQLSTATE.notice, message: lines.join('\n') }))
}

const LOG_IN = 'run: sally login, then: sally db login NAME'
const CERTIFICATE_TROUBLE: Readonly<Record<string, string>> = {
  no_certificate: 'a client certificate is needed',
  expired: 'your certificate has expired',
  not_yet_valid: 'your certificate is not valid yet',
}
const sqlStateOf = (error: Error): string =>
  'sqlState' in error && typeof error.sqlState === 'string' ? error.sqlState : SQLSTATE.protocolViolation
