import { readFileSync } from 'node:fs'
import { isAbsolute, resolve, dirname } from 'node:path'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { parseDuration } from '../contract/duration.ts'
import { nearest } from '../formats/nearest.ts'
import { parseStorageUrl, staysOnMachine, type StorageUrl } from './storage-url.ts'

/** A configuration that must not be used; `problems` has a line for each fault. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]
  constructor(file: string, problems: readonly string[]) {
    super(`${file}:\n${problems.map((problem) => `  ${problem}`).join('\n')}`)
    this.problems = problems
  }
}

const Duration = z.string().transform((text, context) => {
  const parsed = parseDuration(text)
  if (parsed.ok) return parsed.ms
  context.addIssue({ code: 'custom', message: parsed.message })
  return z.NEVER
})

const HOST_PORT = /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/
const WEB_ADDRESS = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/
const HostPort = z.string().transform((text, context) => {
  const match = HOST_PORT.exec(text)
  const port = Number(match?.[3])
  if (!match || port > 65535) {
    context.addIssue({ code: 'custom', message: `"${text.slice(0, 60)}" is not HOST:PORT` })
    return z.NEVER
  }
  return { host: match[1] ?? match[2] ?? '', port }
})

const Storage = z.string().transform((text, context) => {
  const parsed = parseStorageUrl(text)
  if (parsed.ok) return parsed.url
  context.addIssue({ code: 'custom', message: parsed.message })
  return z.NEVER
})

const Secret = z
  .string()
  .regex(
    /^(file:.+|env:[A-Za-z_][A-Za-z0-9_]*|credential:[A-Za-z0-9._-]+)$/,
    'write file:PATH, env:NAME or credential:NAME',
  )

const KeyEncryption = z
  .string()
  .regex(/^(file:.+|credential:[A-Za-z0-9._-]+|passphrase)$/, 'write file:PATH, credential:NAME or passphrase')

// Each key's description is its documentation: docs/configuration.md is made from it.
const shape = z.strictObject({
  data_dir: z
    .string()
    .min(1)
    .describe('Folder of the database, the admin socket and, by default, the recordings. Made with mode 0700.'),
  storage: Storage.optional().describe(
    'postgres://USER@HOST:PORT/DATABASE, for several daemons on one store (docs/several-instances.md). Default: SQLite in data_dir.',
  ),
  postgres: z
    .strictObject({
      password: Secret.optional().describe('Where the password comes from: file:PATH, env:NAME or credential:NAME.'),
      tls: z
        .enum(['verify', 'off'])
        .optional()
        .describe(
          "verify: encrypted, the server's certificate and name checked. Default: verify; off on a Unix socket and the loopback, where alone it is allowed.",
        ),
      ca: z
        .string()
        .optional()
        .describe("File of the authorities that sign the server's certificate. Default: the system's."),
      cert: z.string().optional().describe('File of a client certificate.'),
      key: z.string().optional().describe('File of its key.'),
      connect_timeout: Duration.default(5000).describe('Deadline of a new connection.'),
      statement_timeout: Duration.default(10_000).describe(
        'Deadline of a statement, waiting for the write lock included.',
      ),
      connections: z
        .int()
        .min(1)
        .max(100)
        .default(10)
        .describe('Connections for reading; three more are for the rest.'),
    })
    .prefault({})
    .describe('How the server in `storage` is reached.'),
  listen: HostPort.default({ host: '127.0.0.1', port: 3022 }).describe('Address of the one port: HTTPS and SSH.'),
  mysql: z
    .strictObject({
      listen: HostPort.optional().describe(
        'Address for MySQL and MariaDB clients, which need a port of their own: their server speaks first. Default: none.',
      ),
      server_version: z
        .string()
        .regex(/^[\x21-\x7e]{1,80}$/)
        .default('5.5.5-10.11.0-MariaDB-sallyport')
        .describe(
          'What these clients are greeted with before it is known where they want to go. With MariaDB in it they are offered mysql_native_password, else caching_sha2_password (8.0.36, for MySQL servers).',
        ),
    })
    .prefault({})
    .describe('The port for MySQL and MariaDB.'),
  public_address: z
    .string()
    .regex(HOST_PORT, 'write HOST:PORT')
    .optional()
    .describe('HOST:PORT that clients reach. Default: the listening address.'),
  web: z
    .strictObject({
      address: z
        .string()
        .regex(WEB_ADDRESS, 'write HOST or HOST:PORT')
        .optional()
        .describe(
          'HOST or HOST:PORT (443 when left out) under which browsers and the callbacks of chat products reach the daemon: in links of messages. Default: public_address.',
        ),
      cert: z
        .string()
        .optional()
        .describe(
          "File of a certificate that browsers trust, PEM, with its chain: shown to who connects by one of its names, but not to Sallyport's own programs. Read again when it changes. Default: the installation's own authority signs.",
        ),
      key: z.string().optional().describe('File of its key.'),
    })
    .prefault({})
    .describe('How browsers and vendors reach the daemon; see docs/web-access.md.'),
  proxy_name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.-]{0,252}$/)
    .default('sallyport')
    .describe('Name in the host and TLS certificates; ssh_config uses it as HostKeyAlias.'),
  workers: z.int().min(1).max(64).default(1).describe('Relay worker processes.'),
  key_encryption: KeyEncryption.optional().describe(
    'Where the key that seals secrets comes from: file:PATH (default: a file beside the data folder), credential:NAME (systemd), passphrase.',
  ),
  checkpoint_file: z
    .string()
    .optional()
    .describe(
      'File outside the database that gets each signed checkpoint. Default: DATA_DIR-checkpoints/checkpoints.jsonl, beside the data folder.',
    ),
  recordings_dir: z.string().optional().describe('Folder of the session recordings. Default: DATA_DIR/recordings.'),
  policies: z
    .string()
    .min(1)
    .optional()
    .describe('Folder of policy files (*.ts), approval logic as code; see docs/policies.md. Default: none.'),
  login_ttl: Duration.default(12 * 3_600_000).describe('Life of a login session.'),
  offline_grace: Duration.default(60_000).describe(
    'How long live sessions outlive a control process or store that does not answer.',
  ),
  login_grace: Duration.default(30_000).describe('How long an SSH connection may take to sign in.'),
  ask_wait: Duration.default(900_000).describe(
    'How long a refused connection (ssh, PostgreSQL) that asked for access may wait for the decision (role option request_on_denied).',
  ),
  shutdown_grace: Duration.default(10_000).describe('How long live sessions get after SIGTERM once they were told.'),
  limits: z
    .strictObject({
      connections: z.int().min(1).max(100_000).default(4096).describe('Connections per worker.'),
      unauthenticated: z
        .int()
        .min(1)
        .max(100_000)
        .default(256)
        .describe('Connections that have not signed in, per worker.'),
      unauthenticated_per_address: z.int().min(1).max(100_000).default(64).describe('The same, per address.'),
      forged_callbacks_per_address: z
        .int()
        .min(1)
        .max(100_000)
        .default(100)
        .describe(
          'Callbacks of a vendor within a minute that are not authentic, per address and integration; more are answered 429. Authentic ones are not counted.',
        ),
      channels_per_connection: z.int().min(1).max(1000).default(100).describe('Open SSH channels on one connection.'),
      waiting: z
        .int()
        .min(1)
        .max(10_000)
        .default(100)
        .describe('Refused connections that wait for access they asked for.'),
      waiting_per_user: z.int().min(1).max(1000).default(3).describe('The same, per user.'),
    })
    .prefault({})
    .describe('Caps that keep one client from starving the others.'),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Least level that is logged.'),
    })
    .prefault({})
    .describe('JSON lines on stderr.'),
})

export const configShape = shape

/** Where a PostgreSQL store is and how it is reached. `password` says where the secret is, not what it is. */
export interface PostgresStorage extends StorageUrl {
  readonly password: string | null
  readonly tls: { readonly ca: string | null; readonly cert: string | null; readonly key: string | null } | null
  readonly connectTimeoutMs: number
  readonly statementTimeoutMs: number
  readonly connections: number
}

export interface Config {
  readonly dataDir: string
  /** null: SQLite in the data folder */
  readonly storage: PostgresStorage | null
  readonly listen: { readonly host: string; readonly port: number }
  readonly mysql: {
    /** null: no MySQL */
    readonly listen: { readonly host: string; readonly port: number } | null
    readonly serverVersion: string
  }
  readonly publicAddress: string | null
  readonly web: {
    /** HOST or HOST:PORT; null: the public address */
    readonly address: string | null
    /** Paths. null: none of its own */
    readonly certificate: { readonly cert: string; readonly key: string } | null
  }
  readonly proxyName: string
  readonly workers: number
  readonly keyEncryption: string
  readonly checkpointFile: string
  readonly recordingsDir: string
  /** null: none */
  readonly policiesDir: string | null
  readonly loginTtlMs: number
  readonly offlineGraceMs: number
  readonly loginGraceMs: number
  readonly shutdownGraceMs: number
  readonly forgedCallbacksPerAddress: number
  readonly limits: {
    readonly connections: number
    readonly unauthenticated: number
    readonly unauthenticatedPerAddress: number
    readonly channelsPerConnection: number
  }
  /** Refused connections that ask for access and wait */
  readonly waiting: { readonly perUser: number; readonly perInstance: number; readonly longestMs: number }
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
}

/** Reads and checks the file. Relative paths are relative to the file. Throws ConfigError with every fault at once. */
export function readConfig(file: string, instead: Readonly<Record<string, string>> = {}): Config {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError(file, [`cannot be read: ${(error as Error).message}`])
  }
  return parseConfig(text, file, instead)
}

/** `instead`: keys that replace those of the file. */
export function parseConfig(text: string, file: string, instead: Readonly<Record<string, string>> = {}): Config {
  const document = parseDocument(text, { uniqueKeys: true })
  if (document.errors.length > 0)
    throw new ConfigError(
      file,
      document.errors.map((error) => error.message.split('\n')[0] ?? ''),
    )
  for (const [key, value] of Object.entries(instead)) document.set(key, value)
  const checked = shape.safeParse(document.toJS({ maxAliasCount: 0 }) ?? {})
  if (!checked.success) throw new ConfigError(file, checked.error.issues.flatMap(describeIssue))
  const fault = storageFault(checked.data) ?? webFault(checked.data)
  if (fault !== null) throw new ConfigError(file, [fault])
  return freeze(checked.data, dirname(resolve(file)))
}

function storageFault({ storage, postgres }: z.output<typeof shape>): string | null {
  if (storage && postgres.tls === 'off' && !staysOnMachine(storage))
    return `postgres.tls: off is for a Unix socket or the loopback, and ${storage.host} is neither`
  if ((postgres.cert === undefined) !== (postgres.key === undefined))
    return 'postgres: a client certificate needs both, cert and key'
  return null
}

function webFault({ web }: z.output<typeof shape>): string | null {
  if ((web.cert === undefined) !== (web.key === undefined)) return 'web: a certificate needs both, cert and key'
  return null
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const where = issue.path.join('.')
  if (issue.code !== 'unrecognized_keys') return [`${where === '' ? 'the file' : where}: ${issue.message}`]
  const known =
    issue.path[0] === 'limits'
      ? Object.keys(shape.shape.limits.unwrap().shape)
      : issue.path[0] === 'postgres'
        ? Object.keys(shape.shape.postgres.unwrap().shape)
        : issue.path[0] === 'mysql'
          ? Object.keys(shape.shape.mysql.unwrap().shape)
          : issue.path[0] === 'web'
            ? Object.keys(shape.shape.web.unwrap().shape)
            : issue.path[0] === 'log'
              ? ['level']
              : Object.keys(shape.shape)
  return issue.keys.map((key) => {
    const suggestion = nearest(key, known)
    const name = where === '' ? key : `${where}.${key}`
    return suggestion
      ? `unknown key ${name}; did you mean ${suggestion}?`
      : `unknown key ${name}; known are ${known.join(', ')}`
  })
}

function freeze(given: z.output<typeof shape>, base: string): Config {
  const path = (text: string): string => (isAbsolute(text) ? text : resolve(base, text))
  const dataDir = path(given.data_dir)
  const keyEncryption = given.key_encryption ?? `file:${dataDir}-key`
  return Object.freeze({
    dataDir,
    storage: storageOf(given, path),
    listen: given.listen,
    mysql: Object.freeze({ listen: given.mysql.listen ?? null, serverVersion: given.mysql.server_version }),
    publicAddress: given.public_address ?? null,
    web: Object.freeze({ address: given.web.address ?? null, certificate: webCertificate(given.web, path) }),
    proxyName: given.proxy_name,
    workers: given.workers,
    keyEncryption: keyEncryption.startsWith('file:') ? `file:${path(keyEncryption.slice(5))}` : keyEncryption,
    checkpointFile: path(given.checkpoint_file ?? `${dataDir}-checkpoints/checkpoints.jsonl`),
    recordingsDir: path(given.recordings_dir ?? `${dataDir}/recordings`),
    policiesDir: given.policies === undefined ? null : path(given.policies),
    loginTtlMs: given.login_ttl,
    offlineGraceMs: given.offline_grace,
    loginGraceMs: given.login_grace,
    shutdownGraceMs: given.shutdown_grace,
    limits: Object.freeze({
      connections: given.limits.connections,
      unauthenticated: given.limits.unauthenticated,
      unauthenticatedPerAddress: given.limits.unauthenticated_per_address,
      channelsPerConnection: given.limits.channels_per_connection,
    }),
    forgedCallbacksPerAddress: given.limits.forged_callbacks_per_address,
    waiting: Object.freeze({
      perUser: given.limits.waiting_per_user,
      perInstance: given.limits.waiting,
      longestMs: given.ask_wait,
    }),
    logLevel: given.log.level,
  })
}

function webCertificate(
  { cert, key }: { readonly cert?: string | undefined; readonly key?: string | undefined },
  path: (text: string) => string,
): Config['web']['certificate'] {
  return cert === undefined || key === undefined ? null : Object.freeze({ cert: path(cert), key: path(key) })
}

function storageOf(
  { storage, postgres }: z.output<typeof shape>,
  path: (text: string) => string,
): PostgresStorage | null {
  if (!storage) return null
  const { password, tls = staysOnMachine(storage) ? 'off' : 'verify' } = postgres
  const file = (name: string | undefined): string | null => (name === undefined ? null : path(name))
  return Object.freeze({
    ...storage,
    password: password?.startsWith('file:') ? `file:${path(password.slice(5))}` : (password ?? null),
    tls: tls === 'off' ? null : { ca: file(postgres.ca), cert: file(postgres.cert), key: file(postgres.key) },
    connectTimeoutMs: postgres.connect_timeout,
    statementTimeoutMs: postgres.statement_timeout,
    connections: postgres.connections,
  })
}
