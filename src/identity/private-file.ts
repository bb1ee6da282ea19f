import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Creates the file with mode 0600 whatever the umask, and syncs it and its folder. Throws EEXIST when it is there. */
export function createPrivateFile(path: string, content: Uint8Array): void {
  const fd = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600)
  try {
    fchmodSync(fd, 0o600)
    writeSync(fd, content)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/**
 * Reads at most `limit` bytes of a regular file that nobody but its owner (we, or root) can read.
 * Returns null when there is none; throws when it is a link, somebody else's, open to others, or longer.
 */
export function readPrivateFile(path: string, limit: number): Buffer | null {
  let fd: number
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const stat = fstatSync(fd)
    if (!stat.isFile()) throw new Error(`${path} is not a regular file`)
    if (stat.uid !== process.getuid?.() && stat.uid !== 0) throw new Error(`${path} belongs to another user`)
    if ((stat.mode & 0o077) !== 0) throw new Error(`${path} is open to others; run: chmod 600 ${path}`)
    if (stat.size > limit) throw new Error(`${path} is longer than ${limit} bytes`)
    const content = Buffer.alloc(stat.size)
    return content.subarray(0, readSync(fd, content, 0, stat.size, 0))
  } finally {
    closeSync(fd)
  }
}
