import type { Port, ToControl, ToWorker } from '../connection/control-plane-ipc.ts'
import type { Clock } from '../foundation/clock.ts'

/** Longer than a server needs to be told. Nobody answers for a key that is unknown. */
const PATIENCE_MS = 3_000
/** Connections that wait at once: guesses cost us a message to each worker. */
const MOST_WAITING = 64

/**
 * What was said of a key by whoever has its session: 0 when its server has been told, or the server's id of its thread, where
 * whoever asks tells the server. Null: nobody has it, or nobody answered in time.
 */
export type Cancelled = number | null

/** A worker's way to cancel a statement of a session that another worker has, of this daemon or of another. */
export class CancelElsewhere {
  readonly #port: Port<ToControl, ToWorker>
  readonly #clock: Clock
  readonly #waiting = new Map<number, (said: Cancelled) => void>()
  #nextId = 1

  constructor(port: Port<ToControl, ToWorker>, clock: Clock) {
    this.#port = port
    this.#clock = clock
    port.onMessage((message) => {
      if (message.kind === 'cancelled') this.#waiting.get(message.id)?.(message.said)
    })
  }

  /** Resolves when another worker has the session, or none said so in time. */
  cancel(digest: string): Promise<Cancelled> {
    if (this.#waiting.size >= MOST_WAITING) return Promise.resolve(null)
    const id = this.#nextId++
    return new Promise((resolve) => {
      const late = this.#clock.after(PATIENCE_MS, () => this.#waiting.get(id)?.(null))
      this.#waiting.set(id, (said) => {
        late.cancel()
        this.#waiting.delete(id)
        resolve(said)
      })
      this.#port.send({ kind: 'cancel', id, digest })
    })
  }
}
