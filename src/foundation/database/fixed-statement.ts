import { CompiledQuery, PostgresAdapter, type Kysely } from 'kysely'
import type { Tables } from './tables.ts'

type Run<Row> = (reader: Kysely<Tables>, ...parameters: readonly unknown[]) => Promise<Row[]>

/**
 * A statement of the hot path, whose text is always the same: nothing is put together when it runs. `?` stands for a parameter, so
 * it must not stand in a literal. Written out, it must be right for SQLite and PostgreSQL.
 */
export function fixedStatement<Row = never>(text: string): Run<Row> {
  const numbered = withNumbers(text)
  return async (reader, ...parameters) => {
    const sql = reader.getExecutor().adapter instanceof PostgresAdapter ? numbered : text
    const { rows } = await reader.executeQuery<Row>(CompiledQuery.raw(sql, [...parameters]))
    return rows
  }
}

/** PostgreSQL's way of naming parameters: $1, $2, ... */
export function withNumbers(text: string): string {
  let number = 0
  return text.replaceAll('?', () => `$${String(++number)}`)
}
