import { access, constants, readFile } from 'node:fs/promises'
import { verifyAudit } from '../audit/verify/verify-audit.ts'
import type { OfflineFiles, OfflineVerdict } from '../cli/shared/command-context.ts'
import { CommandFailed } from '../cli/shared/command-failed.ts'
import { verifySessionFileIn } from './verify-session-file.ts'

/** Verifies a database file with what is kept outside of it; no daemon, no configuration. */
export async function verifyOffline(files: OfflineFiles): Promise<OfflineVerdict> {
  await mustBeReadable(files.database)
  const { trust, checkpoints, recordings } = files
  if (checkpoints !== null) await mustBeReadable(checkpoints)
  return verifyAudit({
    database: files.database,
    trusted: trust === null ? [] : publicKeys(await readKeys(trust), trust),
    outside: checkpoints,
    checkFile: true,
    ...(recordings === null ? {} : { sessionFile: verifySessionFileIn(recordings) }),
  })
}

/** The file may hold several keys: authorities are rotated. */
function publicKeys(pem: string, file: string): string[] {
  const keys = pem.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g)
  if (keys === null)
    throw new CommandFailed('usage', `${file} holds no public key in PEM`, 'Run: sallyctl ca export --kind=checkpoint')
  return keys
}

async function readKeys(file: string): Promise<string> {
  await mustBeReadable(file)
  return readFile(file, 'utf8')
}

/** A file that is not there is a slip of the command line, and never "altered". */
async function mustBeReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK)
  } catch (error) {
    throw new CommandFailed('usage', `${file} cannot be read: ${(error as Error).message}`)
  }
}
