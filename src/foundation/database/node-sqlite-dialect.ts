import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
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

const CACHED_STATEMENTS = 500

/** Kysely on one `node:sqlite` connection. `shared` connections only read and serve any number of queries at once. */
export function nodeSqliteDialect(connect: () => DatabaseSync, shared: boolean): Dialect {
  return {
    createAdapter: () => (shared ? new SharedAdapter() : new SqliteAdapter()),
    createDriver: () => new NodeSqliteDriver(connect, shared),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
}

class SharedAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true
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

  /** `connect` may hand out a new handle after the old one became unusable; its statements are then prepared anew. */
  async acquireConnection(): Promise<NodeSqliteConnection> {
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
  readonly reads: boolean
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly database: DatabaseSync
  readonly #statements = new Map<string, Cached>()

  constructor(database: DatabaseSync) {
    this.database = database
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const { statement, reads } = this.#statement(query.sql)
    const parameters = query.parameters as readonly SQLInputValue[]
    if (reads) return { rows: statement.all(...parameters) as R[] }
    const { changes, lastInsertRowid } = statement.run(...parameters)
    return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) }
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
    const made = { statement, reads: statement.columns().length > 0 }
    this.#statements.set(sql, made)
    return made
  }
}
