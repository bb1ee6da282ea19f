import { z } from 'zod'
import { freePort } from '../../test/support/free-port.ts'
import type { MariadbServer } from '../../test/support/mariadb.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'
import { startDatabaseDaemon, type WayIn } from '../support/database-daemon.ts'
import { DATABASE, mysqlTarget, USER, type MysqlTarget } from './mysql-target.ts'

export interface Ours extends AsyncDisposable {
  readonly targets: readonly [MysqlTarget, ...MysqlTarget[]]
  /** PEM: signs what the server is shown */
  readonly authority: string
}

/** `ca`: PEM file of whoever signed the server's certificate. */
export async function startOurs(folder: TempFolder, server: MariadbServer, ca: string): Promise<Ours> {
  const listen = await freePort()
  const daemon = await startDatabaseDaemon(folder, {
    ...{ protocol: 'mysql', port: server.port, ca, dbUser: USER, dbName: DATABASE },
    config: ['mysql:', `  listen: 127.0.0.1:${listen}`],
  })
  const { pid, authority, ways } = daemon
  const target = async ({ name, database, sally }: WayIn): Promise<MysqlTarget> => {
    const args = ['db', 'login', database, `--db-user=${USER}`, `--db-name=${DATABASE}`, '--format=json']
    const { certificate, key, authority: ca, port } = SignedIn.parse(JSON.parse(await sally(args)))
    return mysqlTarget(folder, { name, port, files: { ca, certificate, key }, pid })
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

const SignedIn = z.object({ certificate: z.string(), key: z.string(), authority: z.string(), port: z.number() })
