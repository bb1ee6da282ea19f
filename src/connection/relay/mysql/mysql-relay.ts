import type { Socket } from 'node:net'
import type { Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import type { Authorization, DatabaseFacts } from '../../authorization.ts'
import { clientTlsContext } from '../../client-tls.ts'
import type { ControlPlane, RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { prepareSocket, RelaySessions } from '../../relay-sessions.ts'
import { StatementRecorder } from '../../statement-recorder.ts'
import { MysqlSession, type SessionWorld } from './session.ts'
import { newScramble, ThreadNames } from './thread-names.ts'

export interface MysqlRelayDeps {
  readonly control: ControlPlane
  /** What the worker was told last */
  readonly settings: () => WorkerSettings
  readonly authorizationOf: (facts: DatabaseFacts) => Authorization<DatabaseFacts>
  /** Asks the other workers and daemons for the server's id of a thread. Null: nobody has it. */
  readonly threadElsewhere: (digest: string) => Promise<number | null>
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
  readonly #sessions: RelaySessions
  readonly #threads = new ThreadNames()

  constructor(deps: MysqlRelayDeps) {
    this.#deps = deps
    this.#sessions = new RelaySessions(deps)
    const { control, clock, log, authorizationOf, threadElsewhere } = deps
    const tls = clientTlsContext(deps.settings)
    this.#world = {
      ...{ control, clock, log, authorizationOf, threadElsewhere, threads: this.#threads },
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
    if (this.#sessions.isStopping) {
      socket.destroy()
      return
    }
    const { clock, settings } = this.#deps
    prepareSocket(socket)
    const signInBy = clock.monotonic() + settings().limits.loginGraceMs
    await this.#sessions.run(new MysqlSession({ socket, address, signInBy, signedIn }, this.#world))
  }

  /** For another worker: the server's id of a thread of this one. Null: it is none of this one. */
  threadHere(digest: string): number | null {
    return this.#threads.find(digest)
  }

  /** Takes no more connections and ends the live ones, telling the clients. */
  async tellAndClose(text: string): Promise<void> {
    await this.#sessions.tellAndClose(text)
  }

  /** Where each open recording stands. */
  heads(): ReadonlyMap<string, RecordingHead> {
    return this.#sessions.heads()
  }
}
