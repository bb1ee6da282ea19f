import type { Clock, Timer } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import type { Authorization, DatabaseFacts } from '../../authorization.ts'
import { clientTlsContext } from '../../client-tls.ts'
import type { ControlPlane, RecordingHead, WorkerSettings } from '../../control-plane.ts'
import { CancelKeys } from './cancel-keys.ts'
import { PostgresSession, type PostgresArrival, type SessionWorld } from './session.ts'

const REPORT_HEADS_MS = 5_000
/** After so long without a packet the kernel asks whether the peer is still there. */
const KEEPALIVE_MS = 30_000

export interface PostgresRelayDeps {
  readonly control: ControlPlane
  /** What the worker was told last */
  readonly settings: () => WorkerSettings
  /** ControlPlaneStub.authorizationOf, or what the in-process form has in its place */
  readonly authorizationOf: (facts: DatabaseFacts) => Authorization<DatabaseFacts>
  /** Asks the other workers to cancel. Resolves when one of them has, or none knows the key. */
  readonly cancelElsewhere: (key: Uint8Array) => Promise<void>
  readonly clock: Clock
  readonly log: Log
}

/** All PostgreSQL connections of one worker. */
export class PostgresRelay {
  readonly #deps: PostgresRelayDeps
  readonly #world: SessionWorld
  readonly #sessions = new Set<PostgresSession>()
  readonly #cancelKeys = new CancelKeys()
  #reporting: Timer | null = null

  constructor(deps: PostgresRelayDeps) {
    this.#deps = deps
    this.#world = {
      ...deps,
      clientContext: clientTlsContext(deps.settings),
      cancelKeys: this.#cancelKeys,
      cancel: (key) => this.cancelHere(key) ?? deps.cancelElsewhere(key),
    }
  }

  get connections(): number {
    return this.#sessions.size
  }

  /** Serves one connection until it has ended and its end is stored. Never rejects. */
  async handle(arrival: PostgresArrival): Promise<void> {
    arrival.socket.setNoDelay(true)
    arrival.socket.setKeepAlive(true, KEEPALIVE_MS)
    const session = new PostgresSession(arrival, this.#world)
    this.#sessions.add(session)
    this.#reportLater()
    try {
      await session.run()
    } finally {
      this.#sessions.delete(session)
    }
  }

  /** Null: no session of this worker has the key. */
  cancelHere(key: Uint8Array): Promise<void> | null {
    return this.#cancelKeys.cancel(key)
  }

  /** Ends the live sessions; their clients are told `text`. */
  async tellAndClose(text: string): Promise<void> {
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
