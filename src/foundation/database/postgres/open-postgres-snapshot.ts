import { Client, DatabaseError } from 'pg'
import { Refused } from '../../errors.ts'
import type { Snapshot, SnapshotRow } from '../open-snapshot.ts'
import { foreignObjects } from './foreign-objects.ts'
import { clientConfig, sessionStart } from './postgres-connections.ts'
import type { PostgresSettings } from './postgres-settings.ts'

const FETCH = 500
/** Reading a big store whole takes its time, and session files are read in between. */
const LONGEST_STATEMENT_MS = 600_000

/** Opens the schema `sallyport` in a read-only transaction that sees one state. Errors: Refused('store_unavailable'). */
export async function openPostgresSnapshot(settings: PostgresSettings): Promise<Snapshot> {
  const patient = { ...settings, statementTimeoutMs: LONGEST_STATEMENT_MS }
  const client = new Client(clientConfig(patient))
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(`${sessionStart(patient, true)}; set idle_in_transaction_session_timeout to 0`)
    await client.query('begin isolation level repeatable read read only')
  } catch (error) {
    void client.end().catch(() => {})
    throw lost(error)
  }
  return new PostgresSnapshot(client)
}

/** Reads inside whatever transaction the client is in. */
export class PostgresSnapshot implements Snapshot {
  readonly #client: Client
  #cursors = 0

  constructor(client: Client) {
    this.#client = client
  }

  async *rows(sql: string, ...parameters: unknown[]): AsyncGenerator<SnapshotRow> {
    const cursor = `rows_${String(++this.#cursors)}`
    await this.#query(`declare ${cursor} no scroll cursor for ${numbered(sql)}`, parameters)
    try {
      for (;;) {
        const batch = await this.#query(`fetch ${String(FETCH)} from ${cursor}`)
        yield* batch
        if (batch.length < FETCH) return
      }
    } finally {
      await this.#query(`close ${cursor}`).catch(() => {})
    }
  }

  async get(sql: string, ...parameters: unknown[]): Promise<SnapshotRow | undefined> {
    return (await this.#query(numbered(sql), parameters))[0]
  }

  async foreignObjects(): Promise<readonly string[]> {
    return (await foreignObjects(this.#client)).map(({ kind, name }) => `${kind} ${name}`)
  }

  /** The server finds damaged pages when it reads them, so everything is read. */
  async damage(): Promise<readonly string[]> {
    const found: string[] = []
    const tables = await this.#query(
      "select tablename as name from pg_tables where schemaname = 'sallyport' order by tablename",
    )
    for (const { name } of tables) {
      await this.#query('savepoint looking')
      try {
        await this.#query(`select count(*) from "${String(name)}"`)
      } catch (error) {
        if (error instanceof Refused) throw error
        await this.#query('rollback to savepoint looking')
        found.push(`${String(name)}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    return found
  }

  async close(): Promise<void> {
    await this.#client.end().catch(() => {})
  }

  async #query(sql: string, parameters: readonly unknown[] = []): Promise<readonly SnapshotRow[]> {
    try {
      const { rows } = await this.#client.query<Record<string, string | number | null>>(sql, [...parameters])
      return rows
    } catch (error) {
      throw error instanceof RangeError ? error : lost(error)
    }
  }
}

/** What the server itself says is about the store; a connection that broke says nothing about it. */
function lost(error: unknown): unknown {
  if (error instanceof DatabaseError && error.severity !== 'FATAL') return error
  const why = error instanceof Error ? error.message : String(error)
  return new Refused('store_unavailable', `the database cannot be read now: ${why}`)
}

function numbered(sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${String(++count)}`)
}
