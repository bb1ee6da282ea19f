import { readFileSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { Refused } from '../errors.ts'
import { ensurePrivateFile } from './private-files.ts'

export interface StoreLock {
  release(): void
}

/**
 * Refuses a second daemon on the same store. The lock is SQLite's own exclusive file lock on a small database that is never
 * written: the kernel drops it with the process, so there is no stale one to be recognised. `<file>.pid` is for people only.
 */
export function takeStoreLock(file: string): StoreLock {
  ensurePrivateFile(file)
  const database = new DatabaseSync(file, { timeout: 0 })
  try {
    database.exec('pragma locking_mode = exclusive; begin exclusive')
  } catch (error) {
    database.close()
    throw new Refused(
      'in_use',
      `another Sallyport daemon${holder(file)} has this data folder open`,
      'stop it first, or give this one a data folder of its own',
      { cause: error instanceof Error ? error.message : String(error) },
    )
  }
  writeFileSync(`${file}.pid`, `${String(process.pid)}\n`, { mode: 0o600 })
  return { release: () => database.close() }
}

function holder(file: string): string {
  try {
    return ` (process ${String(Number.parseInt(readFileSync(`${file}.pid`, 'utf8'), 10))})`
  } catch {
    return ''
  }
}
