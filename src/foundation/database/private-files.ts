import { closeSync, lstatSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'
import { Refused } from '../errors.ts'

/** Makes `folder` (0700) or checks that an existing one is a real folder, ours, and closed to group and others. */
export function ensurePrivateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const found = lstatSync(folder)
  if (!found.isDirectory()) throw unsafe(folder, 'is not a folder (links are not followed)')
  if (found.uid !== process.getuid?.()) throw unsafe(folder, 'belongs to another user')
  if ((found.mode & 0o077) !== 0) throw unsafe(folder, 'is open to group or others', `chmod 700 ${folder}`)
}

/** Makes `file` (0600) in a private folder, or checks an existing one likewise. SQLite gives its side files the same mode. */
export function ensurePrivateFile(file: string): void {
  ensurePrivateFolder(dirname(file))
  try {
    closeSync(openSync(file, 'wx', 0o600))
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const found = lstatSync(file)
  if (!found.isFile()) throw unsafe(file, 'is not a plain file (links are not followed)')
  if (found.uid !== process.getuid?.()) throw unsafe(file, 'belongs to another user')
  if ((found.mode & 0o077) !== 0) throw unsafe(file, 'is open to group or others', `chmod 600 ${file}`)
}

function unsafe(path: string, why: string, hint?: string): Refused {
  return new Refused('store_unavailable', `${path} ${why}`, hint)
}
