import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely'
import { Bug } from '../errors.ts'

const CACHED_STATEMENTS = 500

/**
 * Kysely on one `node:sqlite` connection. `shared` connections only read and serve any number of queries at once. `store` stands
 * for the database that several connections open.
 */
export function nodeSqliteDialect(connect: () => DatabaseSync, shared: boolean, store: object): Dialect {
  const driver = new NodeSqliteDriver(connect, shared)
  return {
    createAdapter: () => new NodeSqliteAdapter(driver, shared, store),
    createDriver: () => driver,
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

/** What a connection and all of its transactions share. */
export class NodeSqliteAdapter extends SqliteAdapter {
  readonly #driver: NodeSqliteDriver
  readonly #shared: boolean
  readonly store: object

  constructor(driver: NodeSqliteDriver, shared: boolean, store: object) {
    super()
    this.#driver = driver
    this.#shared = shared
    this.store = store
  }

  override get supportsMultipleConnections(): boolean {
    return this.#shared
  }

  /** Runs a statement at once, around Kysely. On the connection that writes: inside a transaction alone. */
  rows<R>(sql: string, parameters: readonly unknown[]): R[] {
    return this.#driver.current().rows<R>(sql, parameters)
  }
}

class NodeSqliteDriver implements Driver {
  readonly #connect: () => DatabaseSync
  readonly #shared: boolean
  #current: NodeSqliteConnection | null = null

  constructor(connect: () => DatabaseSync, shared: boolean) {
    this.#connect = connect
    this.#shared = shared
  }

  async init(): Promise<void> {}

  /** The writing connection only while it is in a transaction: nothing may be stored on its own. */
  current(): NodeSqliteConnection {
    if (this.#shared) return this.#connection()
    if (!this.#current?.database.isTransaction) throw new Bug('a statement of a transaction that is over')
    return this.#current
  }

  /** `connect` may hand out a new handle after the old one became unusable; its statements are then prepared anew. */
  async acquireConnection(): Promise<NodeSqliteConnection> {
    return this.#connection()
  }

  #connection(): NodeSqliteConnection {
    const database = this.#connect()
    if (this.#current?.database !== database) this.#current = new NodeSqliteConnection(database)
    return this.#current
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#shared) throw new Error('the read connection has no transactions: use Database.transact')
    // IMMEDIATE takes the write lock now: a deferred one could fail in the middle, after its reads.
    await connection.executeQuery(CompiledQuery.raw('begin immediate'))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // SQLite itself rolls back on some errors (full disk, I/O); a second rollback would hide the first error.
    if (connection instanceof NodeSqliteConnection && !connection.database.isTransaction) return
    try {
      await connection.executeQuery(CompiledQuery.raw('rollback'))
    } catch {
      // Closing is the rollback that cannot fail; the next transaction opens a new handle.
      if (connection instanceof NodeSqliteConnection && connection.database.isOpen) connection.database.close()
    }
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    this.#current = null
  }
}

interface Cached {
  readonly statement: StatementSync
  /** Of its rows; null: it has none */
  readonly columns: readonly string[] | null
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, Cached>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, columns } = this.#statement(query.sql)
    const parameters = query.parameters as readonly SQLInputValue[]
    if (columns) return { rows: rowsOf<R>(statement, columns, parameters) }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
  }

  rows<R>(sql: string, parameters: readonly unknown[]): R[] {
    const { statement, columns } = this.#statement(sql)
    if (columns) return rowsOf<R>(statement, columns, parameters as readonly SQLInputValue[])
    statement.run(...(parameters as readonly SQLInputValue[]))
    return []
  }

  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    // Not a cached statement: running it a second time would reset the first iteration.
    const statement = this.database.prepare(query.sql)
    for (const row of statement.iterate(...(query.parameters as readonly SQLInputValue[]))) yield { rows: [row as R] }
  }

  #statement(sql: string): Cached {
    const known = this.#statements.get(sql)
    if (known) return known
    if (this.#statements.size >= CACHED_STATEMENTS) this.#statements.clear()
    const statement = this.database.prepare(sql)
    const columns = statement.columns().map(({ name }) => name)
    if (columns.length > 0) statement.setReturnArrays(true)
    const made = { statement, columns: columns.length > 0 ? columns : null }
    this.#statements.set(sql, made)
    return made
  }
}

/** The rows that node:sqlite makes itself are dictionaries: slow to read, slower to copy. */
function rowsOf<R>(statement: StatementSync, columns: readonly string[], parameters: readonly SQLInputValue[]): R[] {
  const found: unknown = statement.all(...parameters)
  return (found as SQLOutputValue[][]).map((values) => {
    const row: Record<string, SQLOutputValue | undefined> = {}
    for (let place = 0; place < columns.length; place++) row[columns[place] ?? ''] = values[place]
    return row as R
  })
}
