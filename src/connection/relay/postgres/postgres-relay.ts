import type { Clock } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import type { Authorization, DatabaseFacts } from '../../authorization.ts'
import { clientTlsContext } from '../../client-tls.ts'
import type { ControlPlane, RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { prepareSocket, RelaySessions } from '../../relay-sessions.ts'
import { CancelKeys, digestOfKey } from './cancel-keys.ts'
import { PostgresSession, type PostgresArrival, type SessionWorld } from './session.ts'

export interface PostgresRelayDeps {
  readonly control: ControlPlane
  /** What the worker was told last */
  readonly settings: () => WorkerSettings
  /** ControlPlaneStub.authorizationOf, or what the in-process form has in its place */
  readonly authorizationOf: (facts: DatabaseFacts) => Authorization<DatabaseFacts>
  /** Asks the other workers and daemons to cancel. Resolves when one of them has, or none knows the key. */
  readonly cancelElsewhere: (digest: string) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** All PostgreSQL connections of one worker. */
export class PostgresRelay {
  readonly #world: SessionWorld
  readonly #sessions: RelaySessions
  readonly #cancelKeys = new CancelKeys()

  constructor(deps: PostgresRelayDeps) {
    this.#sessions = new RelaySessions(deps)
    this.#world = {
      ...deps,
      clientContext: clientTlsContext(deps.settings),
      cancelKeys: this.#cancelKeys,
      cancel: (key) => {
        const digest = digestOfKey(key)
        return this.cancelHere(digest) ?? deps.cancelElsewhere(digest)
      },
    }
  }

  get connections(): number {
    return this.#sessions.size
  }

  /** Serves one connection until it has ended and its end is stored. Never rejects. */
  async handle(arrival: PostgresArrival): Promise<void> {
    if (this.#sessions.isStopping) {
      arrival.socket.destroy()
      return
    }
    prepareSocket(arrival.socket)
    await this.#sessions.run(new PostgresSession(arrival, this.#world))
  }

  /** Null: no session of this worker has the key. */
  cancelHere(digest: string): Promise<void> | null {
    return this.#cancelKeys.cancel(digest)
  }

  /** Takes no more connections and ends the live ones; their clients are told `text`. */
  async tellAndClose(text: string): Promise<void> {
    await this.#sessions.tellAndClose(text)
  }

  /** Where each open recording stands. */
  heads(): ReadonlyMap<string, RecordingHead> {
    return this.#sessions.heads()
  }
}
