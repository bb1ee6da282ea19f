import type { DatabaseSync } from 'node:sqlite'
import { fixedStatement } from './fixed-statement.ts'
import type { TouchedRow } from './open-database.ts'
import { POWER_TABLES } from './tables.ts'
import type { Tx } from './tx.ts'

/**
 * Notes on this connection every power row that a statement writes or removes, so that a commit can be refused when no event
 * names it, or when it was not what its last event says. Temporary triggers: nobody who edits the file can drop them. Writing
 * `event_id` alone is not noted. Not `insert or ignore`: the ON CONFLICT of the outer statement would override it.
 */
export function watchPowerRows(database: DatabaseSync): void {
  database.exec(
    'create temp table touched_rows (table_name text not null, row_id text not null, before_json text, primary key (table_name, row_id))',
  )
  for (const table of POWER_TABLES) {
    const columns = database
      .prepare(`select name from pragma_table_info('${table}') where name <> 'event_id'`)
      .all()
      .map((row) => String(row['name']))
    const old = `json_object(${columns.map((name) => `'${name}', old.${name}`).join(', ')})`
    const noted = (row: 'old' | 'new', before: string, only = ''): string => `
      insert into touched_rows select '${table}', ${row}.id, ${before} where ${only} not exists (
        select 1 from touched_rows where table_name = '${table}' and row_id = ${row}.id
      );`
    database.exec(`
      create temp trigger touched_${table}_insert after insert on main.${table} begin ${noted('new', 'null')} end;
      create temp trigger touched_${table}_update after update of ${columns.join(', ')} on main.${table} begin
        ${noted('old', old)} ${noted('new', 'null', 'new.id <> old.id and')} end;
      create temp trigger touched_${table}_delete after delete on main.${table} begin ${noted('old', old)} end`)
  }
}

const readTouched = fixedStatement<{ table_name: string; row_id: string; before_json: string | null }>(
  'select * from temp.touched_rows',
)
const deleteTouched = fixedStatement('delete from temp.touched_rows')

/** What `tx` has touched and no event names yet, each as it was before its first touch. */
export async function touchedRows(tx: Tx): Promise<readonly TouchedRow[]> {
  return (await readTouched(tx)).map(({ table_name: table, row_id: id, before_json: before }) => ({
    table,
    id,
    before: before === null ? null : (JSON.parse(before) as Readonly<Record<string, unknown>>),
  }))
}

/** All of them are named now. */
export async function forgetTouchedRows(tx: Tx): Promise<void> {
  await deleteTouched(tx)
}
