import { Client } from 'pg'
import { Bug, Refused } from '../../errors.ts'
import { MIGRATIONS, type Migration, refuseUnknownSteps, type SchemaWords } from '../migrations/migrations.ts'
import { refuseForeignObjects } from './foreign-objects.ts'
import { clientConfig } from './postgres-connections.ts'
import type { PostgresSettings } from './postgres-settings.ts'

const POSTGRES: SchemaWords = { int: 'bigint', strict: '' }
/** Any two numbers; other programs on the same database take other ones. */
const MIGRATION_LOCK = '(1396788313, 1)'
const LONGEST_STEP_MS = 600_000

/**
 * Brings the schema `sallyport` of the database to the newest steps, one daemon at a time, each step in a transaction of its own.
 * `now` in ms. Errors: Refused('version_mismatch' | 'store_unavailable').
 */
export async function migratePostgres(
  settings: PostgresSettings,
  now: number,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<void> {
  const client = new Client({ ...clientConfig(settings), query_timeout: LONGEST_STEP_MS })
  client.on('error', () => {})
  await client.connect()
  try {
    await client.query(`set client_min_messages to error; select pg_advisory_lock${MIGRATION_LOCK}`)
    await makeSchema(client)
    await client.query(`set search_path to sallyport, pg_temp;
      create table if not exists schema_steps (step bigint primary key, name text not null, applied_at bigint not null)`)
    await refuseForeignObjects(client)
    const { rows } = await client.query<{ step: unknown; name: unknown }>(
      'select step, name from schema_steps order by step',
    )
    refuseUnknownSteps(rows, migrations)
    for (const [index, migration] of migrations.entries()) {
      if (index >= rows.length) await take(client, index + 1, migration, now)
    }
  } finally {
    // Closing gives the lock back.
    await client.end()
  }
}

async function makeSchema(client: Client): Promise<void> {
  const { rows } = await client.query("select 1 from pg_namespace where nspname = 'sallyport'")
  if (rows.length > 0) return
  try {
    await client.query('create schema sallyport')
  } catch (error) {
    throw new Refused(
      'store_unavailable',
      `the schema sallyport cannot be made: ${error instanceof Error ? error.message : String(error)}`,
      'as the owner of the database run: create schema sallyport authorization USER',
    )
  }
}

async function take(client: Client, step: number, migration: Migration, now: number): Promise<void> {
  await client.query('begin')
  try {
    for (const statement of migration.statements(POSTGRES)) await client.query(byBytes(statement))
    await client.query('insert into schema_steps (step, name, applied_at) values ($1, $2, $3)', [
      step,
      migration.name,
      now,
    ])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback').catch(() => {})
    throw new Bug(`schema step ${migration.name} failed`, { cause: error })
  }
}

/** Texts compare byte by byte, as on SQLite, whatever language the database was made for. */
function byBytes(statement: string): string {
  return /^\s*(create table|alter table)/i.test(statement)
    ? statement.replaceAll(/\btext\b/g, 'text collate "C"')
    : statement
}
