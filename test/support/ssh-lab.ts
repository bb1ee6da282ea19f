// A real sshd, our relay in front of it, and files for the stock programs: everything a test needs to type `ssh box`.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WorkerSettings } from '../../src/connection/control-plane.ts'
import { SshRelay } from '../../src/connection/relay/ssh/ssh-relay.ts'
import { mintCertificate, type CertificateSpec } from '../../src/formats/openssh/mint-certificate.ts'
import { writePrivateKey } from '../../src/formats/openssh/private-key.ts'
import { formatPublicKeyLine, publicKeyOf } from '../../src/formats/openssh/public-key.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { newId } from '../../src/foundation/ids.ts'
import { silentLog, type Log } from '../../src/foundation/log.ts'
import type { RecordingRecord } from '../../src/formats/recording-record.ts'
import { readRecording } from '../../src/recording/recording-reader.ts'
import { FakeControlPlane } from './fake-control-plane.ts'
import { RunningProgram, runProgram, type Finished } from './run-program.ts'
import { startSshd, type Sshd, type SshdOptions } from './sshd.ts'

export const PROXY_NAME = 'proxy.test'
export const NODE = 'box'

export interface SshLabOptions {
  readonly sshd?: SshdOptions
  readonly limits?: Partial<WorkerSettings['limits']>
  readonly log?: Log
}

interface Identity {
  readonly key: KeyObject
  readonly certificate: Buffer
}

/** Starts with `SshLab.start`; `stop` takes everything away. */
export class SshLab {
  readonly sshd: Sshd
  readonly control: FakeControlPlane
  readonly relay: SshRelay
  readonly port: number
  readonly folder: string
  readonly userAuthority: KeyObject
  readonly userId = newId('user', Date.now())
  readonly loginId = newId('login', Date.now())
  readonly #server: Server

  private constructor(parts: {
    sshd: Sshd
    control: FakeControlPlane
    relay: SshRelay
    server: Server
    folder: string
    userAuthority: KeyObject
    hostAuthority: KeyObject
  }) {
    this.sshd = parts.sshd
    this.control = parts.control
    this.relay = parts.relay
    this.folder = parts.folder
    this.userAuthority = parts.userAuthority
    this.#server = parts.server
    this.port = (parts.server.address() as AddressInfo).port
    this.writeIdentity('id', this.userCertificate({}))
    const authority = formatPublicKeyLine(publicKeyOf(parts.hostAuthority).blob)
    writeFileSync(join(this.folder, 'known_hosts'), `@cert-authority ${PROXY_NAME} ${authority}\n`)
    this.#writeConfig()
  }

  static async start(options: SshLabOptions = {}): Promise<SshLab> {
    const userAuthority = newKey()
    const onwardAuthority = newKey()
    const hostAuthority = newKey()
    // At DEBUG1 sshd writes to the stderr of what it starts.
    const config = ['LogLevel VERBOSE', ...(options.sshd?.config ?? [])]
    const sshd = await startSshd({ ...options.sshd, config, userAuthorities: [publicLine(onwardAuthority)] })
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-lab-'))
    mkdirSync(join(folder, 'recordings'))
    const node = {
      id: newId('node', Date.now()),
      name: NODE,
      host: '127.0.0.1',
      port: sshd.port,
      hostKey: sshd.hostPublicKey,
      hostAuthority: null,
      hostPrincipal: null,
    }
    const control = new FakeControlPlane({
      onwardAuthority,
      node,
      login: sshd.user,
      folder: join(folder, 'recordings'),
    })
    const settings = settingsOf(userAuthority, hostAuthority, options.limits)
    const relay = new SshRelay({
      control,
      settings: () => settings,
      authorizationOf: (facts) => control.authorizationOf(facts),
      clock: systemClock,
      log: options.log ?? silentLog,
    })
    const server = createServer((socket) => {
      socket.on('error', () => {})
      void relay.handle({ socket, address: '127.0.0.1', node: null, signedIn: () => {} })
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new SshLab({ sshd, control, relay, server, folder, userAuthority, hostAuthority })
  }

  async stop(): Promise<void> {
    this.#server.close()
    await this.relay.tellAndClose('the test is over')
    await this.sshd.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A user certificate as sign-in makes it, with changes. */
  userCertificate(change: Partial<CertificateSpec>, authority = this.userAuthority, key = newKey()): Identity {
    const spec: CertificateSpec = {
      subject: publicKeyOf(key),
      kind: 'user',
      keyId: 'alice',
      principals: [`sallyport-user-${this.userId}`],
      validAfter: Date.now() - 60_000,
      validBefore: Date.now() + 3_600_000,
      criticalOptions: { 'login-session@sallyport': this.loginId },
      extensions: {},
      ...change,
    }
    return { key, certificate: mintCertificate(spec, authority).blob }
  }

  /** Key and certificate files for the stock programs. */
  writeIdentity(name: string, { key, certificate }: Identity): void {
    const path = join(this.folder, name)
    const isEd25519 = key.asymmetricKeyType === 'ed25519'
    const pem = isEd25519 ? writePrivateKey(key, 'test') : key.export({ type: 'pkcs8', format: 'pem' })
    writeFileSync(path, pem, { mode: 0o600 })
    writeFileSync(`${path}-cert.pub`, `${formatPublicKeyLine(certificate)}\n`)
  }

  /** What every program starts with. `ssh_config_bare` is the same without an identity. */
  get flags(): readonly string[] {
    return ['-F', join(this.folder, 'ssh_config')]
  }

  ssh(args: readonly string[], input: string | Uint8Array = ''): Promise<Finished> {
    return runProgram('ssh', [...this.flags, ...args], input)
  }

  start(program: string, args: readonly string[]): RunningProgram {
    return new RunningProgram(program, [...this.flags, ...args])
  }

  /** ssh on a terminal of its own (util-linux's script makes one), of `rows` x `columns`. */
  terminal(args: readonly string[], rows = 24, columns = 80): RunningProgram {
    const command = ['ssh', ...this.flags, ...args].map((word) => `'${word}'`).join(' ')
    return new RunningProgram('script', ['-qfec', `stty rows ${rows} cols ${columns}; exec ${command}`, '/dev/null'])
  }

  /** What the recording of the only, or the last, session holds. */
  async recording(): Promise<RecordingRecord[]> {
    const facts = [...this.control.facts.values()].at(-1)
    if (!facts) throw new Error('there was no session')
    const records: RecordingRecord[] = []
    for await (const chunk of readRecording(facts.recording.path, facts.recording.key)) records.push(...chunk.records)
    return records
  }

  #writeConfig(): void {
    const lines = [
      'Host *',
      'HostName 127.0.0.1',
      `Port ${this.port}`,
      `HostKeyAlias ${PROXY_NAME}`,
      `UserKnownHostsFile ${join(this.folder, 'known_hosts')}`,
      'GlobalKnownHostsFile none',
      'StrictHostKeyChecking yes',
      'UpdateHostKeys no',
      'IdentitiesOnly yes',
      'IdentityAgent none',
      `IdentityFile ${join(this.folder, 'id')}`,
      'BatchMode yes',
      `User +${NODE}`,
    ]
    writeFileSync(join(this.folder, 'ssh_config'), `${lines.join('\n')}\n`)
    const bare = lines.filter((line) => !line.startsWith('IdentityFile'))
    writeFileSync(join(this.folder, 'ssh_config_bare'), `${bare.join('\n')}\n`)
  }
}

function newKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey
}

function publicLine(key: KeyObject): string {
  return formatPublicKeyLine(publicKeyOf(key).blob)
}

function settingsOf(
  userAuthority: KeyObject,
  hostAuthority: KeyObject,
  limits: Partial<WorkerSettings['limits']> = {},
): WorkerSettings {
  const hostKey = newKey()
  const spec: CertificateSpec = {
    subject: publicKeyOf(hostKey),
    kind: 'host',
    keyId: 'proxy',
    principals: [PROXY_NAME],
    validAfter: Date.now() - 60_000,
    validBefore: Date.now() + 3_600_000,
  }
  return {
    installation: newId('installation', Date.now()),
    proxyName: PROXY_NAME,
    userAuthorities: [publicKeyOf(userAuthority).blob],
    userX509Authorities: [],
    hostKey: {
      privatePem: hostKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
      certificate: mintCertificate(spec, hostAuthority).blob,
      publicBlob: publicKeyOf(hostKey).blob,
    },
    tls: { keyPem: '', certificatePem: '' },
    webTls: null,
    apiSocket: '',
    limits: {
      loginGraceMs: 30_000,
      connections: 1000,
      unauthenticated: 100,
      unauthenticatedPerAddress: 100,
      channelsPerConnection: 100,
      ...limits,
    },
    mysqlServerVersion: '8.0.0',
  }
}
