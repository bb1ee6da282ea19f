import { Kysely, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, type CompiledQuery } from 'kysely'
import type { PowerTable, Tables } from '../../src/foundation/database/tables.ts'

type Row = Readonly<Record<string, unknown>> & { readonly id: string }

/**
 * Rows in memory, answering "this row" and "all rows of the table", which is all that a snapshot asks for. A thousand times
 * faster than a store, for tests of what is made of rows.
 */
export function rowShelf() {
  const tables = new Map<string, Map<string, Row>>()
  const shelf = (table: string): Map<string, Row> => {
    const found = tables.get(table) ?? new Map<string, Row>()
    tables.set(table, found)
    return found
  }
  const answer = ({ sql, parameters }: CompiledQuery): Row[] => {
    const table = /^select .* from "(\w+)"/.exec(sql)?.[1]
    if (table === undefined) return []
    if (!sql.includes('"id" = ?')) return [...shelf(table).values()]
    const row = shelf(table).get(String(parameters[0]))
    return row ? [row] : []
  }
  const connection = {
    executeQuery: <R>(query: CompiledQuery) => Promise.resolve({ rows: answer(query) as R[] }),
    streamQuery: () => {
      throw new Error('a shelf streams nothing')
    },
  }
  const nothing = (): Promise<void> => Promise.resolve()
  const reads = new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createQueryCompiler: () => new SqliteQueryCompiler(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createDriver: () => ({
        ...{ init: nothing, destroy: nothing, releaseConnection: nothing },
        ...{ beginTransaction: nothing, commitTransaction: nothing, rollbackTransaction: nothing },
        acquireConnection: () => Promise.resolve(connection),
      }),
    },
  })
  return {
    reads,
    put: <T extends PowerTable>(table: T, row: Tables[T]): void => void shelf(table).set(row.id, { ...row }),
  }
}
