import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  PostgresAdapter,
  PostgresIntrospector,
  PostgresQueryCompiler,
  type QueryResult,
} from 'kysely'
import { DatabaseError, type Pool, type PoolClient } from 'pg'
import { Refused } from '../../errors.ts'
import { CHANNEL } from './head-watch.ts'
import { takeClient } from './postgres-connections.ts'
import { StoreUnreachable } from './store-unreachable.ts'
import type { WrittenRows } from './written-rows.ts'

export interface PostgresDialectParts {
  readonly pool: Pool
  /** For the connection that writes */
  readonly written: WrittenRows | null
  /** Runs after `begin`, in the same round trip */
  readonly afterBegin: string
  /** What a failed statement is thrown as */
  readonly explain: (error: unknown) => unknown
}

/** Kysely on `pg`, with errors that say whether the connection is still one. */
export function postgresDialect(parts: PostgresDialectParts): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new PostgresPoolDriver(parts),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

class PostgresPoolDriver implements Driver {
  readonly #parts: PostgresDialectParts

  constructor(parts: PostgresDialectParts) {
    this.#parts = parts
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PostgresLink> {
    try {
      return new PostgresLink(await takeClient(this.#parts.pool), this.#parts)
    } catch (error) {
      throw this.#parts.explain(error)
    }
  }

  /** A connection that was cut while nobody used it shows here, before anything was done: the caller may take another. */
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw(`begin; ${this.#parts.afterBegin}`))
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    // The others hear of it with the commit, and never of one that failed.
    await connection.executeQuery(CompiledQuery.raw(`notify ${CHANNEL}; commit`))
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await connection.executeQuery(CompiledQuery.raw('rollback'))
    } catch {
      // Closing the connection is the rollback that cannot fail; a second error would hide the first.
      if (connection instanceof PostgresLink) connection.broken = true
    }
  }

  async releaseConnection(connection: DatabaseConnection): Promise<void> {
    if (connection instanceof PostgresLink) connection.release()
  }

  async destroy(): Promise<void> {
    await this.#parts.pool.end()
  }
}

class PostgresLink implements DatabaseConnection {
  readonly #client: PoolClient
  readonly #parts: PostgresDialectParts
  /** It is closed instead of used again. */
  broken = false

  constructor(client: PoolClient, parts: PostgresDialectParts) {
    this.#client = client
    this.#parts = parts
    client.on('error', this.#onError)
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (parameters.some((value) => typeof value === 'string' && value.includes('\0'))) throw noNul()
    const run = (text: string) => this.#run(text, parameters)
    const result = await (this.#parts.written?.through(sql, parameters, run) ?? run(sql))
    // Several statements in one text give a list of results, and we want none of them.
    if (Array.isArray(result)) return { rows: [] }
    return { rows: result.rows as R[], numAffectedRows: BigInt(result.rowCount ?? 0) }
  }

  async #run(text: string, parameters: readonly unknown[]) {
    try {
      return await this.#client.query<Record<string, unknown>>(
        text,
        parameters.length === 0 ? undefined : [...parameters],
      )
    } catch (error) {
      const ofConnection = !(error instanceof DatabaseError)
      if (ofConnection || error.severity === 'FATAL' || error.code === '25006') this.broken = true
      throw this.#parts.explain(ofConnection ? new StoreUnreachable(error) : error)
    }
  }

  streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streams are read through openSnapshot')
  }

  release(): void {
    this.#client.off('error', this.#onError)
    this.#client.release(this.broken)
  }

  readonly #onError = (): void => {
    this.broken = true
  }
}

/** PostgreSQL's text has no such character; JSON inside text writes it as an escape. */
function noNul(): Refused {
  return new Refused('malformed', 'a text holds the character NUL, which this store cannot keep')
}
