import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import type { Authorization, DatabaseFacts } from '../../authorization.ts'
import { clientTlsContext } from '../../client-tls.ts'
import type { ControlPlane, RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { StatementRecorder } from '../../statement-recorder.ts'
import { MysqlSession, type SessionWorld } from './session.ts'
import { newScramble, ThreadNames } from './thread-names.ts'

const REPORT_HEADS_MS = 5000
const KEEPALIVE_MS = 30_000

export interface MysqlRelayDeps {
  readonly control: ControlPlane
  /** What the worker was told last */
  readonly settings: () => WorkerSettings
  readonly authorizationOf: (facts: DatabaseFacts) => Authorization<DatabaseFacts>
  readonly clock: Clock
  readonly log: Log
}

export interface MysqlArrival {
  readonly socket: Socket
  readonly address: string
  signedIn(): void
}

/** All MySQL connections of one worker. */
export class MysqlRelay {
  readonly #deps: MysqlRelayDeps
  readonly #world: SessionWorld
  readonly #sessions = new Set<MysqlSession>()
  #reporting: Timer | null = null
  #isStopping = false

  constructor(deps: MysqlRelayDeps) {
    this.#deps = deps
    const { control, clock, log, authorizationOf } = deps
    const tls = clientTlsContext(deps.settings)
    this.#world = {
      ...{ control, clock, log, authorizationOf },
      threads: new ThreadNames(),
      offer: (threadId) => ({
        threadId,
        scramble: newScramble(),
        serverVersion: deps.settings().mysqlServerVersion,
        tls: tls(),
        trust: () => {
          const { userX509Authorities: authorities, installation } = deps.settings()
          return { authorities, installation, now: clock.now() }
        },
      }),
      openRecorder: (facts, onFailure) => StatementRecorder.open(facts, clock, onFailure),
    }
  }

  get connections(): number {
    return this.#sessions.size
  }

  /** Serves one connection of which nothing was read, until its end is stored. Never rejects. */
  async handle({ socket, address, signedIn }: MysqlArrival): Promise<void> {
    if (this.#isStopping) {
      socket.destroy()
      return
    }
    const { clock, settings } = this.#deps
    socket.setNoDelay(true)
    socket.setKeepAlive(true, KEEPALIVE_MS)
    const signInBy = clock.monotonic() + settings().limits.loginGraceMs
    const session = new MysqlSession({ socket, address, signInBy, signedIn }, this.#world)
    this.#sessions.add(session)
    this.#reportLater()
    try {
      await session.run()
    } finally {
      this.#sessions.delete(session)
    }
  }

  /** Takes no more connections and ends the live ones, telling the clients. */
  async tellAndClose(text: string): Promise<void> {
    this.#isStopping = true
    await Promise.all([...this.#sessions].map((session) => session.tellAndClose(text)))
    this.#reporting?.cancel()
  }

  /** Where each open recording stands. */
  heads(): ReadonlyMap<string, RecordingHead> {
    return new Map([...this.#sessions].flatMap((session) => (session.recordingHead ? [session.recordingHead] : [])))
  }

  /** For the checkpoints, as long as there is something to report. */
  #reportLater(): void {
    this.#reporting ??= this.#deps.clock.after(REPORT_HEADS_MS, () => {
      this.#reporting = null
      const heads = this.heads()
      if (heads.size > 0) this.#deps.control.reportHeads(heads)
      if (this.#sessions.size > 0) this.#reportLater()
    })
  }
}
