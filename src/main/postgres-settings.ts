import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PostgresStorage } from '../foundation/config.ts'
import type { PostgresSettings } from '../foundation/database/postgres/postgres-settings.ts'
import { Refused } from '../foundation/errors.ts'
import { readPrivateFile } from '../identity/private-file.ts'

type Env = Readonly<Record<string, string | undefined>>
const LONGEST_PASSWORD = 4096

/** The storage with its secrets read. Errors: Refused('store_unavailable') naming what is missing or open to others. */
export function postgresSettings(storage: PostgresStorage, env: Env): PostgresSettings {
  const { host, port, user, database, connectTimeoutMs, statementTimeoutMs, connections, tls } = storage
  return {
    ...{ host, port, user, database, connectTimeoutMs, statementTimeoutMs, connections },
    password: storage.password === null ? null : readPassword(storage.password, env),
    tls: tls && {
      ca: tls.ca === null ? null : readText(tls.ca),
      cert: tls.cert === null ? null : readText(tls.cert),
      key: tls.key === null ? null : readSecret(tls.key),
    },
  }
}

/** `source` is file:PATH, env:NAME or credential:NAME. */
function readPassword(source: string, env: Env): string {
  const at = source.indexOf(':')
  const [kind, name] = [source.slice(0, at), source.slice(at + 1)]
  if (kind === 'file') return readSecret(name)
  if (kind === 'credential') {
    const folder = env['CREDENTIALS_DIRECTORY']
    if (!folder) throw missing('postgres.password is credential:, but systemd gave no CREDENTIALS_DIRECTORY')
    return readSecret(join(folder, name))
  }
  const password = env[name]
  if (!password) throw missing(`the environment has no ${name}, which postgres.password names`)
  return password
}

function readSecret(path: string): string {
  const found = readPrivateFile(path, LONGEST_PASSWORD * 4)
  if (!found) throw missing(`${path} is missing`)
  return found.toString('utf8').replace(/\r?\n$/, '')
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw missing(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
  }
}

const missing = (what: string): Refused => new Refused('store_unavailable', what)
