import type { Clock } from '../foundation/clock.ts'
import type { Database } from '../foundation/database/open-database.ts'
import type { Log } from '../foundation/log.ts'
import type { Cancelled } from './cancel-elsewhere.ts'

/** As long as a worker waits for it */
const PATIENCE_MS = 3_000
/** Keys that none of our sessions has wake every daemon: guesses must not become a load on the store. */
const MOST_PER_SECOND = 50

const ASK = /^cancel (\S{1,64}) (\d{1,15}) ([0-9a-f]{64})$/
const ANSWER = /^cancelled (\S{1,64}) (\d{1,15}) (\d{1,15})$/

export interface CancelAcrossDaemonsParts {
  readonly database: Pick<Database, 'tellDaemons' | 'onWord'>
  /** Of this daemon on the store */
  readonly id: string
  readonly cancelHere: (digest: string) => Promise<Cancelled>
  readonly clock: Clock
  readonly log: Log
}

/**
 * A client cancels on a new connection, which a balancer may give to another daemon: that one asks the others by a word over the
 * store, and the one whose session it is answers. Only digests of keys are told.
 */
export class CancelAcrossDaemons {
  readonly #parts: CancelAcrossDaemonsParts
  readonly #asked = new Map<number, (said: Cancelled) => void>()
  #nextId = 1
  #second = 0
  #inSecond = 0

  constructor(parts: CancelAcrossDaemonsParts) {
    this.#parts = parts
    parts.database.onWord((word) => this.#hear(word))
  }

  /** What the daemon has said whose session it is. Null: nobody has in time. */
  async ask(digest: string): Promise<Cancelled> {
    if (!this.#mayAsk()) return null
    const { clock, id: from } = this.#parts
    const id = this.#nextId++
    const answered = new Promise<Cancelled>((resolve) => {
      const done = (said: Cancelled): void => {
        late.cancel()
        this.#asked.delete(id)
        resolve(said)
      }
      const late = clock.after(PATIENCE_MS, () => done(null))
      this.#asked.set(id, done)
    })
    this.#tell(`cancel ${from} ${id} ${digest}`)
    return answered
  }

  #hear(word: string): void {
    const [, from, number, digest] = ASK.exec(word) ?? []
    if (from !== undefined && digest !== undefined && from !== this.#parts.id) {
      void this.#parts.cancelHere(digest).then((said) => {
        if (said !== null) this.#tell(`cancelled ${from} ${number} ${said}`)
      })
      return
    }
    const [, to, asked, said] = ANSWER.exec(word) ?? []
    if (to === this.#parts.id) this.#asked.get(Number(asked))?.(Number(said))
  }

  #tell(word: string): void {
    const { database, log } = this.#parts
    database
      .tellDaemons(word)
      .catch((error: unknown) => log.warn({ err: String(error) }, 'a cancel request cannot be passed on'))
  }

  #mayAsk(): boolean {
    const second = Math.floor(this.#parts.clock.monotonic() / 1000)
    if (second !== this.#second) this.#inSecond = 0
    this.#second = second
    return ++this.#inSecond <= MOST_PER_SECOND
  }
}
