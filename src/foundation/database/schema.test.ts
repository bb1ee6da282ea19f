import { readFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { migrate } from './migrations/migrations.ts'
import { POWER_TABLES } from './tables.ts'

/** `table -> columns with ? where null is allowed`, as tables.ts says. */
function told(): Record<string, string[]> {
  const read = (file: string): string => readFileSync(new URL(file, import.meta.url), 'utf8')
  const source = read('integration-tables.ts') + read('tables.ts')
  const columns = new Map<string, string[]>()
  for (const [, name = '', base, body = ''] of source.matchAll(
    /interface (\w+Table)( extends PowerRow)? \{\n([\s\S]*?)\n\}/g,
  )) {
    const found = [...body.matchAll(/^ {2}(\w+): (.*)$/gm)].map(([, column, type]) =>
      /\bnull\b/.test(type ?? '') ? `${String(column)}?` : String(column),
    )
    columns.set(name, [...(base ? ['id', 'event_id'] : []), ...found].toSorted())
  }
  const list = source.slice(source.indexOf('export interface Tables {'))
  const tables = [...list.matchAll(/^ {2}(\w+): (\w+Table)$/gm)]
  return Object.fromEntries(tables.map(([, table = '', type = '']) => [table, columns.get(type) ?? []]))
}

function made(): Record<string, string[]> {
  const database = new DatabaseSync(':memory:')
  migrate(database, 1)
  const names = database.prepare("select name from sqlite_schema where type = 'table' and name <> 'schema_steps'").all()
  return Object.fromEntries(
    names.map(({ name }) => [
      String(name),
      database
        .prepare(`select name, "notnull" as strict, pk from pragma_table_info('${String(name)}')`)
        .all()
        .map((column) => `${String(column['name'])}${column['strict'] === 1 || column['pk'] !== 0 ? '' : '?'}`)
        .toSorted(),
    ]),
  )
}

it('the migrations make exactly the tables and columns that tables.ts tells of', () => {
  expect(made()).toEqual(told())
})

it('every table whose rows are bound to events is a power table', () => {
  const bound = Object.entries(told()).filter(([, columns]) => columns.includes('event_id'))
  expect(bound.map(([table]) => table).toSorted()).toEqual([...POWER_TABLES].toSorted())
})
