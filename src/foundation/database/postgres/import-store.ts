import { Client } from 'pg'
import { Refused } from '../../errors.ts'
import type { Snapshot, SnapshotRow } from '../open-snapshot.ts'
import { migratePostgres } from './migrate-postgres.ts'
import { PostgresSnapshot } from './open-postgres-snapshot.ts'
import { clientConfig, sessionStart, WRITE_LOCK } from './postgres-connections.ts'
import type { PostgresSettings } from './postgres-settings.ts'
import { checkServer } from './server-check.ts'

const LONGEST_STATEMENT_MS = 600_000
const ROWS_TOGETHER = 200

export interface ImportOrder {
  readonly settings: PostgresSettings
  readonly source: Snapshot
  readonly now: number
  /** Looks at the copy before it is kept; throwing takes it back. */
  readonly check: (copy: Snapshot) => Promise<void>
}

/** The copy was made and checked, but the server did not say whether it kept it. */
export class ImportUnsure extends Error {
  override readonly name = 'ImportUnsure'
}

/**
 * Copies every row of a store into an empty schema `sallyport`, all or nothing. Returns how many there were.
 * Errors: Refused('exists') when it is not empty; ImportUnsure; whatever `check` throws.
 */
export async function importStore({ settings, source, now, check }: ImportOrder): Promise<number> {
  await checkServer(settings)
  await migratePostgres(settings, now)
  const patient = { ...settings, statementTimeoutMs: LONGEST_STATEMENT_MS }
  const client = new Client(clientConfig(patient))
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(`${sessionStart(patient, false)}; set idle_in_transaction_session_timeout to 0`)
    await client.query(`begin; ${WRITE_LOCK}`)
    const tables = await tablesOf(client)
    await refuseFull(client, tables)
    let rows = 0
    for (const table of tables) rows += await copyTable(client, source, table)
    await check(new PostgresSnapshot(client))
    await commit(client)
    return rows
  } finally {
    await client.end().catch(() => {})
  }
}

async function commit(client: Client): Promise<void> {
  try {
    await client.query('commit')
  } catch (error) {
    throw new ImportUnsure('the server did not say whether it kept the copy', { cause: error })
  }
}

async function tablesOf(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select tablename as name from pg_tables where schemaname = 'sallyport' and tablename <> 'schema_steps' order by 1`,
  )
  return rows.map(({ name }) => name)
}

async function refuseFull(client: Client, tables: readonly string[]): Promise<void> {
  for (const table of tables) {
    const { rows } = await client.query(`select 1 from "${table}" limit 1`)
    if (rows.length === 0) continue
    throw new Refused(
      'exists',
      `the target is not empty: its table ${table} has rows`,
      'name an empty database; nothing was changed',
    )
  }
}

async function copyTable(client: Client, source: Snapshot, table: string): Promise<number> {
  let count = 0
  let batch: SnapshotRow[] = []
  for await (const row of source.rows(`select * from "${table}"`)) {
    batch.push(row)
    count += 1
    if (batch.length < ROWS_TOGETHER) continue
    await insert(client, table, batch)
    batch = []
  }
  await insert(client, table, batch)
  return count
}

async function insert(client: Client, table: string, rows: readonly SnapshotRow[]): Promise<void> {
  const [first] = rows
  if (!first) return
  const columns = Object.keys(first)
  const values = rows.flatMap((row) => columns.map((column) => row[column] ?? null))
  const nul = rows.find((row) => columns.some((column) => String(row[column]).includes('\0')))
  if (nul)
    throw new Refused(
      'malformed',
      `${table}/${String(nul['id'] ?? nul['seq'])} holds the character NUL, which PostgreSQL keeps in no text`,
    )
  const places = rows.map(
    (_, row) => `(${columns.map((__, at) => `$${String(row * columns.length + at + 1)}`).join(', ')})`,
  )
  const names = columns.map((column) => `"${column}"`).join(', ')
  await client.query(`insert into "${table}" (${names}) values ${places.join(', ')}`, values)
}
