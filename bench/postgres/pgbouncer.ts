import { chownSync, copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connects } from '../../src/main/demo/free-port.ts'
import { freePort } from '../../test/support/free-port.ts'
import type { PostgresServer } from '../../test/support/postgres.ts'
import { start } from '../../test/support/run.ts'
import { until } from '../../test/support/until.ts'
import type { ForwardingPeer } from '../support/haproxy.ts'
import { DATABASE, USER } from './postgres-target.ts'

interface PgbouncerFiles {
  readonly ca: string
  readonly certificate: string
  readonly key: string
}

/** Session mode, TLS with client certificates in front, no TLS to the server. */
export async function startPgbouncer(server: PostgresServer, files: PgbouncerFiles): Promise<ForwardingPeer> {
  const port = await freePort()
  // It refuses to be root, and becomes the user that runs the server.
  const { uid, gid } = statSync(server.folder)
  const folder = join(server.folder, 'pgbouncer')
  mkdirSync(folder)
  const own = (name: string): string => {
    const path = join(folder, name)
    chownSync(path, uid, gid)
    return path
  }
  for (const [name, from] of Object.entries({ ca: files.ca, crt: files.certificate, key: files.key })) {
    copyFileSync(from, join(folder, name))
    own(name)
  }
  writeFileSync(join(folder, 'users'), `"${USER}" ""\n`)
  const settings = {
    listen_addr: '127.0.0.1',
    listen_port: port,
    unix_socket_dir: '',
    auth_type: 'cert',
    auth_file: own('users'),
    pool_mode: 'session',
    max_client_conn: 2000,
    default_pool_size: 600,
    server_reset_query: '',
    client_tls_sslmode: 'verify-full',
    client_tls_ca_file: join(folder, 'ca'),
    client_tls_cert_file: join(folder, 'crt'),
    client_tls_key_file: join(folder, 'key'),
    client_tls_protocols: 'secure',
    log_connections: 0,
    log_disconnections: 0,
    ignore_startup_parameters: 'extra_float_digits',
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`)
  const to = `${DATABASE} = host=127.0.0.1 port=${server.port} dbname=${DATABASE} user=${USER}`
  writeFileSync(join(folder, 'ini'), ['[databases]', to, '[pgbouncer]', ...lines, ''].join('\n'))
  const asUser = process.getuid?.() === 0 ? ['-u', nameOf(uid)] : []
  const program = start('/usr/sbin/pgbouncer', [...asUser, own('ini')])
  await until('pgbouncer', async () => {
    if (program.child.exitCode !== null) throw new Error(`pgbouncer ended: ${program.stderr()}`)
    return await connects(port)
  })
  return { port, pid: program.pid, [Symbol.asyncDispose]: async () => void (await program.stop()) }
}

function nameOf(uid: number): string {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  return lines.find((line) => line.split(':')[2] === String(uid))?.split(':')[0] ?? String(uid)
}
