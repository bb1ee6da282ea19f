import { z } from 'zod'
import type { PostgresServer } from '../../test/support/postgres.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'
import { startDatabaseDaemon, type WayIn } from '../support/database-daemon.ts'
import { DATABASE, USER, type PostgresTarget } from './postgres-target.ts'

export interface Ours extends AsyncDisposable {
  readonly targets: readonly [PostgresTarget, ...PostgresTarget[]]
  /** PEM: signs what the server is shown */
  readonly authority: string
}

/** `ca`: PEM file of whoever signed the server's certificate. */
export async function startOurs(folder: TempFolder, { port }: PostgresServer, ca: string): Promise<Ours> {
  const daemon = await startDatabaseDaemon(folder, { protocol: 'postgres', port, ca, dbUser: USER, dbName: DATABASE })
  const { pid, authority, ways } = daemon
  const target = async ({ name, database, sally }: WayIn): Promise<PostgresTarget> => {
    const printed = await sally(['db', 'env', database, `--db-user=${USER}`, `--db-name=${DATABASE}`, '--format=json'])
    return { name, env: Environment.parse(JSON.parse(printed)), pid }
  }
  try {
    const [first, ...others] = ways
    const targets = [await target(first), ...(await Promise.all(others.map(target)))] as const
    return { targets, authority, [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose]() }
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
}

const Environment = z.record(z.string(), z.string())
