import { mkdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CommandFailed } from '../../shared/command-failed.ts'
import { writeFileAtomically } from '../../shared/write-file-atomically.ts'
import type { Edited, FileText } from './managed-block.ts'

const LONGEST_FILE = 1_048_576

/**
 * Changes a file of the person's own: its mode stays, a link stays a link and what it points to is changed. Nothing is
 * written where nothing changes. Returns whether it was changed.
 */
export async function editOwnFile(path: string, edit: (text: FileText) => Edited): Promise<boolean> {
  const target = await realpath(path).catch(() => path)
  const before = await read(target)
  const edited = edit(before?.text ?? '')
  if (!edited.ok)
    throw new CommandFailed(
      'conflict',
      `${path} holds half of a block of ours`,
      'Remove the lines that begin with "# >>> sally" and "# <<< sally" and what is between them.',
    )
  if (edited.text === (before?.text ?? '')) return false
  if (before === null) await mkdir(dirname(target), { recursive: true, mode: 0o700 })
  await writeFileAtomically(target, Buffer.from(edited.text, 'latin1'), before?.mode ?? 0o600)
  return true
}

/** Null: not there. */
export async function readOwnFile(path: string): Promise<FileText | null> {
  return (await read(path))?.text ?? null
}

async function read(path: string): Promise<{ text: FileText; mode: number } | null> {
  try {
    const { mode, size } = await stat(path)
    if (size > LONGEST_FILE) throw new CommandFailed('failed', `${path} is longer than 1 MiB`)
    return { text: (await readFile(path)).toString('latin1'), mode: mode & 0o777 }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
