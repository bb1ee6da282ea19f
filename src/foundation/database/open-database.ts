import { AsyncLocalStorage } from 'node:async_hooks'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { type Clock, type Instant, systemClock } from '../clock.ts'
import { Bug, Refused } from '../errors.ts'
import { migrate } from './migrations/migrations.ts'
import { nodeSqliteDialect } from './node-sqlite-dialect.ts'
import { ensurePrivateFile } from './private-files.ts'
import { forgetTouchedRows, touchedRows, watchPowerRows } from './row-watch.ts'
import { takeStoreLock } from './store-lock.ts'
import type { Tables } from './tables.ts'
import { asTx, type Tx } from './tx.ts'

/** Below it, a WAL reset race could lose commits (SQLite 3.51.3 release notes). */
const OLDEST_SQLITE = [3, 51, 3] as const
/** Of the writer, in KiB. SQLite's own 2 MB spill pages of a long transaction and read the same ones again. */
const CACHE_KIB = 65_536
/** The write-ahead log goes into the file once it has so many pages (16 MB): a page that many deeds change goes there once. */
const CHECKPOINT_PAGES = 4000

export interface Database {
  readonly kind: 'sqlite' | 'postgres'
  /** The database file, or the URL without secrets. For people and for the verifier. */
  readonly path: string
  /** Reads the last committed state; writing with it fails. */
  readonly reads: Kysely<Tables>
  /**
   * One write transaction at a time, in the order of the calls. Await only queries on `tx` in `work`. State changes go through
   * DeedLog.commitDeed instead: power rows left without an event make the commit fail (Bug).
   */
  transact<T>(work: (tx: Tx) => Promise<T>, landed?: Landed): Promise<T>
  /** The instant by which the store decides: `clock` on SQLite, the server's own inside `tx` on PostgreSQL. */
  storeNow(tx: Tx, clock: Clock): Promise<Instant>
  /** Power rows that `tx` has written or removed and that no event names yet. */
  touched(tx: Tx): Promise<readonly TouchedRow[]>
  /**
   * Calls `onHead` with the seq of the chain's head whenever it may have moved by whoever writes, in order, until stopped. SQLite
   * has one writer, who knows: nothing is told.
   */
  watchHead(onHead: (seq: number) => void): HeadWatch
  /**
   * Says a word to the other daemons on this store, and to this one: nothing is stored, and any word may be lost. At most 1000
   * characters. SQLite has one daemon, and nobody hears.
   */
  tellDaemons(word: string): Promise<void>
  /** Whoever may write to the store's server may say words, too. */
  onWord(listener: (word: string) => void): void
  /** Tells the time by which the store decides, between its transactions. */
  storeClock(clock: Clock): Clock
  /** All of them are named now. */
  forgetTouched(tx: Tx): Promise<void>
  /** Drops the write connection; the next transaction opens a new one. For after I/O errors. */
  reopen(): void
  /** `quick` leaves the indexes out. Empty = whole. */
  damage(quick?: boolean): Promise<readonly string[]>
  close(): Promise<void>
}

export interface HeadWatch {
  /** Looks now instead of in a moment. */
  look(): void
  /** Milliseconds since the store last answered */
  silentFor(): number
  stop(): Promise<void>
}

export interface TouchedRow {
  readonly table: string
  readonly id: string
  /** Its content before, as a query gives it, without event_id; null: it was not there. Left out by a store that cannot tell. */
  readonly before?: Readonly<Record<string, unknown>> | null
}

/** Asks whether a transaction whose commit was not answered was stored after all. */
export type Landed = (tx: Tx) => Promise<boolean>

export interface DatabaseOptions {
  readonly clock?: Clock
  /** Files survive a power cut: false only for tests. */
  readonly durable?: boolean
  /** Refuse a second daemon by `<path>.lock`. Default true. */
  readonly lock?: boolean
}

/**
 * Opens or makes the embedded store: WAL, synchronous=FULL, one writer. The file is 0600 in a 0700 folder.
 * Errors: Refused('in_use') when another daemon has it, 'version_mismatch' for a newer schema, 'store_unavailable' for unsafe
 * file modes, a damaged file or foreign triggers and views.
 */
export function openDatabase(path: string, options: DatabaseOptions = {}, onClosed: () => void = () => {}): Database {
  requireSqlite(process.versions['sqlite'])
  ensurePrivateFile(path)
  const lock = options.lock === false ? null : takeStoreLock(`${path}.lock`)
  try {
    const first = openWriter(path, options)
    const reader = new DatabaseSync(path, { readOnly: true, timeout: 500 })
    reader.exec('pragma trusted_schema = off; pragma query_only = on')
    const closed = (): void => {
      lock?.release()
      onClosed()
    }
    return new SqliteStore(path, first, reader, () => openWriter(path, options), closed)
  } catch (error) {
    lock?.release()
    throw error
  }
}

/** A store in a new temporary folder, for unit tests: `close` removes it. Not durable, therefore fast. */
export function openTemporaryDatabase(clock?: Clock): Database {
  emptyStore ??= makeEmptyStore()
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-store-'))
  const path = join(folder, 'store.db')
  writeFileSync(path, emptyStore, { mode: 0o600 })
  const options = { durable: false, ...(clock ? { clock } : {}) }
  return openDatabase(path, options, () => rmSync(folder, { recursive: true, force: true }))
}

/** The bytes of a store with the newest schema and nothing in it: copying them costs a tenth of making it. */
let emptyStore: Buffer | null = null

function makeEmptyStore(): Buffer {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-store-'))
  const path = join(folder, 'store.db')
  try {
    openWriter(path, { durable: false }).close()
    return readFileSync(path)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Errors: Bug when the runtime's SQLite is too old to be trusted with commits. */
export function requireSqlite(version: string | undefined): void {
  const parts = (version ?? '0').split('.').map(Number)
  for (const [index, least] of OLDEST_SQLITE.entries()) {
    const part = parts[index] ?? 0
    if (part > least) return
    if (part < least)
      throw new Bug(`SQLite ${String(version)} is older than ${OLDEST_SQLITE.join('.')}: use a newer Node`)
  }
}

function openWriter(path: string, options: DatabaseOptions): DatabaseSync {
  // Waiting for a lock stops the whole process, and nobody but a curious operator should ever hold it.
  const database = new DatabaseSync(path, { timeout: 500, enableForeignKeyConstraints: true, defensive: true })
  try {
    database.exec(`
      pragma journal_mode = wal;
      pragma synchronous = ${options.durable === false ? 'off' : 'full'};
      pragma foreign_keys = on;
      pragma trusted_schema = off;
      pragma temp_store = memory;
      pragma cache_size = ${-CACHE_KIB};
      pragma wal_autocheckpoint = ${CHECKPOINT_PAGES};
      pragma mmap_size = 0;
      pragma cell_size_check = on`)
    refuseForeignSchema(path, database)
    migrate(database, (options.clock ?? systemClock).now())
    watchPowerRows(database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

/** We use no triggers and no views in the file: one that is there was put in to act in our name. */
function refuseForeignSchema(path: string, database: DatabaseSync): void {
  const found = database.prepare("select type, name from sqlite_schema where type in ('trigger', 'view')").get()
  if (!found) return
  throw new Refused(
    'store_unavailable',
    `${path} holds a ${String(found['type'])} "${String(found['name'])}" that Sallyport never made: somebody edited the file`,
    'keep a copy for the investigation, then restore a backup',
  )
}

/** Errors: Bug naming the first of the rows. */
export function refuseUnnamed(left: readonly TouchedRow[]): void {
  if (left.length === 0) return
  const names = left.slice(0, 3).map((row) => `${row.table}/${row.id}`)
  throw new Bug(`written without an event that names them: ${names.join(', ')}`)
}

class SqliteStore implements Database {
  readonly kind = 'sqlite'
  readonly path: string
  readonly reads: Kysely<Tables>
  readonly #writes: Kysely<Tables>
  readonly #reader: DatabaseSync
  readonly #openWriter: () => DatabaseSync
  readonly #release: () => void
  readonly #inside = new AsyncLocalStorage<true>()
  #writer: DatabaseSync | null

  constructor(
    path: string,
    writer: DatabaseSync,
    reader: DatabaseSync,
    openAgain: () => DatabaseSync,
    release: () => void,
  ) {
    this.path = path
    this.#writer = writer
    this.#reader = reader
    this.#openWriter = openAgain
    this.#release = release
    this.reads = new Kysely<Tables>({ dialect: nodeSqliteDialect(() => reader, true, this) })
    this.#writes = new Kysely<Tables>({ dialect: nodeSqliteDialect(() => this.#connectWriter(), false, this) })
  }

  #connectWriter(): DatabaseSync {
    if (!this.#writer?.isOpen) this.#writer = this.#openWriter()
    return this.#writer
  }

  async transact<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
    if (this.#inside.getStore()) throw new Bug('a transaction inside a transaction would wait for itself')
    return this.#inside.run(true, () =>
      this.#writes.transaction().execute(async (transaction) => {
        const tx = asTx(transaction)
        const result = await work(tx)
        refuseUnnamed(await this.touched(tx))
        return result
      }),
    )
  }

  async storeNow(_tx: Tx, clock: Clock): Promise<Instant> {
    return clock.now()
  }

  watchHead(): HeadWatch {
    return { look: () => {}, silentFor: () => 0, stop: async () => {} }
  }

  async tellDaemons(): Promise<void> {}

  onWord(): void {}

  storeClock(clock: Clock): Clock {
    return clock
  }

  touched(tx: Tx): Promise<readonly TouchedRow[]> {
    return touchedRows(tx)
  }

  forgetTouched(tx: Tx): Promise<void> {
    return forgetTouchedRows(tx)
  }

  reopen(): void {
    const old = this.#writer
    this.#writer = null
    if (old?.isOpen) old.close()
  }

  async damage(quick = true): Promise<readonly string[]> {
    const rows = this.#reader.prepare(quick ? 'pragma quick_check' : 'pragma integrity_check').all()
    return rows.map((row) => String(Object.values(row)[0])).filter((line) => line !== 'ok')
  }

  async close(): Promise<void> {
    await this.#writes.destroy()
    await this.reads.destroy()
    if (this.#reader.isOpen) this.#reader.close()
    this.reopen()
    this.#release()
  }
}
