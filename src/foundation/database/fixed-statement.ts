import { CompiledQuery, type Insertable, PostgresAdapter, type Kysely } from 'kysely'
import { NodeSqliteAdapter } from './node-sqlite-dialect.ts'
import type { Tables } from './tables.ts'

type Run<Row> = (reader: Kysely<Tables>, ...parameters: readonly unknown[]) => Promise<Row[]>

/**
 * A statement of the hot path, whose text is always the same: nothing is put together when it runs. `?` stands for a parameter, so
 * it must not stand in a literal. Written out, it must be right for SQLite and PostgreSQL.
 */
export function fixedStatement<Row = never>(text: string): Run<Row> {
  const numbered = withNumbers(text)
  return async (reader, ...parameters) => {
    const { adapter, plugins } = reader.getExecutor()
    // Kysely's way to the connection costs more than what SQLite does there.
    if (adapter instanceof NodeSqliteAdapter && plugins.length === 0) return adapter.rows<Row>(text, parameters)
    const sql = adapter instanceof PostgresAdapter ? numbered : text
    const { rows } = await reader.executeQuery<Row>(CompiledQuery.raw(sql, [...parameters]))
    return rows
  }
}

/** As `fixedStatement`, for a list of values: `values` stands behind `in`, and is put together once for each length. */
export function fixedList<Row>(
  text: (values: string) => string,
): (reader: Kysely<Tables>, values: readonly unknown[]) => Promise<Row[]> {
  const made = new Map<number, Run<Row>>()
  return async (reader, values) => {
    if (values.length === 0) return []
    const run = made.get(values.length) ?? fixedStatement<Row>(text(`(${values.map(() => '?').join(', ')})`))
    made.set(values.length, run)
    return run(reader, ...values)
  }
}

const inserts = new Map<string, Run<never>>()

/** Inserts one row; the statement is put together once for each set of columns. */
export async function insertRow<T extends keyof Tables>(
  tx: Kysely<Tables>,
  table: T,
  row: Insertable<Tables[T]>,
): Promise<void> {
  const columns = Object.keys(row)
  const names = columns.join(', ')
  const key = `${table} ${names}`
  let insert = inserts.get(key)
  if (!insert) {
    insert = fixedStatement(`insert into ${table} (${names}) values (${columns.map(() => '?').join(', ')})`)
    inserts.set(key, insert)
  }
  await insert(tx, ...Object.values(row))
}

/** PostgreSQL's way of naming parameters: $1, $2, ... */
export function withNumbers(text: string): string {
  let number = 0
  return text.replaceAll('?', () => `$${String(++number)}`)
}
