import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { sleep, type Clock } from '../../foundation/clock.ts'
import { startServer, type Server } from './child.ts'
import { connects } from './free-port.ts'
import type { Layout } from './layout.ts'

export interface NodeServer extends Server {
  readonly name: string
  readonly port: number
  /** `ssh-ed25519 AAAA...` */
  readonly hostKey: string
}

/**
 * A stock sshd on a loopback port that trusts nothing but the onward authority. It runs as whoever runs the demo, so the
 * only login is the own one; what is typed there happens in a folder of the demo.
 */
export async function startNodeServer(
  clock: Clock,
  layout: Layout,
  node: { readonly name: string; readonly port: number; readonly onwardAuthority: string },
): Promise<NodeServer> {
  const { folder, home, log } = layout.node(node.name)
  mkdirSync(home, { recursive: true, mode: 0o700 })
  const key = join(folder, 'host_key')
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', node.name, '-f', key])
  writeFileSync(join(folder, 'onward_authority.pub'), `${node.onwardAuthority}\n`)
  const shell = join(folder, 'shell')
  writeFileSync(shell, shellScript(node.name, home))
  chmodSync(shell, 0o755)
  const config = join(folder, 'sshd_config')
  writeFileSync(config, sshdConfig(folder, node.port, shell))
  furnish(node.name, home)

  const sshd = ['/usr/sbin/sshd', '-D', '-e', '-f', config] as const
  const server = startServer(clock, isolated(node.name, folder, sshd), {
    log,
    env: { PATH: process.env['PATH'] ?? '' },
  })
  const giveUp = new AbortController()
  try {
    await Promise.race([server.failed, answers(clock, node.port, giveUp.signal)])
  } catch (error) {
    giveUp.abort(error)
    throw error
  }
  const hostKey = readFileSync(`${key}.pub`, 'utf8').split(' ').slice(0, 2).join(' ')
  return { ...server, name: node.name, port: node.port, hostKey }
}

const sshdConfig = (folder: string, port: number, shell: string): string => `
ListenAddress 127.0.0.1
Port ${port}
HostKey "${join(folder, 'host_key')}"
PidFile none
TrustedUserCAKeys "${join(folder, 'onward_authority.pub')}"
AuthorizedKeysFile none
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PrintMotd no
PrintLastLog no
AcceptEnv LANG LC_*
Subsystem sftp /usr/lib/openssh/sftp-server
# The shell of the demo: nothing is written into the real home folder.
ForceCommand "${shell}"
`

const shellScript = (name: string, home: string): string => `#!/bin/sh
export HOME='${home}' INPUTRC='${home}/.inputrc' HISTFILE=/dev/null
cd "$HOME" || exit 1
if [ -n "$SSH_ORIGINAL_COMMAND" ]; then exec /bin/sh -c "$SSH_ORIGINAL_COMMAND"; fi
export PS1='${name}$ '
exec bash --noprofile --norc -i
`

function furnish(name: string, home: string): void {
  writeFileSync(join(home, '.inputrc'), 'set enable-bracketed-paste off\n')
  mkdirSync(join(home, 'backups'))
  writeFileSync(join(home, 'orders.csv'), 'id,customer,total\n1001,Ines,120.00\n1002,Tomasz,75.50\n1003,Wei,18.20\n')
  writeFileSync(join(home, 'backups', `${name}-nightly.txt`), 'last backup: 02:00 UTC, 3 orders\n')
}

/**
 * As root, sshd would note each login in the machine's wtmp and lastlog. Where the machine lets us, it gets a /var/log and a
 * utmp of its own, and a host name to go with its prompt.
 */
function isolated(name: string, folder: string, sshd: readonly [string, ...string[]]): readonly [string, ...string[]] {
  if (userInfo().uid !== 0) return sshd
  const own = ['unshare', '--mount', '--uts', '--propagation', 'private'] as const
  const log = join(folder, 'var-log')
  mkdirSync(log, { recursive: true })
  for (const file of [join(log, 'lastlog'), join(log, 'wtmp'), join(folder, 'utmp')]) writeFileSync(file, '')
  const prepare = [
    'mount --bind "$1" /var/log',
    'if [ -e /run/utmp ]; then mount --bind "$2" /run/utmp; fi',
    'hostname "$3"',
    'shift 3',
    'exec "$@"',
  ].join(' && ')
  const command = [...own, 'sh', '-c', prepare, 'sh', log, join(folder, 'utmp'), name] as const
  try {
    execFileSync(command[0], [...command.slice(1), 'true'], { stdio: 'ignore' })
    return [...command, ...sshd]
  } catch {
    return sshd
  }
}

async function answers(clock: Clock, port: number, signal: AbortSignal): Promise<void> {
  const deadline = clock.monotonic() + 10_000
  while (!(await connects(port))) {
    if (clock.monotonic() > deadline) throw new Error(`sshd did not answer on port ${port} within 10 s`)
    await sleep(clock, 25, signal)
  }
}
