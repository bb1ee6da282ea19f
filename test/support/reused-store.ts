import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { openDatabase, type Database } from '../../src/foundation/database/open-database.ts'
import { AccessWorld } from './access-world.ts'
import { ManualClock } from './manual-clock.ts'
import { processFolder } from './temp-folder.ts'

type Row = Readonly<Record<string, SQLInputValue>>
type Rows = ReadonlyMap<string, readonly Row[]>

/**
 * One store for many histories, one after the other, each of which finds what was furnished: filling tables again takes a twentieth
 * of opening a store and preparing the engine's statements on it. The engine may be started on it as often as is liked.
 */
export class ReusedStore {
  readonly #path: string
  readonly #own: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()
  readonly #furnished = new Map<string, Rows>()
  #database: Database

  private constructor(path: string) {
    this.#path = path
    this.#database = open(path)
    // A connection of its own: no trigger notes what it writes.
    this.#own = new DatabaseSync(path, { enableForeignKeyConstraints: false })
    this.#own.exec('pragma synchronous = off')
  }

  static #made: ReusedStore | null = null

  /** The one of this process, there for as long as it. */
  static get(): ReusedStore {
    ReusedStore.#made ??= ReusedStore.#make()
    return ReusedStore.#made
  }

  static #make(): ReusedStore {
    return new ReusedStore(join(processFolder('reused'), 'store.db'))
  }

  /** A world as `furnish` leaves it, which runs once for each name. Close it by `stop`. */
  async world(name: string, furnish: (world: AccessWorld) => Promise<void>): Promise<AccessWorld> {
    if (!this.#furnished.has(name)) {
      this.#refill(new Map())
      const world = await AccessWorld.open(new ManualClock(), this.#database)
      await furnish(world)
      await world.stop()
      this.#furnished.set(name, this.#content())
    }
    this.#refill(this.#furnished.get(name) ?? new Map())
    return new AccessWorld(this.#database, new ManualClock())
  }

  /** The engine starts again on what the store has; `cold`: with new connections, and nothing remembered of it. */
  async restart(world: AccessWorld, cold: boolean): Promise<AccessWorld> {
    await world.stop()
    if (cold) {
      await this.#database.close()
      this.#database = open(this.#path)
    }
    return new AccessWorld(this.#database, world.clock)
  }

  /** Committed rows, read beside the product. */
  all(sql: string, ...parameters: SQLInputValue[]): Row[] {
    return this.#prepare(sql).all(...parameters) as Row[]
  }

  /** Changes with every deed, whoever did it. */
  head(): string {
    return JSON.stringify(this.all('select seq, hash from chain_head'))
  }

  #content(): Rows {
    return new Map(this.#tables().map((table) => [table, this.#prepare(`select * from ${table}`).all() as Row[]]))
  }

  #refill(rows: Rows): void {
    this.#own.exec('begin immediate')
    for (const table of this.#tables()) {
      this.#prepare(`delete from ${table}`).run()
      for (const row of rows.get(table) ?? []) {
        const names = Object.keys(row)
        const insert = `insert into ${table} (${names.join(', ')}) values (${names.map(() => '?').join(', ')})`
        this.#prepare(insert).run(...Object.values(row))
      }
    }
    this.#own.exec('commit')
  }

  #tables(): string[] {
    const sql =
      "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' and name <> 'schema_steps'"
    return this.#prepare(sql)
      .all()
      .map((row) => String(row['name']))
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#own.prepare(sql)
    this.#statements.set(sql, known)
    return known
  }
}

const open = (path: string): Database => openDatabase(path, { durable: false, lock: false, clock: new ManualClock() })
