import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type ControlledTransaction,
  HandleEmptyInListsPlugin,
  Kysely,
  replaceWithNoncontingentExpression,
  sql,
} from 'kysely'
import type { Pool } from 'pg'
import { type Clock, type Instant, systemClock } from '../../clock.ts'
import { Bug, Refused } from '../../errors.ts'
import { type Database, type HeadWatch, type Landed, refuseUnnamed, type TouchedRow } from '../open-database.ts'
import { storeTrouble } from '../store-errors.ts'
import type { Tables } from '../tables.ts'
import { asTx, type Tx } from '../tx.ts'
import { migratePostgres } from './migrate-postgres.ts'
import { openPool, WRITE_LOCK } from './postgres-connections.ts'
import { postgresDialect } from './postgres-dialect.ts'
import { describePostgres, type PostgresSettings } from './postgres-settings.ts'
import { checkServer } from './server-check.ts'
import { PostgresHeadWatch, WORD_CHANNEL } from './head-watch.ts'
import { StoreClock } from './store-clock.ts'
import { StoreUnreachable } from './store-unreachable.ts'
import { WrittenRows } from './written-rows.ts'

const LANDED_TRIES = 3
const GONE_AFTER_MS = 3000

export interface PostgresOptions {
  readonly clock?: Clock
  /** For tests: what the store takes the server's time for */
  readonly storeTime?: (serverTime: Instant) => Instant
  readonly onClosed?: () => void
  /** For tests that open many stores on one server: it was looked at before */
  readonly knownServer?: boolean
}

/**
 * Opens the schema `sallyport` of a PostgreSQL database, making it when it is not there. Several daemons may have it open.
 * Errors: Refused('version_mismatch') for a server or schema we do not know, 'store_unavailable' when it cannot be reached, lies
 * behind a transaction-pooling proxy, or holds triggers, rules or views.
 */
export async function openPostgres(settings: PostgresSettings, options: PostgresOptions = {}): Promise<Database> {
  try {
    if (options.knownServer !== true) await checkServer(settings)
    await migratePostgres(settings, (options.clock ?? systemClock).now())
  } catch (error) {
    throw unavailable(error)
  }
  return new PostgresStore(settings, options)
}

/** What reading and starting answer while the store is away. */
function unavailable(error: unknown): unknown {
  const trouble = storeTrouble(error)
  if (trouble === null) return error
  return new Refused('store_unavailable', trouble, 'try again later', { cause: String(error) })
}

class PostgresStore implements Database {
  readonly kind = 'postgres'
  readonly path: string
  readonly reads: Kysely<Tables>
  readonly #writes: Kysely<Tables>
  readonly #readPool: Pool
  readonly #written = new WrittenRows()
  readonly #inside = new AsyncLocalStorage<true>()
  readonly #storeTime: (serverTime: Instant) => Instant
  readonly #settings: PostgresSettings
  readonly #clock: Clock
  readonly #storeClock: StoreClock
  readonly #onClosed: () => void
  readonly #wordListeners: ((word: string) => void)[] = []
  #watch: PostgresHeadWatch | null = null
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    settings: PostgresSettings,
    { storeTime = (time) => time, clock = systemClock, onClosed = () => {} }: PostgresOptions,
  ) {
    this.#onClosed = onClosed
    this.path = describePostgres(settings)
    this.#settings = settings
    this.#clock = clock
    this.#storeClock = new StoreClock(clock)
    this.#storeTime = storeTime
    // SQLite takes an empty list for one that nothing is in.
    const plugins = [new HandleEmptyInListsPlugin({ strategy: replaceWithNoncontingentExpression })]
    this.#readPool = openPool(settings, { most: settings.connections, readOnly: true })
    const reading = { pool: this.#readPool, written: null, afterBegin: '', explain: unavailable }
    this.reads = new Kysely<Tables>({ dialect: postgresDialect(reading), plugins })
    const pool = openPool(settings, { most: 1, readOnly: false })
    const explain = (error: unknown): unknown => error
    const writing = { pool, written: this.#written, afterBegin: WRITE_LOCK, explain }
    this.#writes = new Kysely<Tables>({ dialect: postgresDialect(writing), plugins })
  }

  transact<T>(work: (tx: Tx) => Promise<T>, landed?: Landed): Promise<T> {
    if (this.#inside.getStore()) throw new Bug('a transaction inside a transaction would wait for itself')
    const mine = this.#turn.then(() => this.#inside.run(true, () => this.#transact(work, landed)))
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #transact<T>(work: (tx: Tx) => Promise<T>, landed?: Landed): Promise<T> {
    const tx = await this.#begin()
    let result: T
    try {
      result = await work(asTx(tx))
      refuseUnnamed(this.#written.list())
    } catch (error) {
      await tx.rollback().execute()
      throw error
    }
    try {
      await tx.commit().execute()
    } catch (error) {
      if (!tx.isCommitted && !tx.isRolledBack)
        await tx
          .rollback()
          .execute()
          .catch(() => {})
      if (!(error instanceof StoreUnreachable) || !landed || !(await this.#landed(landed, error))) throw error
    }
    return result
  }

  watchHead(onHead: (seq: number) => void): HeadWatch {
    this.#watch = new PostgresHeadWatch({
      settings: this.#settings,
      clock: this.#clock,
      storeClock: this.#storeClock,
      onHead,
      onWord: (word) => this.#wordListeners.forEach((listener) => listener(word)),
    })
    return this.#watch
  }

  async tellDaemons(word: string): Promise<void> {
    await sql`select pg_notify(${WORD_CHANNEL}, ${word})`.execute(this.reads)
  }

  onWord(listener: (word: string) => void): void {
    this.#wordListeners.push(listener)
  }

  storeClock(): Clock {
    return this.#storeClock
  }

  /** The one connection may have been cut since its last use: a second try has a new one. */
  async #begin(): Promise<ControlledTransaction<Tables>> {
    this.#written.clear()
    // New power is refused at once while the store is away, instead of after each deadline anew.
    const silent = this.#watch?.silentFor() ?? 0
    if (silent > GONE_AFTER_MS)
      throw new StoreUnreachable(new Error(`no answer for ${String(Math.round(silent / 1000))} s`))
    try {
      return await this.#writes.startTransaction().execute()
    } catch (error) {
      if (!(error instanceof StoreUnreachable) && !isGoodbye(error)) throw error
      return this.#writes.startTransaction().execute()
    }
  }

  /** A commit was sent and not answered. The write lock is had again only when that transaction is over, one way or the other. */
  async #landed(landed: Landed, lost: StoreUnreachable): Promise<boolean> {
    for (let attempt = 1; attempt <= LANDED_TRIES; attempt++) {
      try {
        const tx = await this.#begin()
        const found = await landed(asTx(tx)).finally(() => tx.rollback().execute())
        return found
      } catch {
        continue
      }
    }
    throw new Refused(
      'store_unavailable',
      `the database did not say whether it stored this: ${lost.message}`,
      'look whether it happened before you do it again',
    )
  }

  async storeNow(tx: Tx): Promise<Instant> {
    // Not now(): that is when the transaction began, before it waited for its turn.
    const { rows } = await sql<{ ms: number }>`
      select floor(extract(epoch from clock_timestamp()) * 1000)::bigint as ms`.execute(tx)
    const [row] = rows
    if (!row) throw new Bug('the server told no time')
    this.#storeClock.told(row.ms)
    return this.#storeTime(row.ms)
  }

  /** What they were is what everybody else still sees: nobody but we write, and we have not committed. */
  async touched(): Promise<readonly TouchedRow[]> {
    const rows = this.#written.list()
    const asked = rows.filter((row) => this.#written.isFirstChange(row))
    const before = new Map<string, Record<string, unknown>>()
    for (const table of new Set(asked.map((row) => row.table))) {
      const ids = asked.filter((row) => row.table === table).map((row) => row.id)
      const found = await sql<Record<string, unknown>>`
        select * from ${sql.table(table)} where id in (${sql.join(ids)})`.execute(this.reads)
      for (const { event_id: _, ...row } of found.rows) before.set(`${table}/${String(row['id'])}`, row)
    }
    return rows.map((row) => {
      if (!this.#written.isFirstChange(row)) return row
      return { ...row, before: before.get(`${row.table}/${row.id}`) ?? null }
    })
  }

  async forgetTouched(): Promise<void> {
    this.#written.forget()
  }

  /** Connections that broke are dropped where they break. */
  reopen(): void {}

  /** The server finds damaged pages when it reads them, so everything is read. */
  async damage(): Promise<readonly string[]> {
    const { rows } = await sql<{ name: string }>`
      select c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'sallyport' and c.relkind = 'r' order by 1`.execute(this.reads)
    const found: string[] = []
    for (const { name } of rows) {
      try {
        await sql`select count(*) from ${sql.table(name)}`.execute(this.reads)
      } catch (error) {
        found.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    return found
  }

  async close(): Promise<void> {
    await this.#watch?.stop()
    await this.#turn
    await this.#writes.destroy()
    await this.reads.destroy()
    this.#onClosed()
  }
}

/** The server ended the session while nobody used it: a restart, an administrator. */
function isGoodbye(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown }
  return code === '57P01' || code === '57P02' || code === '25P03'
}
