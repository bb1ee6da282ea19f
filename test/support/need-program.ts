import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const PACKAGES: Readonly<Record<string, string>> = {
  ssh: 'openssh-client',
  scp: 'openssh-client',
  sftp: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  sshd: 'openssh-server',
  'sftp-server': 'openssh-sftp-server',
  tmux: 'tmux',
  strace: 'strace',
  npm: 'npm',
  git: 'git',
  script: 'bsdutils',
  unshare: 'util-linux',
  setpriv: 'util-linux',
  postgres: 'postgresql',
  initdb: 'postgresql',
  mariadbd: 'mariadb-server',
  'mariadb-install-db': 'mariadb-server',
  mariadb: 'mariadb-client',
  'mariadb-dump': 'mariadb-client',
  sysbench: 'sysbench',
  pgcli: 'pgcli',
  rhino: 'rhino',
  java: 'default-jre-headless',
  chromium: 'chromium',
}
// Where Debian keeps servers that are not in an ordinary PATH.
const ALSO = ['/usr/sbin', '/sbin', '/usr/lib/openssh']

/** Absolute path of a program. A test whose program is missing fails and says what to install; it is never skipped. */
export function needProgram(name: string): string {
  for (const folder of [...(process.env['PATH'] ?? '').split(delimiter), ...ALSO]) {
    const path = join(folder, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  throw new Error(`${name} is missing: run script/bootstrap test, or apt-get install ${PACKAGES[name] ?? name}`)
}
