// A real sshd on a free loopback port, in the foreground, from a folder of its own.
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { needProgram } from './need-program.ts'

export interface SshdOptions {
  /** Lines `type base64` of authorities whose user certificates are accepted */
  readonly userAuthorities?: readonly string[]
  /** Lines `type base64` of keys that may sign in */
  readonly authorizedKeys?: readonly string[]
  /** OpenSSH private key file text; one is made when not given */
  readonly hostKey?: string
  /** Line of the certificate for hostKey */
  readonly hostCertificate?: string
  /** More lines for sshd_config. They win: sshd takes the first value it reads. */
  readonly config?: readonly string[]
}

export interface Sshd {
  readonly port: number
  /** Removed by stop() */
  readonly folder: string
  /** The only user there is: the one the tests run as */
  readonly user: string
  /** Line `type base64 comment` */
  readonly hostPublicKey: string
  /** What sshd logged so far, at level DEBUG1 */
  log(): string
  stop(): Promise<void>
}

/** Starts and waits until it listens. Fails, and says what to install, when there is no sshd. */
export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const program = needProgram('sshd')
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-sshd-'))
  const port = await freePort()
  writeFiles(folder, port, options)
  // sshd run by root insists on this folder.
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  let log = ''
  const child = spawn(program, ['-D', '-e', '-f', join(folder, 'sshd_config')], { stdio: ['ignore', 'ignore', 'pipe'] })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text))
  const stop = async (): Promise<void> => {
    await end(child)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await untilListening(child, () => log)
  } catch (error) {
    await stop()
    throw error
  }
  const hostPublicKey = readFileSync(join(folder, 'host_key.pub'), 'utf8').trim()
  return { port, folder, user: userInfo().username, hostPublicKey, log: () => log, stop }
}

function writeFiles(folder: string, port: number, options: SshdOptions): void {
  const keygen = needProgram('ssh-keygen')
  const path = (name: string): string => join(folder, name)
  const write = (name: string, text: string): void => writeFileSync(path(name), text, { mode: 0o600 })
  if (options.hostKey === undefined) execFileSync(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', path('host_key')])
  else write('host_key', options.hostKey)
  write('host_key.pub', execFileSync(keygen, ['-y', '-f', path('host_key')], { encoding: 'utf8' }))
  if (options.hostCertificate !== undefined) write('host_key-cert.pub', `${options.hostCertificate}\n`)
  write('authorities', (options.userAuthorities ?? []).map((line) => `${line}\n`).join(''))
  write('authorized_keys', (options.authorizedKeys ?? []).map((line) => `${line}\n`).join(''))
  mkdirSync(path('home'))
  const lines = [
    ...withHome(options.config ?? [], path('home')),
    `ListenAddress 127.0.0.1:${port}`,
    `HostKey ${path('host_key')}`,
    ...(options.hostCertificate === undefined ? [] : [`HostCertificate ${path('host_key-cert.pub')}`]),
    `PidFile none`,
    `TrustedUserCAKeys ${path('authorities')}`,
    `AuthorizedKeysFile ${path('authorized_keys')}`,
    'AuthenticationMethods publickey',
    'PermitRootLogin yes',
    'StrictModes no',
    'UsePAM no',
    'UseDNS no',
    'LogLevel DEBUG1',
    'MaxStartups 1000',
    'MaxSessions 100',
    'Subsystem sftp internal-sftp',
    'AcceptEnv LANG LC_* SALLYPORT_TEST_*',
  ]
  write('sshd_config', `${lines.join('\n')}\n`)
}

/**
 * Shells get an empty home: what somebody's own .bashrc does can take a minute (tools that take locks) and print anything.
 * sshd knows one SetEnv line only, the first.
 */
function withHome(config: readonly string[], home: string): string[] {
  const isSetEnv = (line: string): boolean => line.startsWith('SetEnv ')
  const lines = config.map((line) => (isSetEnv(line) ? `${line} HOME=${home}` : line))
  return config.some(isSetEnv) ? lines : [...lines, `SetEnv HOME=${home}`]
}

function untilListening(child: ChildProcess, log: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      if (log().includes('Server listening on')) resolve()
    }
    child.stderr?.on('data', look)
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`sshd ended with ${code}:\n${log()}`)))
  })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await gone
}
