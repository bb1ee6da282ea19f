// A real PostgreSQL server that speaks TLS, our relay in front of it, and files for the stock programs.
import { once } from 'node:events'
import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseFacts } from '../../src/connection/authorization.ts'
import type { WorkerSettings } from '../../src/connection/control-plane.ts'
import { PostgresRelay } from '../../src/connection/relay/postgres/postgres-relay.ts'
import type { RecordingRecord } from '../../src/formats/recording-record.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { newId } from '../../src/foundation/ids.ts'
import { silentLog, type Log } from '../../src/foundation/log.ts'
import { readRecording } from '../../src/recording/recording-reader.ts'
import { FakeDatabaseControl } from './fake-database-control.ts'
import { needProgram } from './need-program.ts'
import { PostgresServer } from './postgres.ts'
import type { PostgresRelease } from './postgres-release.ts'
import { RawPostgresClient, startup } from './raw-postgres-client.ts'
import { run, type Finished, type RunOptions } from './run.ts'
import { TestAuthority, type KeyAndCertificate } from './test-authority.ts'

export const INSTALLATION = 'inst_test'
export const PASSWORD = 'correct horse'

export interface PostgresLabOptions {
  /** Lines of postgresql.conf */
  readonly config?: readonly string[]
  readonly release?: PostgresRelease
  readonly log?: Log
  readonly limits?: Partial<WorkerSettings['limits']>
}

const LIMITS: WorkerSettings['limits'] = {
  loginGraceMs: 10_000,
  connections: 1000,
  unauthenticatedPerAddress: 1000,
  unauthenticated: 1000,
  channelsPerConnection: 10,
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

export class PostgresLab implements AsyncDisposable {
  readonly server: PostgresServer
  readonly control: FakeDatabaseControl
  readonly relay: PostgresRelay
  readonly port: number
  readonly folder: string
  readonly userAuthority: TestAuthority
  readonly serverAuthority: TestAuthority
  readonly #listener: Server

  private constructor(
    parts: Pick<PostgresLab, 'server' | 'control' | 'relay' | 'folder' | 'userAuthority' | 'serverAuthority'> & {
      listener: Server
    },
  ) {
    this.server = parts.server
    this.control = parts.control
    this.relay = parts.relay
    this.folder = parts.folder
    this.userAuthority = parts.userAuthority
    this.serverAuthority = parts.serverAuthority
    this.#listener = parts.listener
    this.port = (parts.listener.address() as AddressInfo).port
  }

  static async start(options: PostgresLabOptions = {}): Promise<PostgresLab> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-pg-lab-'))
    const [userAuthority, proxyAuthority, databaseAuthority] = await Promise.all([
      TestAuthority.make('people'),
      TestAuthority.make('proxy'),
      TestAuthority.make('databases'),
    ])
    const server = await PostgresServer.start({ config: options.config ?? [], release: options.release ?? 'debian' })
    const serverAuthority = await secureServer(server, databaseAuthority.certificatePem)
    const control = new FakeDatabaseControl({
      protocol: 'postgres',
      database: { id: newId('database', Date.now()), name: 'orders', host: '127.0.0.1', port: server.port },
      tls: { mode: 'verify-full', authorities: serverAuthority.certificatePem, serverName: 'localhost' },
      ...{ installation: INSTALLATION, authority: databaseAuthority, folder },
    })
    for (const user of ['app', 'plain', 'old']) control.passwords.set(user, PASSWORD)
    const leaf = await proxyAuthority.server(['localhost', '127.0.0.1'])
    const settings: WorkerSettings = {
      installation: INSTALLATION,
      proxyName: 'proxy.test',
      userAuthorities: [],
      userX509Authorities: [userAuthority.certificatePem],
      hostKey: { privatePem: '', certificate: new Uint8Array(), publicBlob: new Uint8Array() },
      tls: leaf,
      apiSocket: '',
      limits: { ...LIMITS, ...options.limits },
      mysqlServerVersion: '',
    }
    const relay = new PostgresRelay({
      ...{ control, clock: systemClock, log: options.log ?? silentLog },
      settings: () => settings,
      authorizationOf: (facts) => control.authorizationOf(facts),
      cancelElsewhere: () => Promise.resolve(),
    })
    const listener = createServer((socket) => {
      socket.on('error', () => {})
      // As the shared port does it: what has been looked at is put back.
      socket.once('data', (seen: Buffer) => {
        socket.pause()
        socket.unshift(seen)
        void relay.handle({ socket, address: '127.0.0.1', isDirectTls: seen[0] === 0x16, signedIn: () => {} })
      })
    }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    writeFileSync(join(folder, 'proxy-ca.pem'), proxyAuthority.certificatePem)
    writeFileSync(join(folder, 'server-ca.pem'), serverAuthority.certificatePem)
    return new PostgresLab({ server, control, relay, folder, userAuthority, serverAuthority, listener })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close()
    await this.relay.tellAndClose('the test is over')
    await this.server.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A person's certificate for the database orders, an hour long. */
  certificate(
    change: { readonly until?: number; readonly database?: string; readonly userId?: string } = {},
  ): Promise<KeyAndCertificate> {
    const now = Date.now()
    return this.userAuthority.user(INSTALLATION, {
      ...{ userId: newId('user', now), userName: 'alice', loginId: newId('login', now), database: 'orders' },
      ...{ now, until: now + 3_600_000 },
      ...change,
    })
  }

  get proxyCa(): string {
    return join(this.folder, 'proxy-ca.pem')
  }

  /** Environment that makes a stock client of libpq come through the proxy, as `app` to the database `shop`. */
  async environment(as: KeyAndCertificate | null = null): Promise<Readonly<Record<string, string>>> {
    const { keyPem, certificatePem } = as ?? (await this.certificate())
    const name = join(this.folder, newId('login', Date.now()))
    writeFileSync(`${name}.key`, keyPem, { mode: 0o600 })
    writeFileSync(`${name}.pem`, certificatePem)
    return {
      PGHOST: 'localhost',
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(this.port),
      PGSSLMODE: 'verify-full',
      PGSSLROOTCERT: this.proxyCa,
      PGSSLCERT: `${name}.pem`,
      PGSSLKEY: `${name}.key`,
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

  /** Of the only session so far, or the last one. */
  get facts(): DatabaseFacts {
    const last = [...this.control.facts.values()].at(-1)
    if (!last) throw new Error('there was no session')
    return last
  }

  async recorded({ recording }: DatabaseFacts = this.facts): Promise<readonly RecordingRecord[]> {
    const records: RecordingRecord[] = []
    for await (const chunk of readRecording(recording.path, recording.key)) records.push(...chunk.records)
    return records
  }
}
