// Direct sshd, and `ssh -J` through a second one: both as Debian's package configures them, on loopback ports.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { freePort } from '../../test/support/free-port.ts'
import type { TempFolder } from '../../test/support/temp-folder.ts'
import { until } from '../../test/support/until.ts'
import { connects } from '../../src/main/demo/free-port.ts'
import type { SshHost } from './ssh-host.ts'

const DEBIANS_OWN = '/usr/share/openssh/sshd_config'

export interface Target extends AsyncDisposable {
  readonly port: number
  /** `ssh-ed25519 AAAA...` */
  readonly hostKey: string
  /** From now on also who shows a certificate of this authority gets in. */
  trust(authority: string): void
}

/** sshd with Debian's configuration. Only what a second sshd on one machine cannot share is set: port, keys, files. */
export async function startTarget(folder: TempFolder, name: string): Promise<Target> {
  const port = await freePort()
  const file = (what: string): string => folder.file(`${name}-${what}`)
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file('host_key')])
  writeFileSync(file('authorities'), '')
  mkdirSync(file('home'))
  const options = [
    'ListenAddress=127.0.0.1',
    `Port=${port}`,
    `HostKey=${file('host_key')}`,
    'PidFile=none',
    `AuthorizedKeysFile=${folder.file('id.pub')}`,
    `TrustedUserCAKeys=${file('authorities')}`,
    // The keys lie in a temporary folder.
    'StrictModes=no',
    // Not the account's own .bashrc: what it does would be most of the time of a short command.
    `SetEnv=HOME=${file('home')}`,
    // An ordinary user's sshd cannot use PAM.
    ...(userInfo().uid === 0 ? [] : ['UsePAM=no']),
  ].flatMap((option) => ['-o', option])
  const child = spawn('/usr/sbin/sshd', ['-D', '-e', '-f', DEBIANS_OWN, ...options], {
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  await until(`sshd ${name}`, () =>
    child.exitCode === null ? connects(port) : Promise.reject(new Error(`sshd ${name} ended`)),
  )
  return {
    port,
    hostKey: readFileSync(`${file('host_key')}.pub`, 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' '),
    trust: (authority) => writeFileSync(file('authorities'), `${authority}\n`),
    [Symbol.asyncDispose]: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGTERM')
  await gone
}

export function createIdentity(folder: TempFolder): void {
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', folder.file('id')])
}

export function plainHosts(folder: TempFolder, target: Target, jump: Target): { direct: SshHost; jump: SshHost } {
  const config = folder.file('ssh_config')
  const known = folder.file('known_hosts')
  writeFileSync(known, `target ${target.hostKey}\njump ${jump.hostKey}\n`)
  const common = [
    `  UserKnownHostsFile ${known}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  IdentitiesOnly yes',
    `  IdentityFile ${folder.file('id')}`,
    '  LogLevel ERROR',
    '  HostName 127.0.0.1',
  ]
  const host = (name: string, port: number, alias: string, ...more: readonly string[]): string =>
    [`Host ${name}`, `  Port ${port}`, `  HostKeyAlias ${alias}`, ...more.map((line) => `  ${line}`), ...common].join(
      '\n',
    )
  const hosts = [
    host('direct', target.port, 'target'),
    host('jump', jump.port, 'jump'),
    host('behind-jump', target.port, 'target', 'ProxyJump jump'),
  ]
  writeFileSync(config, `${hosts.join('\n')}\n`)
  return {
    direct: { name: 'direct', options: ['-F', config], destination: 'direct' },
    jump: { name: 'ProxyJump', options: ['-F', config], destination: 'behind-jump' },
  }
}
