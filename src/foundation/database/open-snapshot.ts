import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite'
import { pathToFileURL } from 'node:url'

export type SnapshotRow = Readonly<Record<string, SQLOutputValue>>

/** One unmoving state of a store, for reading it whole beside daemons that go on writing. Parameters are written `?`. */
export interface Snapshot {
  rows(sql: string, ...parameters: SQLInputValue[]): AsyncIterable<SnapshotRow>
  get(sql: string, ...parameters: SQLInputValue[]): Promise<SnapshotRow | undefined>
  /** What the schema holds that Sallyport never made, as `trigger NAME` */
  foreignObjects(): Promise<readonly string[]>
  /** What the database says about its own files; empty = whole */
  damage(): Promise<readonly string[]>
  close(): Promise<void>
}

/** Opens a store's file read-only, also a copy of it on a read-only disk. Errors: those of SQLite, for `storeTrouble`. */
export function openSnapshot(path: string): Snapshot {
  const database = openReadOnly(path)
  database.exec('pragma trusted_schema = off; pragma query_only = on; pragma mmap_size = 0; begin')
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  return {
    async *rows(sql, ...parameters) {
      yield* database.prepare(sql).iterate(...parameters)
    },
    async get(sql, ...parameters) {
      const statement = statements.get(sql) ?? database.prepare(sql)
      statements.set(sql, statement)
      return statement.get(...parameters)
    },
    async foreignObjects() {
      const found = database.prepare("select type, name from sqlite_schema where type in ('trigger', 'view')").all()
      return found.map((row) => `${String(row['type'])} ${String(row['name'])}`)
    },
    async damage() {
      const found = database.prepare('pragma integrity_check').all()
      return found.map((row) => String(Object.values(row)[0])).filter((line) => line !== 'ok')
    },
    close: async () => database.close(),
  }
}

function openReadOnly(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { readOnly: true, timeout: 500, defensive: true })
  try {
    database.prepare('select count(*) from sqlite_schema').get()
    return database
  } catch (error) {
    database.close()
    // Without its -shm file, and where none can be made, SQLite reads a WAL database only as one that nobody writes.
    const { errcode } = error as { errcode?: number }
    if (errcode === undefined || ![8, 10, 14].includes(errcode & 0xff)) throw error
    return new DatabaseSync(new URL(`${pathToFileURL(path).href}?immutable=1`), { readOnly: true })
  }
}
