// What the labs of both database relays share: authorities, what a worker is told, people's certificates, what was recorded.
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DatabaseFacts } from '../../src/connection/authorization.ts'
import type { WorkerSettings } from '../../src/connection/control-plane.ts'
import type { RecordingRecord } from '../../src/formats/recording-record.ts'
import { systemClock, type Clock } from '../../src/foundation/clock.ts'
import { newId } from '../../src/foundation/ids.ts'
import { silentLog, type Log } from '../../src/foundation/log.ts'
import { readRecording } from '../../src/recording/recording-reader.ts'
import { FakeDatabaseControl } from './fake-database-control.ts'
import { TestAuthority, type KeyAndCertificate } from './test-authority.ts'

const INSTALLATION = 'inst_test'
export const PASSWORD = 'correct horse'

export interface DatabaseLabOptions {
  readonly log?: Log
  readonly limits?: Partial<WorkerSettings['limits']>
  /** Of the relay */
  readonly clock?: Clock
}

const LIMITS: WorkerSettings['limits'] = {
  loginGraceMs: 10_000,
  connections: 1000,
  unauthenticatedPerAddress: 1000,
  unauthenticated: 1000,
  channelsPerConnection: 10,
}

/** What there is before the server: it needs `databaseAuthority`. */
export interface LabGround {
  readonly folder: string
  readonly userAuthority: TestAuthority
  /** Signs what the proxy shows to clients */
  readonly proxyAuthority: TestAuthority
  /** Signs what the proxy shows to servers */
  readonly databaseAuthority: TestAuthority
}

export async function labGround(): Promise<LabGround> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-db-lab-'))
  const [userAuthority, proxyAuthority, databaseAuthority] = await Promise.all([
    TestAuthority.make('people'),
    TestAuthority.make('proxy'),
    TestAuthority.make('databases'),
  ])
  writeFileSync(join(folder, 'proxy-ca.pem'), proxyAuthority.certificatePem)
  return { folder, userAuthority, proxyAuthority, databaseAuthority }
}

/** The control plane for one database `orders`, whose server shows certificates of its authority. */
export function labControl(
  { folder, databaseAuthority }: LabGround,
  protocol: DatabaseFacts['protocol'],
  server: { readonly port: number; readonly authority: TestAuthority },
): FakeDatabaseControl {
  return new FakeDatabaseControl({
    protocol,
    database: { id: newId('database', Date.now()), name: 'orders', host: '127.0.0.1', port: server.port },
    tls: { mode: 'verify-full', authorities: server.authority.certificatePem, serverName: 'localhost' },
    ...{ installation: INSTALLATION, authority: databaseAuthority, folder },
  })
}

/** What every relay is made of. */
export async function relayDeps(
  { userAuthority, proxyAuthority }: LabGround,
  control: FakeDatabaseControl,
  options: DatabaseLabOptions,
) {
  const settings: WorkerSettings = {
    installation: INSTALLATION,
    proxyName: 'proxy.test',
    userAuthorities: [],
    userX509Authorities: [userAuthority.certificatePem],
    hostKey: { privatePem: '', certificate: new Uint8Array(), publicBlob: new Uint8Array() },
    tls: await proxyAuthority.server(['localhost', '127.0.0.1']),
    webTls: null,
    apiSocket: '',
    limits: { ...LIMITS, ...options.limits },
    mysqlServerVersion: '5.5.5-10.11.0-MariaDB-sallyport',
  }
  return {
    ...{ control, clock: options.clock ?? systemClock, log: options.log ?? silentLog },
    settings: () => settings,
    authorizationOf: (facts: DatabaseFacts) => control.authorizationOf(facts),
  }
}

/** On a free port of the loopback. */
export async function listen(take: (socket: Socket) => void): Promise<Server> {
  const listener = createServer((socket) => {
    socket.on('error', () => {})
    take(socket)
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  return listener
}

export interface LabParts<LabServer, Relay> extends LabGround {
  readonly server: LabServer
  readonly serverAuthority: TestAuthority
  readonly control: FakeDatabaseControl
  readonly relay: Relay
  readonly listener: Server
}

/** A real server, our relay in front of it, and files for stock programs. */
export class DatabaseLab<
  LabServer extends { stop(): Promise<void> },
  Relay extends { tellAndClose(text: string): Promise<void> },
> implements AsyncDisposable {
  readonly server: LabServer
  readonly control: FakeDatabaseControl
  readonly relay: Relay
  readonly port: number
  readonly folder: string
  readonly userAuthority: TestAuthority
  readonly proxyAuthority: TestAuthority
  readonly serverAuthority: TestAuthority
  readonly #listener: Server

  protected constructor(parts: LabParts<LabServer, Relay>) {
    this.server = parts.server
    this.control = parts.control
    this.relay = parts.relay
    this.folder = parts.folder
    this.userAuthority = parts.userAuthority
    this.proxyAuthority = parts.proxyAuthority
    this.serverAuthority = parts.serverAuthority
    this.#listener = parts.listener
    this.port = (parts.listener.address() as AddressInfo).port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close()
    await this.relay.tellAndClose('the test is over')
    await this.server.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** Connections of clients that the relay has not closed. */
  openSockets(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>()
    this.#listener.getConnections((_error, count) => resolve(count))
    return promise
  }

  get proxyCa(): string {
    return join(this.folder, 'proxy-ca.pem')
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

  /** A certificate as files; without one: of somebody new. */
  async certificateFiles(
    as: KeyAndCertificate | null,
  ): Promise<{ readonly key: string; readonly certificate: string }> {
    const { keyPem, certificatePem } = as ?? (await this.certificate())
    const name = join(this.folder, newId('login', Date.now()))
    writeFileSync(`${name}.key`, keyPem, { mode: 0o600 })
    writeFileSync(`${name}.pem`, certificatePem)
    return { key: `${name}.key`, certificate: `${name}.pem` }
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
