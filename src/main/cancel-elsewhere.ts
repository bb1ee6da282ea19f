import type { Port, ToControl, ToWorker } from '../connection/control-plane-ipc.ts'
import type { Clock } from '../foundation/clock.ts'

/** Longer than a server needs to be told. Nobody answers for a key that is unknown. */
const PATIENCE_MS = 3_000
/** Connections that wait at once: guesses cost us a message to each worker. */
const MOST_WAITING = 64

/** A worker's way to cancel a statement of a session that another worker has, of this daemon or of another. */
export class CancelElsewhere {
  readonly #port: Port<ToControl, ToWorker>
  readonly #clock: Clock
  readonly #waiting = new Map<number, () => void>()
  #nextId = 1

  constructor(port: Port<ToControl, ToWorker>, clock: Clock) {
    this.#port = port
    this.#clock = clock
    port.onMessage((message) => {
      if (message.kind === 'cancelled') this.#waiting.get(message.id)?.()
    })
  }

  /** Resolves when another worker has told the server, or none did in time. */
  cancel(digest: string): Promise<void> {
    if (this.#waiting.size >= MOST_WAITING) return Promise.resolve()
    const id = this.#nextId++
    return new Promise((resolve) => {
      const late = this.#clock.after(PATIENCE_MS, () => this.#waiting.get(id)?.())
      this.#waiting.set(id, () => {
        late.cancel()
        this.#waiting.delete(id)
        resolve()
      })
      this.#port.send({ kind: 'cancel', id, digest })
    })
  }
}
