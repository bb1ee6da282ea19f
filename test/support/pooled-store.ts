import { join } from 'node:path'
import { DatabaseSync, type StatementSync } from 'node:sqlite'
import { openDatabase, type Database } from '../../src/foundation/database/open-database.ts'
import { ManualClock } from './manual-clock.ts'
import { processFolder } from './temp-folder.ts'

/** Stores that nobody has now, each empty. As many as a test has at the same time. */
const idle: PooledStore[] = []
let folder: string | null = null
let made = 0

/**
 * An empty store for a test; `close` hands it on to the next one of this process, emptied. Opening one anew and preparing its
 * statements takes longer than most tests. For tests that leave its file as it is: one with another schema is thrown
 * away, and one that was used has pages to spare, so no test of a full disk may have it.
 */
export function pooledStore(): Database {
  const store = idle.pop() ?? new PooledStore(join(poolFolder(), `${String(++made)}.db`))
  return store.lend()
}

function poolFolder(): string {
  folder ??= processFolder('stores')
  return folder
}

class PooledStore {
  readonly #database: Database
  readonly #own: DatabaseSync
  readonly #schema: unknown
  readonly #emptying: readonly StatementSync[]

  constructor(path: string) {
    this.#database = openDatabase(path, { durable: false, clock: new ManualClock() })
    // A connection of its own: no trigger notes what it writes.
    this.#own = new DatabaseSync(path, { enableForeignKeyConstraints: false })
    this.#own.exec('pragma synchronous = off')
    this.#schema = this.#schemaNow()
    const tables = this.#own
      .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
      .all()
      .map((row) => String(row['name']))
    for (const table of tables) this.#own.exec(`create temp table kept_${table} as select * from main.${table}`)
    this.#emptying = tables.flatMap((table) => [
      this.#own.prepare(`delete from main.${table}`),
      this.#own.prepare(`insert into main.${table} select * from temp.kept_${table}`),
    ])
  }

  lend(): Database {
    let isOpen = true
    const close = async (): Promise<void> => {
      if (!isOpen) return
      isOpen = false
      if (await this.#empty()) idle.push(this)
    }
    return new Proxy(this.#database, {
      get(target, property) {
        if (property === 'close') return close
        const value: unknown = Reflect.get(target, property, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  }

  /** False: the store is not what it was, and is gone. */
  async #empty(): Promise<boolean> {
    try {
      if (this.#schemaNow() !== this.#schema) throw new Error('another schema')
      this.#own.exec('begin immediate')
      for (const statement of this.#emptying) statement.run()
      this.#own.exec('commit')
      return true
    } catch {
      this.#own.close()
      await this.#database.close()
      return false
    }
  }

  #schemaNow(): unknown {
    return this.#own.prepare('pragma schema_version').get()?.['schema_version']
  }
}
