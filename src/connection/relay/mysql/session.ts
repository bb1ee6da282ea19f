import type { Socket } from 'node:net'
import type { Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import { databaseFacts, type Authorization, type DatabaseFacts } from '../../authorization.ts'
import { AdmittedSession, askAccess, CLIENT_LEFT, INTERNAL_ERROR, NO_LONGER_VALID } from '../../admitted-session.ts'
import type { AuthorizeAnswer, ControlPlane, RecordingHead } from '../../control-plane.ts'
import { moveDatabaseSession, type DatabaseSessionState } from '../../database-session-states.ts'
import type { EndReason } from '../../live-end.ts'
import type { StatementRecorder } from '../../statement-recorder.ts'
import { WaitingClient } from '../../waiting-client.ts'
import { identifyClient, NotIdentified, type Offer, type ProvenClient } from './client-side.ts'
import { ConnectionRelay, type Side } from './connection-relay.ts'
import { killThread, openUpstream, type OpenedUpstream } from './open-upstream.ts'
import { whatCannotBeKept } from './session-options.ts'
import { statementRefusal } from './statement-rules.ts'
import { digestOfThread, type ThreadNames } from './thread-names.ts'
import { UpstreamFailed } from './upstream-side.ts'
import { ERROR, ProtocolError, type ErrorCode } from './wire/protocol-error.ts'
import { writeError } from './wire/replies.ts'
import { userAndDatabase } from './user-and-database.ts'

/** How long the client may take to receive its last words. */
const FAREWELL_MS = 300

export interface SessionWorld {
  readonly control: ControlPlane
  authorizationOf(facts: DatabaseFacts): Authorization<DatabaseFacts>
  /** What a new client is greeted with */
  offer(threadId: number): Offer
  /** Creates the recording file; throws where there is none to be had. `onFailure`: the session must end. */
  openRecorder(facts: DatabaseFacts, onFailure: (error: Error) => void): StatementRecorder
  readonly threads: ThreadNames
  threadElsewhere(digest: string): Promise<number | null>
  readonly clock: Clock
  readonly log: Log
}

export interface SessionArrival {
  readonly socket: Socket
  /** Of the peer, without port */
  readonly address: string
  /** Monotonic instant by which the client must have signed in */
  readonly signInBy: number
  /** The connection belongs to somebody known from now on. */
  signedIn(): void
}

/** What there is once authorize() said yes: from here on the end must be stored. */
interface Admitted {
  /** Its client is told under a number */
  readonly session: AdmittedSession<DatabaseFacts, StatementRecorder, ErrorCode>
  readonly client: ProvenClient
  /** Until it is let in */
  readonly waiting: WaitingClient
  opened: OpenedUpstream | null
  relay: ConnectionRelay | null
}

/** One connection: identify -> authorize -> upstream -> start of use -> relay and record -> end. */
export class MysqlSession {
  readonly #world: SessionWorld
  readonly #arrival: SessionArrival
  readonly #threadId: number
  readonly #abort = new AbortController()
  #state: DatabaseSessionState = 'opening'
  #admitted: Admitted | null = null
  /** The proxy stops; a session that is only being admitted ends with this as soon as it is. */
  #stopped: EndReason | null = null
  readonly #over = Promise.withResolvers<void>()

  constructor(arrival: SessionArrival, world: SessionWorld) {
    this.#arrival = arrival
    this.#world = world
    this.#threadId = world.threads.give()
  }

  get state(): DatabaseSessionState {
    return this.#state
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
      else this.#closed()
    } catch (error) {
      this.#world.log.error({ err: error }, 'a MySQL session failed')
      this.#arrival.socket.destroy()
      if (this.#admitted) this.#end(INTERNAL_ERROR)
      else this.#closed()
    }
    await this.#over.promise
  }

  /** Ends the session with a text for the client. */
  tellAndClose(text: string): Promise<void> {
    this.#stopped = { reason: 'shutdown', text }
    if (this.#state === 'opening') this.#arrival.socket.destroy()
    this.#end(this.#stopped)
    return this.#over.promise
  }

  /** Null: it has been told, or has left. */
  async #identify(): Promise<ProvenClient | null> {
    const { clock, control, log } = this.#world
    const { socket, address, signInBy } = this.#arrival
    // Slow ones just lose the connection: nobody is known who could be told.
    const grace = clock.after(signInBy - clock.monotonic(), () => socket.destroy())
    try {
      return await identifyClient(socket, this.#world.offer(this.#threadId))
    } catch (error) {
      log.debug({ err: error, address }, 'no MySQL client came about')
      if (error instanceof NotIdentified) control.reportAuthFailure({ address, code: error.reason })
      clock.after(FAREWELL_MS, () => socket.destroy())
      return null
    } finally {
      grace.cancel()
    }
  }

  async #admit(client: ProvenClient): Promise<void> {
    this.#move('authorizing')
    this.#arrival.signedIn()
    const waiting = new WaitingClient(client.socket, client.channel.release())
    waiting.left.addEventListener('abort', () => this.#clientLeft(), { once: true })
    client.socket.once('close', () => this.#clientLeft())
    // With a result on its way that it does not read, nothing would be closed.
    client.socket.once('end', () => this.#clientLeft())
    const answer = await this.#authorize(client)
    if (!answer.ok) {
      waiting.stop()
      client.channel.end(writeError(ERROR.accessDenied, answer.lines.join('\n')))
      this.#world.clock.after(FAREWELL_MS, () => client.socket.destroy())
      this.#closed()
      return
    }
    const admitted = this.#enter(client, waiting, databaseFacts(answer.facts))
    const { session } = admitted
    if (session.isEnding) return
    if (this.#stopped) this.#end(this.#stopped)
    else if (waiting.left.aborted || client.socket.destroyed) this.#end(CLIENT_LEFT)
    else if (!this.#isStillValid(client)) this.#end(NO_LONGER_VALID)
    else {
      const missing = whatCannotBeKept(session.facts, client.collation)
      if (missing === null) await this.#connect(admitted)
      else this.#end({ reason: 'option_not_enforceable', text: missing })
    }
  }

  #authorize({ certificate, certified, user, database }: ProvenClient): Promise<AuthorizeAnswer> {
    const { userId, loginSessionId, keyFingerprint } = certified
    const wanted = userAndDatabase(user, certified.database)
    return askAccess(this.#world.control, this.#world.log, {
      ...{ protocol: 'mysql', userId, loginSessionId, keyFingerprint, certificate },
      ...{ database: wanted.database, dbUser: wanted.dbUser, dbName: database, address: this.#arrival.address },
    })
  }

  #enter(client: ProvenClient, waiting: WaitingClient, facts: DatabaseFacts): Admitted {
    const { clock, control, log } = this.#world
    const session: Admitted['session'] = new AdmittedSession(facts, {
      ...{ clock, control, log: log.child({ session: facts.sessionId }) },
      // No `tell`: the protocol has no room for a text that is no answer.
      protocol: {
        isBusy: () => admitted.relay?.isBusy ?? false,
        farewell: ({ text }, shown = ERROR.connectionKilled) => this.#farewell(admitted, text, shown),
        destroy: () => {
          client.socket.destroy()
          admitted.opened?.upstream.socket.destroy()
        },
        closed: () => this.#closed(),
      },
    })
    const admitted: Admitted = { ...{ session, client, waiting }, ...{ opened: null, relay: null } }
    this.#admitted = admitted
    session.watch()
    return admitted
  }

  async #connect(admitted: Admitted): Promise<void> {
    this.#move('connecting')
    const { session, client } = admitted
    const recorder = session.openRecorder((onFailure) => this.#world.openRecorder(session.facts, onFailure))
    if (!recorder) return
    const opened = await this.#openUpstream(session, client)
    if (!opened) return
    admitted.opened = opened
    opened.upstream.socket.once('close', () => this.#targetLeft(admitted))
    if (await session.mayBegin(() => this.#isStillValid(client))) this.#relay(admitted, recorder, opened)
  }

  #openUpstream(session: Admitted['session'], client: ProvenClient): Promise<OpenedUpstream | null> {
    const { control, clock } = this.#world
    const { accepted, collation } = client
    const { facts } = session
    const task = { signal: this.#abort.signal, clock }
    return session.openUpstream({
      target: facts.database.name,
      connect: () => openUpstream(this.#world.authorizationOf(facts), { accepted, collation }, control, task),
      drop: ({ upstream }) => upstream.socket.destroy(),
      failed: (error) => {
        const {
          reason,
          message,
          error: said,
        } = error instanceof UpstreamFailed
          ? error
          : new UpstreamFailed('internal_error', 'the database cannot be used')
        return { end: { reason, text: message }, told: said ?? ERROR.noServer }
      },
    })
  }

  #relay(admitted: Admitted, recorder: StatementRecorder, { upstream }: OpenedUpstream): void {
    this.#move('relaying')
    const { session, client } = admitted
    const { facts, liveEnd } = session
    const { clock, threads } = this.#world
    const { deniedStatements } = facts.options
    const owner = { userId: facts.user.id, databaseId: facts.database.id, dbUser: facts.dbUser }
    const relay = new ConnectionRelay({
      client: client.socket,
      target: upstream.socket,
      capabilities: upstream.capabilities,
      recorder,
      recordsParameters: facts.options.recordParameters,
      statementTimeoutMs: facts.options.statementTimeoutMs,
      refusal: deniedStatements.length === 0 ? null : (text) => statementRefusal(text, deniedStatements),
      clock,
      host: {
        resolveThread: (threadId) => threads.resolve(threadId, owner),
        resolveElsewhere: (threadId) => this.#world.threadElsewhere(digestOfThread(threadId, owner)),
        active: () => liveEnd.active(),
        tooLong: () => this.#end(TOO_LONG),
        fail: (error, side) => this.#relayFailed(error, side),
      },
    })
    admitted.relay = relay
    threads.bind(this.#threadId, { ...owner, threadId: upstream.threadId })
    client.channel.send(upstream.okay)
    relay.start(upstream.rest, admitted.waiting.stop())
    liveEnd.start()
  }

  #relayFailed(error: Error, side: Side | null): void {
    this.#world.log.warn({ err: error, side }, 'the relay failed')
    const shown = error instanceof ProtocolError ? error.shown : ERROR.malformedPacket
    if (side === null) this.#admitted?.session.recordingFailed(error)
    else if (side === 'client') this.#end({ reason: 'client_protocol_error', text: error.message }, shown)
    else this.#end({ reason: 'target_protocol_error', text: `Session ended: ${error.message}` }, shown)
  }

  #isStillValid({ certified }: ProvenClient): boolean {
    return this.#world.clock.now() < certified.until
  }

  #clientLeft(): void {
    // Its goodbye may have come along with the end of its connection.
    this.#admitted?.relay?.settle()
    this.#end(CLIENT_LEFT)
  }

  #targetLeft({ session, relay }: Admitted): void {
    relay?.settle()
    const { name } = session.facts.database
    this.#end(relay?.hasQuit ? CLIENT_LEFT : { reason: 'target_left', text: `${name} closed the connection` })
  }

  /** Nothing happens before there is a session. */
  #end(end: EndReason, shown?: ErrorCode): void {
    this.#admitted?.session.end(end, shown)
  }

  async #farewell(admitted: Admitted, why: string, shown: ErrorCode): Promise<void> {
    this.#move('ending')
    const { client, relay, opened, waiting } = admitted
    this.#abort.abort(new Error(why))
    const text = why.startsWith('sallyport: ') ? why : `sallyport: ${why}`
    // At the same time: the server must stop within the second, whatever the client does.
    const stopped = this.#stopServer(admitted)
    if (relay) await relay.windUp(shown, text)
    else {
      waiting.stop()
      client.channel.end(writeError(shown, text))
    }
    client.socket.end()
    await Promise.all([stopped, this.#clientGone(client.socket)])
    opened?.upstream.socket.destroy()
  }

  /** A statement that runs goes on when its connection is closed: it has to be killed. */
  async #stopServer({ session, opened, relay }: Admitted): Promise<void> {
    if (!opened) return
    const { facts } = session
    const { socket, threadId } = opened.upstream
    if (!relay?.isBusy || socket.destroyed) {
      socket.destroy()
      return
    }
    const { clock, log, control } = this.#world
    try {
      const thread = { facts, threadId, credential: opened.credential }
      const isKilled = await killThread(thread, 'CONNECTION', control, { signal: new AbortController().signal, clock })
      if (!isKilled) log.warn({ database: facts.database.name, threadId }, 'the server refused to kill a thread')
    } catch (error) {
      log.warn(
        { err: error, database: facts.database.name, threadId },
        'a statement may run on: its thread could not be killed',
      )
    }
    socket.destroy()
  }

  /** Waits until the client has closed, and closes after a moment in any case. */
  async #clientGone(socket: Socket): Promise<void> {
    if (!socket.destroyed) {
      const { promise, resolve } = Promise.withResolvers<void>()
      socket.once('close', () => resolve())
      // Whoever does not read any more would never see the end of it.
      socket.resume()
      const late = this.#world.clock.after(FAREWELL_MS, () => socket.destroy())
      await promise
      late.cancel()
    }
  }

  #closed(): void {
    this.#world.threads.takeBack(this.#threadId)
    if (this.#state !== 'closed') this.#move('closed')
    this.#over.resolve()
  }

  #move(to: DatabaseSessionState): void {
    this.#state = moveDatabaseSession(this.#state, to)
  }
}

const TOO_LONG = { reason: 'statement_timeout', text: 'Session ended: a statement took longer than your role permits.' }
