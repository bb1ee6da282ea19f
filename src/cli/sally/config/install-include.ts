import { chmod, copyFile, lstat, mkdir, readFile, realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeFileAtomically } from '../../shared/write-file-atomically.ts'

const MARK = '# Added by sally config --install; remove both lines to undo.'

/**
 * Puts one Include on top of the person's ssh_config: behind a `Host` line it would count for that host only. Does
 * nothing when it is there. The file as it was stays beside it as `config.before-sally`. Returns whether it was changed.
 */
export async function installInclude(sshConfig: string, included: string): Promise<boolean> {
  const line = `Include "${included}"`
  // A link (dotfiles in a repository) stays a link: its target is changed.
  const path = await realpath(sshConfig).catch(() => sshConfig)
  const before = await readOrNull(path)
  if (before !== null && firstSettings(before).includes(line)) return false
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  let mode = 0o600
  if (before !== null) {
    mode = (await lstat(path)).mode & 0o777
    await copyFile(path, `${path}.before-sally`)
    await chmod(`${path}.before-sally`, mode)
  }
  await writeFileAtomically(path, `${MARK}\n${line}\n\n${before ?? ''}`, mode)
  return true
}

/** Lines before the first Host or Match. */
function firstSettings(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim())
  const end = lines.findIndex((line) => /^(host|match)\b/i.test(line))
  return end === -1 ? lines : lines.slice(0, end)
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
