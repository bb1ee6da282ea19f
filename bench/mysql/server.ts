import { chownSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MariadbServer } from '../../test/support/mariadb.ts'
import { run } from '../../test/support/run.ts'
import { DATABASE, USER, type MysqlTarget } from './mysql-target.ts'
import { sysbenchArguments } from './sysbench.ts'

const CONFIG = ['innodb-buffer-pool-size=256M', 'max-connections=700', 'thread-cache-size=100']

/** The account signs in by a certificate for its name; who may sign those is said by `trust`. */
export async function startServer(): Promise<MariadbServer> {
  const server = await MariadbServer.start({ config: CONFIG })
  try {
    await server.sql(`
      create database ${DATABASE};
      create user ${USER}@'%' require subject '/CN=${USER}';
      grant all on ${DATABASE}.* to ${USER}@'%';`)
    return server
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** From here on it takes certificates of these authorities (PEM). */
export async function trust(server: MariadbServer, authorities: readonly string[]): Promise<void> {
  const file = join(server.folder, 'clients.pem')
  const { uid, gid } = statSync(server.folder)
  writeFileSync(file, authorities.join('\n'))
  chownSync(file, uid, gid)
  await server.sql('flush ssl;')
}

export async function fillServer(target: MysqlTarget, rows: number): Promise<void> {
  const load = { script: 'oltp_point_select', clients: 1, seconds: 1, rows } as const
  const made = await run('sysbench', [...sysbenchArguments(target, load), 'prepare'], {
    cwd: target.folder,
    timeout: 300_000,
  })
  if (made.code !== 0) throw new Error(`sysbench prepare failed: ${made.stdout}${made.stderr}`)
}
