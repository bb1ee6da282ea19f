// Primary result codes of SQLite (sqlite.org/rescode.html); an extended code holds its primary one in the low byte.
const UNAVAILABLE: ReadonlyMap<number, string> = new Map([
  [3, 'access to the file was refused'],
  [5, 'another process holds the write lock'],
  [6, 'a table is locked'],
  [7, 'out of memory'],
  [8, 'the file is read-only'],
  [10, 'reading or writing the disk failed'],
  [11, 'the file is damaged'],
  [13, 'the disk is full'],
  [14, 'the file cannot be opened'],
  [15, 'the file lock protocol failed'],
  [26, 'the file is not a database'],
])
// SQLSTATE of PostgreSQL (appendix A of its manual): whole codes, then classes.
const SQL_STATES: readonly (readonly [RegExp, string])[] = [
  [/^53100$/, 'the disk of the database server is full'],
  [/^53200$/, 'the database server is out of memory'],
  [/^53300$/, 'the database server has no connection left'],
  [/^(08...|57P0[1-5])$/, 'the database server ended the connection'],
  [/^(57014|55P03)$/, 'the database server did not answer in time'],
  [/^25P03$/, 'the database server ended a transaction that stood still'],
  [/^25006$/, 'the database server only reads: it is a standby, or was told to'],
  [/^(40001|40P01|40003)$/, 'the database server gave the transaction up'],
  [/^(53|58)...$/, 'the database server lacks what it needs'],
  [/^XX00[12]$/, 'the database is damaged'],
  [/^(28...|42501)$/, 'the database server refuses the access'],
  [/^(3D000|3F000|42P01)$/, 'the database, its schema or a table is missing'],
]
const UNIQUE = new Set([2067, 1555])

/** Why the store cannot take a deed now, in a sentence; null when the error is about something else. */
export function storeTrouble(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  if (error.name === 'StoreUnreachable') return error.message
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: unknown }
  if (code === 'ERR_INVALID_STATE') return 'the database is closed'
  if (isSqlState(error, code)) return SQL_STATES.find(([states]) => states.test(code))?.[1] ?? null
  if (code !== 'ERR_SQLITE_ERROR' || typeof errcode !== 'number') return null
  return UNAVAILABLE.get(errcode & 0xff) ?? null
}

/** A unique index or primary key refused a row: somebody else was first. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errcode } = (error instanceof Error ? error : {}) as { code?: unknown; errcode?: unknown }
  if (isSqlState(error, code)) return code === '23505'
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' && UNIQUE.has(errcode)
}

/** Of PostgreSQL's own errors; `EPIPE` and its like come from sockets and files. */
function isSqlState(error: unknown, code: unknown): code is string {
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && error instanceof Error && 'severity' in error
}
