// A real PostgreSQL server that speaks TLS, our relay in front of it, and files for the stock programs.
import { chownSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PostgresRelay } from '../../src/connection/relay/postgres/postgres-relay.ts'
import {
  DatabaseLab,
  labControl,
  labGround,
  listen,
  PASSWORD,
  relayDeps,
  type DatabaseLabOptions,
} from './database-lab.ts'
import { needProgram } from './need-program.ts'
import { PostgresServer } from './postgres.ts'
import type { PostgresRelease } from './postgres-release.ts'
import { RawPostgresClient, startup } from './raw-postgres-client.ts'
import { run, type Finished, type RunOptions } from './run.ts'
import { TestAuthority, type KeyAndCertificate } from './test-authority.ts'

export { PASSWORD } from './database-lab.ts'

export interface PostgresLabOptions extends DatabaseLabOptions {
  /** Lines of postgresql.conf */
  readonly config?: readonly string[]
  readonly release?: PostgresRelease
}

/** `sallyport` is the test itself, past the proxy. `app` signs in by SCRAM, `bycert` by certificate, both by TLS alone. */
const HBA = `
host    all sallyport      127.0.0.1/32 trust
hostssl all app,owner      127.0.0.1/32 scram-sha-256
hostssl replication app    127.0.0.1/32 scram-sha-256
hostssl all plain          127.0.0.1/32 password
hostssl all old            127.0.0.1/32 md5
hostssl all bycert         127.0.0.1/32 cert
`

/** Makes a server speak TLS, with the accounts above and an empty database `shop`. */
export async function secureServer(server: PostgresServer, clientAuthority: string): Promise<TestAuthority> {
  const authority = await TestAuthority.make('server')
  const leaf = await authority.server(['localhost'])
  const { uid, gid } = statSync(server.folder)
  const file = (name: string, text: string): string => {
    const path = join(server.folder, name)
    writeFileSync(path, text, { mode: 0o600 })
    chownSync(path, uid, gid)
    return path
  }
  const certificate = file('server.pem', leaf.certificatePem)
  const key = file('server.key', leaf.keyPem)
  const ca = file('clients.pem', clientAuthority)
  file('data/pg_hba.conf', HBA)
  const settings = { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key, ssl_ca_file: ca }
  for (const [name, value] of Object.entries(settings))
    await server.query('postgres', `alter system set ${name} = '${value}'`)
  await server.query('postgres', 'select pg_reload_conf()')
  await server.query('postgres', `create role app login replication password '${PASSWORD}'`)
  await server.query('postgres', `create role plain login password '${PASSWORD}'`)
  await server.query('postgres', `set password_encryption = 'md5'; create role old login password '${PASSWORD}'`)
  await server.query('postgres', 'create role bycert login')
  await server.query('postgres', 'create database shop owner app')
  return authority
}

export class PostgresLab extends DatabaseLab<PostgresServer, PostgresRelay> {
  static async start(options: PostgresLabOptions = {}): Promise<PostgresLab> {
    const ground = await labGround()
    const server = await PostgresServer.start({ config: options.config ?? [], release: options.release ?? 'debian' })
    const authority = await secureServer(server, ground.databaseAuthority.certificatePem)
    const control = labControl(ground, 'postgres', { port: server.port, authority })
    for (const user of ['app', 'plain', 'old']) control.passwords.set(user, PASSWORD)
    const deps = await relayDeps(ground, control, options)
    const relay = new PostgresRelay({ ...deps, cancelElsewhere: () => Promise.resolve() })
    const listener = await listen((socket) => {
      // As the shared port does it: what has been looked at is put back.
      socket.once('data', (seen: Buffer) => {
        socket.pause()
        socket.unshift(seen)
        void relay.handle({ socket, address: '127.0.0.1', isDirectTls: seen[0] === 0x16, signedIn: () => {} })
      })
    })
    writeFileSync(join(ground.folder, 'server-ca.pem'), authority.certificatePem)
    return new PostgresLab({ ...ground, server, serverAuthority: authority, control, relay, listener })
  }

  /** Environment that makes a stock client of libpq come through the proxy, as `app` to the database `shop`. */
  async environment(as: KeyAndCertificate | null = null): Promise<Readonly<Record<string, string>>> {
    const { key, certificate } = await this.certificateFiles(as)
    return {
      PGHOST: 'localhost',
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(this.port),
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: this.proxyCa,
      PGSSLCERT: certificate,
      PGSSLKEY: key,
      PGUSER: 'app',
      PGDATABASE: 'shop',
      PGCONNECT_TIMEOUT: '20',
    }
  }

  /** Environment for the same past the proxy. */
  get direct(): Readonly<Record<string, string>> {
    const { port } = this.server
    return {
      ...{ PGHOST: 'localhost', PGHOSTADDR: '127.0.0.1', PGPORT: String(port), PGUSER: 'app', PGDATABASE: 'shop' },
      ...{ PGPASSWORD: PASSWORD, PGSSLMODE: 'verify-full', PGSSLROOTCERT: join(this.folder, 'server-ca.pem') },
      // The server trusts nobody who could have signed ours; a file that is not there is none.
      PGSSLCERT: join(this.folder, 'none.pem'),
    }
  }

  /** Runs a stock program of PostgreSQL through the proxy. */
  async client(
    program: string,
    args: readonly string[],
    options: RunOptions & { readonly as?: KeyAndCertificate } = {},
  ): Promise<Finished> {
    const { as = null, env = {}, ...others } = options
    const environment = { ...(await this.environment(as)), ...env }
    return run(needProgram(program), args, { timeout: 60_000, ...others, env: { ...process.env, ...environment } })
  }

  psql(sql: string, options: RunOptions & { readonly as?: KeyAndCertificate } = {}): Promise<Finished> {
    return this.client('psql', ['-X', '-A', '-t', '-c', sql], options)
  }

  /** Signed in and ready, as `app` to the database `shop`, or not signed in at all. */
  async raw(
    options: { readonly as?: KeyAndCertificate; readonly signIn?: boolean; readonly direct?: boolean } = {},
  ): Promise<RawPostgresClient> {
    const { keyPem, certificatePem } = options.as ?? (await this.certificate())
    const tls = { ca: readFileSync(this.proxyCa), key: keyPem, cert: certificatePem }
    const client = await RawPostgresClient.secure(this.port, tls, options.direct ?? false)
    if (options.signIn === false) return client
    client.send(startup({ user: 'app', database: 'shop' }))
    await client.gets('Z')
    return client
  }

  /** Backends of `app` and `bycert` on the server, with what they run. */
  async backends(): Promise<readonly string[]> {
    const rows = await this.server.query(
      'postgres',
      `select query from pg_stat_activity where backend_type = 'client backend' and usename <> 'sallyport'`,
    )
    return rows.map(({ query }) => String(query))
  }
}
