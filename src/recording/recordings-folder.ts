import { lstat, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { Refused } from '../foundation/errors.ts'
import { isId } from '../foundation/ids.ts'

// One file per session, <folder>/<session id>.rec, 0600 in a folder of 0700.

/** The file name of a session's recording, as its row keeps it. */
export function recordingFile(session: string): string {
  return `${session}.rec`
}

/** Errors: Refused('recording_unavailable') when the row's file name is not one of ours. */
export function recordingPath(folder: string, file: string): string {
  if (!file.endsWith('.rec') || !isId('session', file.slice(0, -4))) {
    throw new Refused('recording_unavailable', 'The session names no recording file.')
  }
  return join(folder, file)
}

/** Makes the folder, or checks that nobody else reads or writes in it. */
export async function prepareRecordingsFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const found = await lstat(folder)
  const isOurs = process.getuid === undefined || found.uid === process.getuid()
  if (found.isDirectory() && isOurs && (found.mode & 0o077) === 0) return
  throw new Refused(
    'recording_unavailable',
    `The recordings folder ${folder} must be a folder of the daemon's user with mode 0700.`,
    `chmod 0700 ${folder}`,
  )
}
