// A real MariaDB server, our relay in front of it, and files for the stock programs.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseFacts } from '../../src/connection/authorization.ts'
import type { WorkerSettings } from '../../src/connection/control-plane.ts'
import { MysqlRelay } from '../../src/connection/relay/mysql/mysql-relay.ts'
import type { RecordingRecord } from '../../src/formats/recording-record.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { newId } from '../../src/foundation/ids.ts'
import { silentLog, type Log } from '../../src/foundation/log.ts'
import { readRecording } from '../../src/recording/recording-reader.ts'
import { FakeDatabaseControl } from './fake-database-control.ts'
import { MariadbServer, type MariadbOptions } from './mariadb.ts'
import { needProgram } from './need-program.ts'
import { run, type Finished, type RunOptions } from './run.ts'
import { TestAuthority, type KeyAndCertificate } from './test-authority.ts'

export const INSTALLATION = 'inst_test'
export const PASSWORD = 'correct horse'

export interface MysqlLabOptions {
  readonly server?: MariadbOptions
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

export class MysqlLab implements AsyncDisposable {
  readonly server: MariadbServer
  readonly control: FakeDatabaseControl
  readonly relay: MysqlRelay
  readonly port: number
  readonly folder: string
  readonly userAuthority: TestAuthority
  /** Signs what the proxy shows to clients */
  readonly proxyAuthority: TestAuthority
  readonly #listener: Server

  private constructor(
    parts: Pick<MysqlLab, 'server' | 'control' | 'relay' | 'folder' | 'userAuthority' | 'proxyAuthority'> & {
      listener: Server
    },
  ) {
    this.server = parts.server
    this.control = parts.control
    this.relay = parts.relay
    this.folder = parts.folder
    this.userAuthority = parts.userAuthority
    this.proxyAuthority = parts.proxyAuthority
    this.#listener = parts.listener
    this.port = (parts.listener.address() as AddressInfo).port
  }

  /** The account `app` has the password and all rights on the database `shop`; `byCert` signs in by certificate. */
  static async start(options: MysqlLabOptions = {}): Promise<MysqlLab> {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-mysql-'))
    const [userAuthority, proxyAuthority, databaseAuthority] = await Promise.all([
      TestAuthority.make('people'),
      TestAuthority.make('proxy'),
      TestAuthority.make('databases'),
    ])
    const server = await MariadbServer.start({ clientAuthorities: databaseAuthority.certificatePem, ...options.server })
    await server.sql(`
      create database shop;
      create user app@'%' identified by '${PASSWORD}';
      grant all on shop.* to app@'%';
      create user bycert@'%' require subject '/CN=bycert';
      grant all on shop.* to bycert@'%';
    `)
    const control = new FakeDatabaseControl({
      protocol: 'mysql',
      database: { id: newId('database', Date.now()), name: 'orders', host: '127.0.0.1', port: server.port },
      tls: { mode: 'verify-full', authorities: server.authority.certificatePem, serverName: 'localhost' },
      ...{ installation: INSTALLATION, authority: databaseAuthority, folder },
    })
    control.passwords.set('app', PASSWORD)
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
      mysqlServerVersion: '5.5.5-10.11.0-MariaDB-sallyport',
    }
    const relay = new MysqlRelay({
      ...{ control, clock: systemClock, log: options.log ?? silentLog },
      settings: () => settings,
      authorizationOf: (facts) => control.authorizationOf(facts),
    })
    const listener = createServer((socket) => {
      socket.on('error', () => {})
      void relay.handle({ socket, address: '127.0.0.1', signedIn: () => {} })
    }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    writeFileSync(join(folder, 'proxy-ca.pem'), proxyAuthority.certificatePem)
    return new MysqlLab({ server, control, relay, folder, userAuthority, proxyAuthority, listener })
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

  /** Options that make a stock client of MariaDB come through the proxy. */
  async clientOptions(as: KeyAndCertificate | null = null): Promise<readonly string[]> {
    const { keyPem, certificatePem } = as ?? (await this.certificate())
    const name = join(this.folder, newId('login', Date.now()))
    writeFileSync(`${name}.key`, keyPem, { mode: 0o600 })
    writeFileSync(`${name}.pem`, certificatePem)
    const ca = join(this.folder, 'proxy-ca.pem')
    return [
      '-h127.0.0.1',
      `-P${String(this.port)}`,
      `--ssl-ca=${ca}`,
      `--ssl-cert=${name}.pem`,
      `--ssl-key=${name}.key`,
    ]
  }

  /** Runs the stock command line client through the proxy. */
  async mysql(
    args: readonly string[],
    options: RunOptions & { readonly user?: string; readonly as?: KeyAndCertificate } = {},
  ): Promise<Finished> {
    const { user = 'app', as = null, ...others } = options
    const connection = await this.clientOptions(as)
    return run(
      needProgram('mariadb'),
      ['--no-defaults', ...connection, '--ssl-verify-server-cert', `-u${user}`, ...args],
      { timeout: 30_000, ...others },
    )
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
