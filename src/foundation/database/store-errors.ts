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
const UNIQUE = new Set([2067, 1555])

/** Why the store cannot take a deed now, in a sentence; null when the error is about something else. */
export function storeTrouble(error: unknown): string | null {
  if (!(error instanceof Error)) return null
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: unknown }
  if (code === 'ERR_INVALID_STATE') return 'the database is closed'
  if (code !== 'ERR_SQLITE_ERROR' || typeof errcode !== 'number') return null
  return UNAVAILABLE.get(errcode & 0xff) ?? null
}

/** A unique index or primary key refused a row: somebody else was first. */
export function isUniqueViolation(error: unknown): boolean {
  const { code, errcode } = (error instanceof Error ? error : {}) as { code?: unknown; errcode?: unknown }
  return code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number' && UNIQUE.has(errcode)
}
