import type { DatabaseSync } from 'node:sqlite'
import { Bug, Refused } from '../../errors.ts'
import { first } from './0001-first.ts'
import { requestEngine } from './0002-request-engine.ts'
import { databases } from './0003-databases.ts'
import { attempts } from './0004-attempts.ts'
import { justInTimeUsers } from './0005-just-in-time-users.ts'
import { pendingOf } from './0006-pending-of.ts'
import { integrations } from './0007-integrations.ts'
import { unknownFate } from './0008-unknown-fate.ts'

/** What differs in the data definition language of the databases that one schema is written for. */
export interface SchemaWords {
  /** A 64-bit integer */
  readonly int: string
  /** Follows a table's closing bracket */
  readonly strict: string
}

export interface Migration {
  readonly name: string
  statements(words: SchemaWords): readonly string[]
}

/** In order, never edited once released: forward only. */
export const MIGRATIONS: readonly Migration[] = [
  first,
  requestEngine,
  databases,
  attempts,
  justInTimeUsers,
  pendingOf,
  integrations,
  unknownFate,
]

const SQLITE: SchemaWords = { int: 'integer', strict: 'strict' }

/**
 * Brings an opened SQLite database to the newest schema, each step in a transaction of its own. `now` in ms.
 * Errors: Refused('version_mismatch') when a newer Sallyport has written it, or other steps than ours were taken.
 */
export function migrate(database: DatabaseSync, now: number, migrations: readonly Migration[] = MIGRATIONS): void {
  database.exec(
    'create table if not exists schema_steps (step integer primary key, name text not null, applied_at integer not null) strict',
  )
  const taken = database.prepare('select step, name from schema_steps order by step').all()
  refuseUnknownSteps(taken, migrations)
  for (const [index, migration] of migrations.entries()) {
    if (index >= taken.length) take(database, index + 1, migration, now)
  }
}

/** Errors: Refused('version_mismatch') when a newer Sallyport has written it, or other steps than ours were taken. */
export function refuseUnknownSteps(
  taken: readonly { readonly step?: unknown; readonly name?: unknown }[],
  migrations: readonly Migration[],
): void {
  for (const [index, { step, name }] of taken.entries()) {
    if (step === index + 1 && name === migrations[index]?.name) continue
    throw new Refused(
      'version_mismatch',
      `the database has schema step ${String(step)} "${String(name)}", which this version does not know`,
      'start the Sallyport version that wrote it, or a newer one; schemas never go back',
    )
  }
}

function take(database: DatabaseSync, step: number, migration: Migration, now: number): void {
  database.exec('begin exclusive')
  try {
    for (const statement of migration.statements(SQLITE)) database.exec(statement)
    database
      .prepare('insert into schema_steps (step, name, applied_at) values (?, ?, ?)')
      .run(step, migration.name, now)
    database.exec('commit')
  } catch (error) {
    if (database.isTransaction) database.exec('rollback')
    throw new Bug(`schema step ${migration.name} failed`, { cause: error })
  }
}
