import { readFileSync } from 'node:fs'
import { access, constants, readFile } from 'node:fs/promises'
import { verifyAudit } from '../audit/verify/verify-audit.ts'
import type { OfflineFiles, OfflineVerdict } from '../cli/shared/command-context.ts'
import { CommandFailed } from '../cli/shared/command-failed.ts'
import type { PostgresSettings } from '../foundation/database/postgres/postgres-settings.ts'
import { parseStorageUrl, staysOnMachine } from '../foundation/storage-url.ts'
import { openSourceOf } from './open-source.ts'
import { verifySessionFileIn } from './verify-session-file.ts'

const DEADLINES = { connectTimeoutMs: 10_000, statementTimeoutMs: 60_000, connections: 1 } as const

/** Verifies a database file, or a PostgreSQL store by its URL, with what is kept outside of it; no daemon, no configuration. */
export async function verifyOffline(files: OfflineFiles): Promise<OfflineVerdict> {
  const postgres = serverOf(files.database)
  if (postgres === null) await mustBeReadable(files.database)
  const { trust, checkpoints, recordings } = files
  if (checkpoints !== null) await mustBeReadable(checkpoints)
  return verifyAudit({
    database: files.database,
    ...openSourceOf(postgres),
    trusted: trust === null ? [] : publicKeys(await readKeys(trust), trust),
    outside: checkpoints,
    checkFile: true,
    ...(recordings === null ? {} : { sessionFile: verifySessionFileIn(recordings) }),
  })
}

/** null: it is a file. The password comes from SALLYPORT_DATABASE_PASSWORD, an authority's file from SALLYPORT_DATABASE_CA. */
function serverOf(database: string): PostgresSettings | null {
  if (!/^postgres(ql)?:\/\//.test(database)) return null
  const parsed = parseStorageUrl(database)
  if (!parsed.ok) throw new CommandFailed('usage', `--database: ${parsed.message}`)
  const { SALLYPORT_DATABASE_PASSWORD: password, SALLYPORT_DATABASE_CA: ca } = process.env
  const tls = staysOnMachine(parsed.url) ? null : { ca: ca ? readFileSync(ca, 'utf8') : null, cert: null, key: null }
  return { ...parsed.url, password: password ?? null, tls, ...DEADLINES }
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
