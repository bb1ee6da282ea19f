import type { DatabaseSync } from 'node:sqlite'
import { POWER_TABLES } from './tables.ts'

/**
 * Notes on this connection every power row that a statement writes or removes, so that a commit can be refused when no event
 * names it. Temporary triggers: nobody who edits the file can drop them. Writing `event_id` alone is not noted. Not
 * `insert or ignore`: the ON CONFLICT of the outer statement would override it.
 */
export function watchPowerRows(database: DatabaseSync): void {
  database.exec(
    'create temp table touched_rows (table_name text not null, row_id text not null, primary key (table_name, row_id))',
  )
  for (const table of POWER_TABLES) {
    const columns = database
      .prepare(`select name from pragma_table_info('${table}') where name <> 'event_id'`)
      .all()
      .map((row) => String(row['name']))
    for (const [name, when, row] of [
      ['insert', 'insert', 'new'],
      ['update', `update of ${columns.join(', ')}`, 'new'],
      ['rename', 'update of id', 'old'],
      ['delete', 'delete', 'old'],
    ] as const) {
      database.exec(`
        create temp trigger touched_${table}_${name} after ${when} on main.${table} begin
          insert into touched_rows select '${table}', ${row}.id where not exists (
            select 1 from touched_rows where table_name = '${table}' and row_id = ${row}.id
          );
        end`)
    }
  }
}
