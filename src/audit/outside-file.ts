import { createReadStream, closeSync, fstatSync, fsyncSync, lstatSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname, resolve, sep } from 'node:path'
import { createInterface } from 'node:readline'
import { ensurePrivateFile } from '../foundation/database/private-files.ts'
import { Refused } from '../foundation/errors.ts'

// The anchor file: each checkpoint as one line of JSON, `{"ordinal":N,"note":"..."}`, only ever appended. It lives outside the
// database's folder, best on another disk or pulled away by a backup, so that who takes the one does not have the other.

export interface OutsideEntry {
  readonly ordinal: number
  readonly note: string
}

export interface OutsideFile {
  readonly path: string
  /** The last whole line; null when there is none. */
  last(): OutsideEntry | null
  /** Synced to the disk when it returns. */
  append(entries: readonly OutsideEntry[]): void
}

/** Reads this much from the end to find the last line. A note may take 4 MiB. */
const TAIL_BYTES = 9 * 1024 * 1024
const LONGEST_LINE = 8 * 1024 * 1024

/** Errors: Refused('malformed') when `path` is inside the database's folder; 'store_unavailable' for unsafe modes. */
export function openOutsideFile(path: string, databasePath: string): OutsideFile {
  if (resolve(path).startsWith(dirname(resolve(databasePath)) + sep)) {
    throw new Refused(
      'malformed',
      `the checkpoint file ${path} must not be in the database's folder`,
      'whoever exchanges that folder would exchange the proof with it; name another one',
    )
  }
  ensurePrivateFile(path)
  return { path, last: () => lastEntry(path), append: (entries) => appendEntries(path, entries) }
}

/** Every whole line from the first. A line that is no entry comes as null: it was cut by a crash, or somebody edited it. */
export async function* readOutsideFile(path: string): AsyncGenerator<OutsideEntry | null> {
  const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) if (line !== '') yield parseEntry(line)
}

function lastEntry(path: string): OutsideEntry | null {
  const fd = openSync(path, 'r')
  try {
    const size = fstatSync(fd).size
    const bytes = Buffer.alloc(Math.min(size, TAIL_BYTES))
    readSync(fd, bytes, 0, bytes.length, size - bytes.length)
    const lines = bytes.toString().split('\n').toReversed()
    for (const line of lines) {
      const entry = parseEntry(line)
      if (entry) return entry
    }
    return null
  } finally {
    closeSync(fd)
  }
}

function appendEntries(path: string, entries: readonly OutsideEntry[]): void {
  const isNew = lstatSync(path).size === 0
  const fd = openSync(path, 'a+')
  try {
    // A line that a crash cut short must not swallow the next one.
    const repair = endsInLine(fd) ? '' : '\n'
    const bytes = Buffer.from(repair + entries.map((entry) => `${JSON.stringify(entry)}\n`).join(''))
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  if (isNew) syncFolder(dirname(path))
}

function endsInLine(fd: number): boolean {
  const size = fstatSync(fd).size
  if (size === 0) return true
  const last = Buffer.alloc(1)
  readSync(fd, last, 0, 1, size - 1)
  return last[0] === 0x0a
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  fsyncSync(fd)
  closeSync(fd)
}

function parseEntry(line: string): OutsideEntry | null {
  if (line === '' || line.length > LONGEST_LINE) return null
  try {
    const value = JSON.parse(line) as { ordinal?: unknown; note?: unknown }
    if (!Number.isSafeInteger(value.ordinal) || typeof value.note !== 'string') return null
    return { ordinal: value.ordinal as number, note: value.note }
  } catch {
    return null
  }
}
