import type { DbProtocol } from '../../../contract/database.ts'
import { CommandFailed } from '../../shared/command-failed.ts'

/** What a stock client must be told to get at one database through the proxy. */
export interface ClientSettings {
  readonly database: string
  readonly protocol: DbProtocol
  readonly host: string
  readonly port: number
  /** null: the client names it */
  readonly dbUser: string | null
  readonly dbName: string | null
  /** Paths of PEM files */
  readonly files: { readonly certificate: string; readonly key: string; readonly authority: string }
}

/** libpq's keywords with their values. */
export function libpqSettings({ host, port, dbUser, dbName, files }: ClientSettings): (readonly [string, string])[] {
  return [
    ['host', host],
    ['port', String(port)],
    ...(dbUser === null ? [] : [['user', dbUser] as const]),
    ...(dbName === null ? [] : [['dbname', dbName] as const]),
    ['sslmode', 'verify-full'],
    ['sslcert', files.certificate],
    ['sslkey', files.key],
    ['sslrootcert', files.authority],
    ['gssencmode', 'disable'],
  ]
}

/** Lines of a pg_service file: libpq takes what is behind `=` as it is, up to the end of the line. */
export function serviceLines(settings: ClientSettings): string[] {
  return [
    `[${settings.database}]`,
    ...libpqSettings(settings).map(([key, value]) => `${key}=${oneLine(value, LONGEST_SERVICE_VALUE)}`),
  ]
}

/** libpq reads lines of 1023 bytes at most. */
const LONGEST_SERVICE_VALUE = 1000

/** One argument for psql: `host='...' port='...'`. */
export function conninfo(settings: ClientSettings): string {
  return libpqSettings(settings)
    .map(([key, value]) => `${key}='${value.replace(/['\\]/g, '\\$&')}'`)
    .join(' ')
}

/** Name of the variable of the environment for each of libpq's keywords. */
const VARIABLES: Readonly<Record<string, string>> = {
  host: 'PGHOST',
  port: 'PGPORT',
  user: 'PGUSER',
  dbname: 'PGDATABASE',
  sslmode: 'PGSSLMODE',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslrootcert: 'PGSSLROOTCERT',
  gssencmode: 'PGGSSENCMODE',
}

export function environment(settings: ClientSettings): (readonly [string, string])[] {
  if (settings.protocol === 'mysql') return [['MYSQL_GROUP_SUFFIX', `_${settings.database}`]]
  return libpqSettings(settings).flatMap(([key, value]) => {
    const name = VARIABLES[key]
    return name === undefined ? [] : [[name, value] as const]
  })
}

/**
 * Lines of an option file for MySQL's and MariaDB's clients. MariaDB's check the certificate only where they are told to, and
 * MySQL's do so wherever an authority is named and do not know that option.
 */
export function optionLines(settings: ClientSettings): string[] {
  const { database, host, port, dbUser, dbName, files } = settings
  return [
    `[client_${database}]`,
    'protocol=TCP',
    `host=${quoted(host)}`,
    `port=${port}`,
    ...(dbUser === null ? [] : [`user=${quoted(dbUser)}`]),
    `ssl-ca=${quoted(files.authority)}`,
    `ssl-cert=${quoted(files.certificate)}`,
    `ssl-key=${quoted(files.key)}`,
    `[client-mariadb_${database}]`,
    'ssl-verify-server-cert',
    ...(dbName === null ? [] : [`[mysql_${database}]`, `database=${quoted(dbName)}`]),
  ]
}

/** Of an option file: `#` begins no comment within quotes, and a backslash is written twice. */
function quoted(value: string): string {
  if (value.includes('"')) throw unfit(value)
  return `"${oneLine(value, LONGEST_OPTION).replaceAll('\\', '\\\\')}"`
}

const LONGEST_OPTION = 2000

function oneLine(value: string, longest: number): string {
  if (/\p{Cc}/u.test(value) || Buffer.byteLength(value) > longest) throw unfit(value)
  return Buffer.from(value).toString('latin1')
}

const unfit = (value: string): CommandFailed =>
  new CommandFailed(
    'failed',
    `${JSON.stringify(value.slice(0, 100))} cannot be written into a client's configuration`,
    'Set SALLY_HOME to a folder whose path is short and has no quotes or line ends.',
  )
