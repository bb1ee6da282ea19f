import { type ClientBase, type ClientConfig, Pool, type PoolClient, types } from 'pg'
import { Refused } from '../../errors.ts'
import type { PostgresSettings } from './postgres-settings.ts'
import { StoreUnreachable } from './store-unreachable.ts'

const SCHEMA = 'sallyport'
/** Held by whoever writes, in every daemon: what `begin immediate` is on SQLite. Given back with the transaction. */
export const WRITE_LOCK = 'select pg_advisory_xact_lock(1396788313, 2)'
const KEEP_ALIVE_MS = 10_000
/** A daemon that stands still inside a transaction holds up all others: the server ends it. */
const IDLE_IN_TRANSACTION_MS = 5000

const INT8 = 20
const NUMERIC = 1700

/** 64-bit integers as numbers, as on SQLite: instants and counters stay far below 2^53. */
const typesAsOnSqlite = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if ((oid === INT8 || oid === NUMERIC) && format !== 'binary') return exactNumber
    return types.getTypeParser(oid, format) as (value: string) => unknown
  },
}

function exactNumber(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && !Number.isSafeInteger(number)) throw new RangeError(`${text} is no exact number here`)
  return number
}

export function clientConfig(settings: PostgresSettings): ClientConfig {
  const { tls } = settings
  return {
    host: settings.host,
    port: settings.port,
    user: settings.user,
    database: settings.database,
    // undefined would let the driver look into PGPASSWORD and ~/.pgpass.
    password: settings.password ?? '',
    ssl: tls && {
      rejectUnauthorized: true,
      ...(settings.host.startsWith('/') ? {} : { servername: settings.host }),
      ...(tls.ca === null ? {} : { ca: tls.ca }),
      ...(tls.cert === null ? {} : { cert: tls.cert }),
      ...(tls.key === null ? {} : { key: tls.key }),
    },
    application_name: 'sallyport',
    connectionTimeoutMillis: settings.connectTimeoutMs,
    // For a server that is gone without a word; one that lives ends the statement itself before.
    query_timeout: settings.statementTimeoutMs + 2000,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    types: typesAsOnSqlite,
  } as ClientConfig
}

/** Statements that every connection of ours begins with. Ours is the only schema that names are looked up in. */
export function sessionStart({ statementTimeoutMs }: PostgresSettings, readOnly: boolean): string {
  return [
    `set search_path to ${SCHEMA}, pg_temp`,
    `set statement_timeout to ${String(statementTimeoutMs)}`,
    `set lock_timeout to ${String(statementTimeoutMs)}`,
    `set idle_in_transaction_session_timeout to ${String(IDLE_IN_TRANSACTION_MS)}`,
    'set synchronous_commit to on',
    "set timezone to 'UTC'",
    'set client_min_messages to error',
    'set standard_conforming_strings to on',
    // A row policy would hide rows: then reading fails instead.
    'set row_security to off',
    ...(readOnly ? ['set default_transaction_read_only to on'] : []),
  ].join('; ')
}

export interface PoolOrder {
  readonly most: number
  readonly readOnly: boolean
}

/** Connections made when they are needed, prepared before their first statement. */
export function openPool(settings: PostgresSettings, { most, readOnly }: PoolOrder): Pool {
  const config = {
    ...clientConfig(settings),
    max: most,
    idleTimeoutMillis: 60_000,
    onConnect: async (client: ClientBase): Promise<void> => {
      await client.query(sessionStart(settings, readOnly))
    },
  }
  const pool = new Pool(config)
  // A connection that breaks while nobody uses it: the next one who asks gets a new one.
  pool.on('error', () => {})
  return pool
}

/** Errors: StoreUnreachable; Refused('store_unavailable') when the server does not let us in at all. */
export async function takeClient(pool: Pool): Promise<PoolClient> {
  try {
    return await pool.connect()
  } catch (error) {
    throw explainConnect(error)
  }
}

function explainConnect(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown }
  const sqlState = typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : null
  if (sqlState === '08P01' && String(message).includes('unsupported startup parameter')) return poolerRefused()
  if (sqlState === '28000' || sqlState === '28P01')
    return new Refused('store_unavailable', `the database refused the sign-in: ${String(message)}`)
  if (sqlState === '3D000') return new Refused('store_unavailable', String(message), 'create the database first')
  return sqlState === null ? new StoreUnreachable(error) : error
}

export function poolerRefused(): Refused {
  return new Refused(
    'store_unavailable',
    'between here and the database is a proxy that hands a connection from one client to another (transaction pooling)',
    'name the server itself in `storage`: notifications and locks need a connection of their own',
  )
}
