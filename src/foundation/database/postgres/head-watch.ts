import { Client } from 'pg'
import type { Clock, Timer } from '../../clock.ts'
import type { HeadWatch } from '../open-database.ts'
import { clientConfig, sessionStart } from './postgres-connections.ts'
import type { PostgresSettings } from './postgres-settings.ts'
import type { StoreClock } from './store-clock.ts'

export const CHANNEL = 'sallyport_deeds'
/** What daemons tell each other in passing */
export const WORD_CHANNEL = 'sallyport_words'
/** A notification is a hint that may be lost; this is how late its loss makes us. */
const LOOK_EVERY_MS = 500
const ANSWER_WITHIN_MS = 2000
const LOOK = `select coalesce((select seq from chain_head where id = 1), 0) as seq,
  floor(extract(epoch from clock_timestamp()) * 1000)::bigint as time`

export interface HeadWatchParts {
  readonly settings: PostgresSettings
  readonly clock: Clock
  readonly storeClock: StoreClock
  readonly onHead: (seq: number) => void
  readonly onWord: (word: string) => void
}

/** Looks for the chain's head on a connection of its own: at each notification, and twice a second. Reconnects for ever. */
export class PostgresHeadWatch implements HeadWatch {
  readonly #parts: HeadWatchParts
  #client: Client | null = null
  #timer: Timer | null = null
  #looking: Promise<void> | null = null
  #again = false
  #stopped = false
  #answeredAt: number

  constructor(parts: HeadWatchParts) {
    this.#parts = parts
    this.#answeredAt = parts.clock.monotonic()
    this.look()
  }

  silentFor(): number {
    return this.#parts.clock.monotonic() - this.#answeredAt
  }

  /** At most one at a time: what comes while one runs asks for one more. */
  look(): void {
    if (this.#stopped) return
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#timer?.cancel()
    this.#again = false
    this.#looking = this.#look().finally(() => {
      this.#looking = null
      if (this.#again) this.look()
      else if (!this.#stopped) this.#timer = this.#parts.clock.after(LOOK_EVERY_MS, () => this.look())
    })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#looking
    await this.#drop()
  }

  async #look(): Promise<void> {
    const { clock, storeClock, onHead } = this.#parts
    try {
      const client = await this.#connected()
      const asked = clock.monotonic()
      const { rows } = await client.query<{ seq: number; time: number }>(LOOK)
      const [row] = rows
      this.#answeredAt = clock.monotonic()
      if (!row || this.#stopped) return
      storeClock.observe(row.time, this.#answeredAt - asked)
      onHead(row.seq)
    } catch {
      // silentFor() grows, and the next look has a new connection.
      await this.#drop()
    }
  }

  async #connected(): Promise<Client> {
    if (this.#client) return this.#client
    const { settings } = this.#parts
    const client = new Client({
      ...clientConfig(settings),
      query_timeout: ANSWER_WITHIN_MS,
      connectionTimeoutMillis: ANSWER_WITHIN_MS,
    })
    client.on('error', () => {
      if (this.#client === client) this.#client = null
    })
    client.on('notification', ({ channel, payload }) => {
      if (channel === WORD_CHANNEL) this.#parts.onWord(payload ?? '')
      else this.look()
    })
    try {
      await client.connect()
      await client.query(`${sessionStart(settings, true)}; listen ${CHANNEL}; listen ${WORD_CHANNEL}`)
    } catch (error) {
      void client.end().catch(() => {})
      throw error
    }
    this.#client = client
    return client
  }

  async #drop(): Promise<void> {
    const client = this.#client
    this.#client = null
    // A server that is gone never answers the farewell: nobody waits for it.
    if (client) void client.end().catch(() => {})
  }
}
