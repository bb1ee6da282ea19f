// What stock OpenSSH is told, per node and in this order (the first value that ssh finds wins):
//   Host N                               ssh N signs in as `+N`: no login named
//   Match originalhost N user "+N"       straight to the proxy over TCP, no helper on the path
//   Match originalhost N !user "+N"      `ssh root@N`: the user name cannot say the node, so a helper does, in one line
// The second kind has no HostName: ControlPath %C and %r@%h:%p then hold the node's own name and never mix two nodes.
import type { Proxy } from '../../shared/profile.ts'
import { CommandFailed } from '../../shared/command-failed.ts'

export interface SshConfigFacts {
  readonly proxy: Pick<Proxy, 'host' | 'port' | 'name'>
  readonly user: string
  readonly nodes: readonly string[]
  readonly files: { readonly identity: string; readonly certificate: string; readonly knownHosts: string }
  /** Program and first arguments; `HOST PORT NODE` is added. */
  readonly proxyCommand: readonly string[]
}

export function renderSshConfig(facts: SshConfigFacts): string {
  const { proxy, files } = facts
  const helper = [...facts.proxyCommand, proxy.host, String(proxy.port)].map(shellWord).join(' ')
  const common = [
    `HostKeyAlias ${configWord(proxy.name)}`,
    `UserKnownHostsFile ${configPath(files.knownHosts)}`,
    'GlobalKnownHostsFile /dev/null',
    'StrictHostKeyChecking yes',
    'UpdateHostKeys no',
    `IdentityFile ${configPath(files.identity)}`,
    `CertificateFile ${configPath(files.certificate)}`,
    'IdentitiesOnly yes',
    // The second one only where the proxy offers to ask for access within the connection.
    'PreferredAuthentications publickey,keyboard-interactive',
  ]
  const blocks = [...facts.nodes].sort().map((node) => {
    const name = configWord(node)
    return [
      `Host ${name}`,
      `  User +${name}`,
      `Match originalhost ${name} user "+${name}"`,
      `  HostName ${configWord(proxy.host)}`,
      `  Port ${proxy.port}`,
      ...common.map((line) => `  ${line}`),
      `Match originalhost ${name} !user "+${name}"`,
      // The node by name and no %r: what stands behind a token reaches the person's shell as somebody else wrote it
      // (CVE-2023-51385, `ssh://$(x)@db-box` in a repository's submodules).
      `  ProxyCommand ${helper} ${name}`,
      ...common.map((line) => `  ${line}`),
    ].join('\n')
  })
  const head = [
    `# Written by sally for ${configWord(facts.user)} at ${configWord(proxy.host)}:${proxy.port}. Changes are lost:`,
    '# sally login, sally ls and sally request write it anew.',
  ].join('\n')
  return `${[head, ...blocks].join('\n\n')}\n`
}

/** One line for each authority: first contact is silent, and no other key is believed under the proxy's name. */
export function renderKnownHosts(proxy: Pick<Proxy, 'name' | 'sshHostAuthorities'>): string {
  return proxy.sshHostAuthorities
    .map((line) => {
      const found = /^(ssh-ed25519|ecdsa-sha2-nistp256) ([A-Za-z0-9+/]+={0,2})(?: |$)/.exec(line.trim())
      if (!found) throw new CommandFailed('failed', 'the proxy names a host authority of an unknown kind')
      return `@cert-authority ${configWord(proxy.name)} ${found[1]} ${found[2]}\n`
    })
    .join('')
}

/** Names, host names and addresses; the server's answer must not be able to write a line of its own. */
function configWord(text: string): string {
  if (!/^[A-Za-z0-9:][A-Za-z0-9._:-]*$/.test(text))
    throw new CommandFailed('failed', `"${text}" cannot stand in a ssh_config`)
  return text
}

/** ssh expands `%` and `${NAME}` in paths, and splits at blanks outside quotes. */
function configPath(path: string): string {
  if (/["\n\r\\]|\$\{/.test(path))
    throw new CommandFailed('failed', `ssh cannot be told a path like ${path}`, 'Set SALLY_HOME to a plain folder.')
  return `"${path.replaceAll('%', '%%')}"`
}

/** A ProxyCommand goes through the person's shell after ssh has expanded `%`. */
function shellWord(word: string): string {
  const escaped = word.replaceAll('%', '%%')
  if (/[\n\r]/.test(word)) throw new CommandFailed('failed', `ssh cannot be told a path like ${word}`)
  return /^[A-Za-z0-9/._:=@+-]+$/.test(word) ? escaped : `'${escaped.replaceAll("'", "'\\''")}'`
}
