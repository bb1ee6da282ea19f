import { Client } from 'pg'
import { systemClock } from '../../clock.ts'
import { Refused } from '../../errors.ts'
import { clientConfig, poolerRefused } from './postgres-connections.ts'
import type { PostgresSettings } from './postgres-settings.ts'
import { StoreUnreachable } from './store-unreachable.ts'

const OLDEST = 140_000
const NOTIFIED_WITHIN_MS = 3000

export interface ServerFacts {
  /** server_version_num */
  readonly version: number
  readonly versionText: string
  readonly encoding: string
  readonly inRecovery: boolean
}

/** Errors: Refused('store_unavailable' | 'version_mismatch') with what is wrong with this server. */
export function requireServer(facts: ServerFacts): void {
  if (facts.version < OLDEST)
    throw new Refused(
      'version_mismatch',
      `the database server is PostgreSQL ${facts.versionText}; Sallyport needs 14 or newer`,
    )
  if (facts.encoding !== 'UTF8')
    throw new Refused(
      'store_unavailable',
      `the database is encoded as ${facts.encoding}; Sallyport needs UTF8`,
      "create it with: create database NAME encoding 'UTF8' template template0",
    )
  if (facts.inRecovery)
    throw new Refused('store_unavailable', 'the database server is a standby that only reads', 'name the primary')
}

/**
 * Looks at the server, and whether connections to it are sessions of our own: each keeps its backend process while others work,
 * and hears what another notifies. Errors: Refused; StoreUnreachable.
 */
export async function checkServer(settings: PostgresSettings): Promise<void> {
  const [one, other] = [new Client(clientConfig(settings)), new Client(clientConfig(settings))]
  for (const client of [one, other]) client.on('error', () => {})
  try {
    await connect(one)
    requireServer(await factsOf(one))
    await connect(other)
    await requireOwnSessions(one, other)
  } finally {
    await Promise.allSettled([one.end(), other.end()])
  }
}

async function connect(client: Client): Promise<void> {
  try {
    await client.connect()
  } catch (error) {
    const { code, message } = error as { code?: unknown; message?: string }
    if (typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code)) throw new StoreUnreachable(error)
    throw new Refused('store_unavailable', `the database refused the connection: ${message ?? code}`)
  }
}

async function factsOf(client: Client): Promise<ServerFacts> {
  const { rows } = await client.query<Record<string, unknown>>(
    `select current_setting('server_version_num')::int as version, current_setting('server_version') as text,
      current_setting('server_encoding') as encoding, pg_is_in_recovery() as recovery`,
  )
  const [row = {}] = rows
  return {
    version: Number(row['version']),
    versionText: String(row['text']),
    encoding: String(row['encoding']),
    inRecovery: row['recovery'] === true,
  }
}

async function requireOwnSessions(one: Client, other: Client): Promise<void> {
  const heard = new Promise<void>((resolve) => {
    one.once('notification', () => resolve())
  })
  await one.query('listen sallyport_probe')
  // Both take part in a transaction at once: a pool hands the backends back in some order, and deals them out anew.
  const first = [await pidInside(one), await pidInside(other)]
  await one.query('commit')
  await other.query('commit')
  const second = [await pidInside(other), await pidInside(one)].toReversed()
  await other.query('commit')
  await one.query('commit')
  const third = [await pid(one), await pid(one)]
  if ([first[0] !== second[0], first[1] !== second[1], ...third.map((each) => each !== first[0])].includes(true))
    throw poolerRefused()
  await other.query('notify sallyport_probe')
  const late = new Promise<'late'>((resolve) => {
    systemClock.after(NOTIFIED_WITHIN_MS, () => resolve('late'))
  })
  if ((await Promise.race([heard, late])) === 'late') throw poolerRefused()
  await one.query('unlisten *')
}

async function pidInside(client: Client): Promise<number> {
  await client.query('begin')
  return pid(client)
}

async function pid(client: Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
  return rows[0]?.pid ?? 0
}
