import { chownSync, copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PostgresServer } from '../../test/support/postgres.ts'
import { run } from '../../test/support/run.ts'
import { DATABASE, USER } from './postgres-target.ts'

/** By certificate over TLS; pgbouncer alone comes without TLS, and is believed. */
const HBA = `
host      all sallyport 127.0.0.1/32 trust
hostssl   all ${USER}   127.0.0.1/32 cert
hostnossl all ${USER}   127.0.0.1/32 trust
`
const CONFIG = ['shared_buffers = 256MB', 'max_connections = 700', 'autovacuum = off']

/** A server with pgbench's tables of that scale and one of `mib` MiB for bulk. */
export async function startServer(scale: number, mib: number): Promise<PostgresServer> {
  const server = await PostgresServer.start({ config: CONFIG })
  try {
    await server.query('postgres', `create role ${USER} login superuser`)
    await server.query('postgres', `create database ${DATABASE} owner ${USER}`)
    const where = ['-h', '127.0.0.1', '-p', String(server.port), '-U', 'sallyport']
    const made = await run('pgbench', [...where, '-i', '-q', '-s', String(scale), DATABASE], { timeout: 300_000 })
    if (made.code !== 0) throw new Error(`pgbench -i failed: ${made.stderr}`)
    const rows = mib * 1000
    await server.query(
      DATABASE,
      `create table bulk as select i, repeat('x', 1000) t from generate_series(1, ${rows}) i`,
    )
    await server.query(DATABASE, 'create table bulk_in (like bulk)')
    return server
  } catch (error) {
    await server.stop()
    throw error
  }
}

/** From here on it wants TLS and certificates of one of these authorities (PEM). */
export async function secure(
  server: PostgresServer,
  files: { readonly certificate: string; readonly key: string },
  authorities: readonly string[],
): Promise<void> {
  const { uid, gid } = statSync(server.folder)
  const place = (name: string, put: (path: string) => void): string => {
    const path = join(server.folder, name)
    put(path)
    chownSync(path, uid, gid)
    return path
  }
  const settings = {
    ssl: 'on',
    ssl_cert_file: place('server.crt', (path) => copyFileSync(files.certificate, path)),
    ssl_key_file: place('server.key', (path) => writeFileSync(path, readFileSync(files.key), { mode: 0o600 })),
    ssl_ca_file: place('clients.crt', (path) => writeFileSync(path, authorities.join('\n'))),
  }
  for (const [name, value] of Object.entries(settings))
    await server.query('postgres', `alter system set ${name} = '${value}'`)
  place('data/pg_hba.conf', (path) => writeFileSync(path, HBA))
  await server.query('postgres', 'select pg_reload_conf()')
}
