// A daemon with a real PostgreSQL or MariaDB server behind it, and alice, who may use the database shop in it.
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { framed } from '../../src/connection/relay/mysql/wire/packets.ts'
import { databaseClient, type DatabaseClientFiles } from './database-client.ts'
import { freePort } from './free-port.ts'
import { MariadbServer } from './mariadb.ts'
import { needProgram } from './need-program.ts'
import { secureServer } from './postgres-lab.ts'
import { PostgresServer, type PostgresServerOptions } from './postgres.ts'
import { RawMysqlClient } from './raw-mysql-client.ts'
import { message, RawPostgresClient, startup } from './raw-postgres-client.ts'
import { run, start, type Finished, type RunningProgram } from './run.ts'
import { startSallyport, type Account, type Sallyport, type SallyportOptions } from './sallyport.ts'
import { StallingProxy } from './stalling-proxy.ts'

const PASSWORD = 'nobody types this'
const QUERY = 3
const USERS = { postgres: 'bycert', mysql: 'app' } as const
export const PROTOCOLS = ['postgres', 'mysql'] as const
export type DatabaseProtocol = (typeof PROTOCOLS)[number]

export interface DatabaseHouseOptions extends SallyportOptions {
  /** `options` of alice's role */
  readonly roleOptions?: Readonly<Record<string, unknown>>
  /** Of the server, as its configuration file has them */
  readonly server?: readonly string[]
}

/** What both servers are asked in their own words. */
interface DatabaseServer {
  readonly port: number
  /** As the one whom nobody keeps from anything */
  sql(statement: string): Promise<string>
  /** Sessions of the db user that alice has: what each runs, empty where nothing */
  sessions(): Promise<readonly string[]>
  stop(): Promise<void>
}

export class DatabaseHouse implements AsyncDisposable {
  readonly protocol: DatabaseProtocol
  readonly sallyport: Sallyport
  readonly server: DatabaseServer
  readonly alice: Account
  /** Between the daemon and the server */
  readonly network: StallingProxy
  /** What a client of alice needs to sign in */
  readonly files: DatabaseClientFiles
  /** Arguments of the stock client, before what it is to do */
  readonly #client: readonly string[]
  readonly #env: Readonly<Record<string, string>>

  private constructor(parts: {
    protocol: DatabaseProtocol
    sallyport: Sallyport
    server: DatabaseServer
    alice: Account
    network: StallingProxy
    files: DatabaseClientFiles
    client: { args: readonly string[]; env: Readonly<Record<string, string>> }
  }) {
    this.protocol = parts.protocol
    this.sallyport = parts.sallyport
    this.server = parts.server
    this.alice = parts.alice
    this.network = parts.network
    this.files = parts.files
    this.#client = parts.client.args
    this.#env = parts.client.env
  }

  static async start(protocol: DatabaseProtocol, options: DatabaseHouseOptions = {}): Promise<DatabaseHouse> {
    const { roleOptions = {}, server: serverConfig = [], config, ...others } = options
    // It must be the same after a restart.
    const mysql = protocol === 'mysql' ? { mysql: { listen: `127.0.0.1:${String(await freePort())}` } } : {}
    const sallyport = await startSallyport({ ...others, config: { ...mysql, ...config } })
    let server: DatabaseServer | null = null
    try {
      const made =
        protocol === 'mysql' ? await mariadb(serverConfig) : await postgres(sallyport, { config: serverConfig })
      server = made.server
      const network = await StallingProxy.start(server.port)
      const tls = { mode: 'verify-full', ca: made.authority, server_name: 'localhost' }
      await sallyport.document({
        kind: 'database',
        version: 'v1',
        metadata: { name: 'orders', labels: { env: 'prod' } },
        spec: { protocol, address: `127.0.0.1:${String(network.port)}`, tls, auth: made.auth },
      })
      const allow = { db_labels: { env: 'prod' }, db_users: [USERS[protocol]], db_names: ['shop'] }
      await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow, options: roleOptions } })
      await sallyport.user('alice', ['dba'])
      const alice = await sallyport.signIn('alice')
      const files = await databaseClient(alice, 'orders')
      const client = clientOf(protocol, sallyport, files)
      return new DatabaseHouse({ protocol, sallyport, server, alice, network, files, client })
    } catch (error) {
      const log = sallyport.logText()
      await sallyport.stop()
      await server?.stop()
      throw new Error(`${String(error)}\n${log.slice(-2000)}`, { cause: error })
    }
  }

  /** The stock client with this statement, to its end. */
  run(sql: string): Promise<Finished> {
    return run(this.#program, [...this.#client, this.#with, sql], { env: this.#env, timeout: 120_000 })
  }

  /** The stock client with this statement; without one it takes statements from its input. */
  start(sql?: string): RunningProgram {
    const words = sql === undefined ? [] : [this.#with, sql]
    return start(this.#program, [...this.#client, ...words], { env: this.#env })
  }

  /** A client that is in and says what it is told to; its bytes are whoever's who listens. */
  async raw(): Promise<Socket> {
    const { keyFile, certificateFile, port } = this.files
    const [key, cert] = [readFileSync(keyFile, 'utf8'), readFileSync(certificateFile, 'utf8')]
    if (this.protocol === 'mysql') {
      const certificate = { keyPem: key, certificatePem: cert }
      const client = await RawMysqlClient.connect({ port: port ?? 0, user: USERS.mysql, database: 'shop', certificate })
      client.socket.removeAllListeners('data')
      return client.socket
    }
    const client = await RawPostgresClient.secure(this.sallyport.port, { rejectUnauthorized: false, key, cert })
    client.send(startup({ user: USERS.postgres, database: 'shop' }))
    await client.gets('Z')
    client.socket.removeAllListeners('data')
    return client.socket
  }

  /** One statement in the protocol's own words */
  statement(sql: string): Buffer {
    return this.protocol === 'mysql' ? framed(0, Buffer.from([QUERY]), Buffer.from(sql)) : message('Q', `${sql}\0`)
  }

  /** Statement that runs for that long and does nothing */
  sleep(seconds: number): string {
    return this.protocol === 'mysql' ? `select sleep(${seconds})` : `select pg_sleep(${seconds})`
  }

  get #program(): string {
    return needProgram(this.protocol === 'mysql' ? 'mariadb' : 'psql')
  }
  get #with(): string {
    return this.protocol === 'mysql' ? '-e' : '-c'
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sallyport.stop()
    this.network[Symbol.dispose]()
    await this.server.stop()
  }
}

interface MadeServer {
  readonly server: DatabaseServer
  /** PEM of what signed the server's certificate */
  readonly authority: string
  readonly auth: Readonly<Record<string, unknown>>
}

async function postgres(sallyport: Sallyport, options: PostgresServerOptions): Promise<MadeServer> {
  const server = await PostgresServer.start(options)
  const { items } = await sallyport.api.listAuthorities({})
  const { certificatePem } = await secureServer(
    server,
    items.find(({ kind }) => kind === 'database-x509')?.public ?? '',
  )
  await server.query('shop', 'grant create on schema public to bycert')
  const sessions = async (): Promise<string[]> => {
    const rows = await server.query(
      'postgres',
      `select case state when 'active' then query else '' end as query from pg_stat_activity
       where usename = 'bycert' and backend_type = 'client backend'`,
    )
    return rows.map(({ query }) => String(query))
  }
  const sql = async (statement: string): Promise<string> =>
    (await server.query('shop', statement)).map((row) => `${Object.values(row).join('\t')}\n`).join('')
  return {
    server: { port: server.port, sql, sessions, stop: () => server.stop() },
    ...{ authority: certificatePem, auth: { kind: 'certificate' } },
  }
}

async function mariadb(config: readonly string[]): Promise<MadeServer> {
  const server = await MariadbServer.start({ config })
  await server.sql(
    `create database shop; create user app@'%' identified by '${PASSWORD}'; grant all on shop.* to app@'%';`,
  )
  const sessions = async (): Promise<string[]> => {
    const text = await server.sql(
      "select concat('-', coalesce(info, '')) from information_schema.processlist where user = 'app';",
    )
    return text.split('\n').flatMap((line) => (line === '' ? [] : [line.slice(1)]))
  }
  return {
    server: { port: server.port, sql: (sql) => server.sql(`use shop; ${sql};`), sessions, stop: () => server.stop() },
    authority: server.authority.certificatePem,
    auth: { kind: 'password', users: [{ name: 'app', password: PASSWORD }] },
  }
}

function clientOf(
  protocol: DatabaseProtocol,
  sallyport: Sallyport,
  { port, authorityFile, certificateFile, keyFile }: DatabaseClientFiles,
): { args: readonly string[]; env: Readonly<Record<string, string>> } {
  const user = USERS[protocol]
  if (protocol === 'mysql') {
    const files = [`--ssl-ca=${authorityFile}`, `--ssl-cert=${certificateFile}`, `--ssl-key=${keyFile}`]
    const to = ['--no-defaults', '-h127.0.0.1', `-P${String(port)}`, `-u${user}`, '-Dshop', '-N', '-B', '-n', '-q']
    return { args: [...to, ...files, '--ssl-verify-server-cert'], env: {} }
  }
  const env = {
    ...{
      PGHOST: '127.0.0.1',
      PGPORT: String(sallyport.port),
      PGUSER: user,
      PGDATABASE: 'shop',
      PGSSLMODE: 'verify-full',
    },
    ...{ PGSSLROOTCERT: authorityFile, PGSSLCERT: certificateFile, PGSSLKEY: keyFile },
  }
  return { args: ['-X', '-q', '-A', '-t'], env }
}
