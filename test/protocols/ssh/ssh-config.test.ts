// What the stock client makes of the configuration that `sally config` prints: asked with `ssh -G`, and used once.
import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { renderKnownHosts, renderSshConfig } from '../../../src/cli/sally/config/render-ssh-config.ts'
import { installInclude } from '../../../src/cli/sally/config/install-include.ts'
import { readFile, readdir, stat, symlink, writeFile, lstat } from 'node:fs/promises'
import { needProgram } from '../../support/need-program.ts'
import { run } from '../../support/run.ts'
import { tempFolder, type TempFolder } from '../../support/temp-folder.ts'

const SSH = needProgram('ssh')
const PROXY = { host: 'proxy.example', port: 3022, name: 'sallyport' }
const HELPER = new URL('../../../src/cli/proxy-command.ts', import.meta.url).pathname
let temp: TempFolder

beforeAll(() => {
  temp = tempFolder('ssh config %')
})
afterAll(() => temp[Symbol.dispose]())

function writeConfig(overrides: Partial<Parameters<typeof renderSshConfig>[0]> = {}, after = ''): string {
  const path = temp.file(`config-${randomUUID()}`)
  const config = renderSshConfig({
    proxy: PROXY,
    user: 'alice',
    nodes: ['db-box', 'web-1.example'],
    files: { identity: temp.file('id'), certificate: temp.file('id-cert.pub'), knownHosts: temp.file('known_hosts') },
    proxyCommand: [process.execPath, HELPER],
    ...overrides,
  })
  writeFileSync(path, config + after)
  return path
}

type Settings = ReadonlyMap<string, readonly string[]>

/** What ssh would do, as it says itself. */
function settings(config: string, ...args: string[]): Settings {
  const text = execFileSync(SSH, ['-G', '-F', config, ...args], { encoding: 'utf8' })
  const found = new Map<string, string[]>()
  for (const line of text.trim().split('\n')) {
    const [key = '', ...rest] = line.split(' ')
    found.set(key, [...(found.get(key) ?? []), rest.join(' ')])
  }
  return found
}

test('each node has its three blocks, in this order', () => {
  const text = renderSshConfig({
    proxy: PROXY,
    user: 'alice',
    nodes: ['db-box'],
    files: { identity: '/home/a/id', certificate: '/home/a/id-cert.pub', knownHosts: '/home/a/known_hosts' },
    proxyCommand: ['/usr/bin/node', '/opt/it is/proxy-command.mjs'],
  })
  expect(text).toMatchInlineSnapshot(`
    "# Written by sally for alice at proxy.example:3022. Changes are lost:
    # sally login, sally ls and sally request write it anew.

    Host db-box
      User +db-box
    Match originalhost db-box user "+db-box"
      HostName proxy.example
      Port 3022
      HostKeyAlias sallyport
      UserKnownHostsFile "/home/a/known_hosts"
      GlobalKnownHostsFile /dev/null
      StrictHostKeyChecking yes
      UpdateHostKeys no
      IdentityFile "/home/a/id"
      CertificateFile "/home/a/id-cert.pub"
      IdentitiesOnly yes
      PreferredAuthentications publickey,keyboard-interactive
    Match originalhost db-box !user "+db-box"
      ProxyCommand /usr/bin/node '/opt/it is/proxy-command.mjs' proxy.example 3022 db-box
      HostKeyAlias sallyport
      UserKnownHostsFile "/home/a/known_hosts"
      GlobalKnownHostsFile /dev/null
      StrictHostKeyChecking yes
      UpdateHostKeys no
      IdentityFile "/home/a/id"
      CertificateFile "/home/a/id-cert.pub"
      IdentitiesOnly yes
      PreferredAuthentications publickey,keyboard-interactive
    "
  `)
})

test('plain `ssh node` goes straight to the proxy as +node, with no helper on its path', () => {
  const found = settings(writeConfig(), 'db-box')
  expect(found.get('user')).toEqual(['+db-box'])
  expect(found.get('hostname')).toEqual(['proxy.example'])
  expect(found.get('port')).toEqual(['3022'])
  expect(found.has('proxycommand')).toBe(false)
  expect(found.get('hostkeyalias')).toEqual(['sallyport'])
  expect(found.get('stricthostkeychecking')).toEqual(['true'])
  expect(found.get('identitiesonly')).toEqual(['yes'])
  // The folder's name holds a blank and a per cent sign.
  expect(found.get('identityfile')?.[0]).toContain('ssh config %')
  expect(found.get('userknownhostsfile')).toEqual([temp.file('known_hosts')])
})

test('`ssh root@node` keeps its user name and goes through the helper, with no HostName', () => {
  for (const args of [['root@db-box'], ['-l', 'root', 'db-box'], ['ssh://root@db-box']]) {
    const found = settings(writeConfig(), ...args)
    expect(found.get('user')).toEqual(['root'])
    expect(found.get('hostname')).toEqual(['db-box'])
    expect(found.get('proxycommand')?.[0]).toMatch(/proxy-command\.ts proxy\.example 3022 db-box$/)
    expect(found.get('proxycommand')?.[0]).not.toContain('%')
    expect(found.get('hostkeyalias')).toEqual(['sallyport'])
    expect(found.get('identitiesonly')).toEqual(['yes'])
  }
})

test('a user name that a repository or a link brings along never reaches the shell', () => {
  const text = renderSshConfig({
    ...{ proxy: PROXY, user: 'alice', nodes: ['db-box'], proxyCommand: ['node', 'helper'] },
    files: { identity: '/id', certificate: '/id-cert.pub', knownHosts: '/known_hosts' },
  })
  expect(text).not.toMatch(/%[a-zA-Z]/)
})

test('what stands below in the same file does not override it, and other hosts know nothing of it', () => {
  const config = writeConfig({}, '\nHost *\n  User somebody\n  Port 2222\n  ProxyCommand false\n  IdentityFile /x\n')
  const node = settings(config, 'db-box')
  expect([node.get('user'), node.get('port')]).toEqual([['+db-box'], ['3022']])
  const other = settings(config, 'elsewhere')
  expect([other.get('user'), other.get('port'), other.has('hostkeyalias')]).toEqual([['somebody'], ['2222'], false])
})

test.each(['%C', '%r@%h:%p'])('ControlPath %s never mixes two nodes or two logins', (form) => {
  const config = writeConfig({}, `\nHost *\n  ControlMaster auto\n  ControlPath /tmp/cm-${form}\n`)
  const targets = ['db-box', 'web-1.example', 'root@db-box', 'root@web-1.example', 'deploy@db-box']
  const paths = targets.map((target) => settings(config, target).get('controlpath')?.[0])
  expect(paths).not.toContain(undefined)
  expect(new Set(paths).size).toBe(targets.length)
})

test('the helper names the node, passes bytes both ways and ends with the connection', async () => {
  const heads: string[] = []
  await using proxy = await listen((socket) => {
    socket.once('data', (chunk) => {
      heads.push(chunk.toString())
      // Split in its middle, with the first bytes of SSH behind it.
      socket.write('HTTP/1.1 200 Connec')
      socket.write('tion Established\r\n\r\nSSH-2.0-proxy\r\n')
      socket.once('data', (more) => socket.end(`you said ${more.toString()}`))
    })
  })
  const args = [HELPER, '127.0.0.1', String(proxy.port), 'DB-Box']
  const result = await run(process.execPath, args, { input: 'SSH-2.0-client\r\n' })
  expect(heads[0]).toMatch(/^CONNECT db-box:22 HTTP\/1\.1\r\n(?:[^\r\n]+\r\n)*\r\n$/)
  expect(result.stdout).toBe('SSH-2.0-proxy\r\nyou said SSH-2.0-client\r\n')
  expect(result.code).toBe(0)
})

test.each([
  ['HTTP/1.1 403 Forbidden\r\n\r\n', 'refuses: Forbidden'],
  ['HTTP/1.1 200\x1b[31m', 'hung up'],
  ['', 'hung up'],
  ['x'.repeat(5000), 'something else'],
])('the helper says why when the proxy answers #%#', async (answer, says) => {
  await using proxy = await listen((socket) => void socket.once('data', () => socket.end(answer)))
  const result = await run(process.execPath, [HELPER, '127.0.0.1', String(proxy.port), 'db-box', 'root'])
  expect(result.code).toBe(255)
  expect(result.stderr).toContain(says)
  expect(result.stderr).not.toContain('\x1b')
})

test.each([
  ['db box', 'root'],
  ['-oProxyCommand=x', 'root'],
  ['db-box', '-root'],
  ['db-box', '$(id)'],
  ['db-box\r\nX: y', 'root'],
])('the helper refuses node %j with login %j before it dials', async (node, login) => {
  const result = await run(process.execPath, [HELPER, '127.0.0.1', '9', node, login])
  expect(result.code).toBe(255)
  expect(result.stderr).toMatch(/^sally: /)
})

test('the stock client speaks through the helper', async () => {
  const lines: string[] = []
  await using proxy = await listen((socket) => {
    socket.on('error', () => {})
    socket.once('data', (head) => {
      lines.push(head.toString().split('\r\n', 1)[0] ?? '')
      socket.write('HTTP/1.1 200 OK\r\n\r\nSSH-2.0-test\r\n')
      socket.on('data', (chunk) => {
        if (!chunk.toString('latin1').startsWith('SSH-2.0-OpenSSH')) return
        lines.push('client banner')
        socket.destroy()
      })
    })
  })
  const config = writeConfig({ proxy: { ...PROXY, host: '127.0.0.1', port: proxy.port } })
  const result = await run(SSH, ['-F', config, '-o', 'BatchMode=yes', 'root@db-box', 'true'])
  expect(result.code).toBe(255)
  expect(lines).toEqual(['CONNECT db-box:22 HTTP/1.1', 'client banner'])
})

test('known hosts trust the authority under the proxy name alone, and ssh-keygen can read them', async () => {
  const keygen = needProgram('ssh-keygen')
  execFileSync(keygen, ['-q', '-t', 'ed25519', '-N', '', '-f', temp.file('ca')])
  const line = await readFile(temp.file('ca.pub'), 'utf8')
  const text = renderKnownHosts({ name: 'sallyport', sshHostAuthorities: [line] })
  expect(text).toMatch(/^@cert-authority sallyport ssh-ed25519 \S+\n$/)
  await writeFile(temp.file('kh'), text)
  expect(execFileSync(keygen, ['-F', 'sallyport', '-f', temp.file('kh')], { encoding: 'utf8' })).toContain('sallyport')
})

test.each(['ssh-rsa AAAA\n@cert-authority * ssh-ed25519 AAAA', 'ssh-ed25519 AAAA\n* ssh-rsa B', '', 'x'])(
  'an authority line %j cannot smuggle in another one',
  (line) => {
    const render = (): string => renderKnownHosts({ name: 'sallyport', sshHostAuthorities: [line] })
    let text = ''
    try {
      text = render()
    } catch {
      return
    }
    expect(text).toBe('@cert-authority sallyport ssh-ed25519 AAAA\n')
  },
)

test.each(['db\nHost *', 'a b', '*', '-x', '!db', '"', 'a%h', ''])('a node named %j never reaches the file', (node) => {
  expect(() => writeConfig({ nodes: [node] })).toThrow(/cannot stand/)
})

test('--install adds one Include on top, once, keeps the old file and a link a link', async () => {
  using home = tempFolder('home')
  const included = home.file('sally/ssh_config')
  mkdirSync(home.file('sally'))
  mkdirSync(home.file('dotfiles'))
  await writeFile(included, 'Host db-box\n  User +db-box\n')
  const before = 'Host *\n  User somebody\n'
  await writeFile(home.file('dotfiles/config'), before, { mode: 0o600 })
  await symlink(home.file('dotfiles/config'), home.file('config'))
  expect(await installInclude(home.file('config'), included)).toBe(true)
  expect(await installInclude(home.file('config'), included)).toBe(false)
  expect((await lstat(home.file('config'))).isSymbolicLink()).toBe(true)
  expect(await readFile(home.file('dotfiles/config.before-sally'), 'utf8')).toBe(before)
  expect((await readFile(home.file('config'), 'utf8')).match(/^Include /gm)).toHaveLength(1)
  expect(settings(home.file('config'), 'db-box').get('user')).toEqual(['+db-box'])
  expect(settings(home.file('config'), 'other').get('user')).toEqual(['somebody'])
})

test('--install makes the file when there is none, for its owner alone', async () => {
  using home = tempFolder('home')
  expect(await installInclude(home.file('.ssh/config'), '/x/ssh_config')).toBe(true)
  expect((await stat(home.file('.ssh/config'))).mode & 0o777).toBe(0o600)
  expect(await readdir(home.file('.ssh'))).toEqual(['config'])
})

test('an Include below a Host line is not taken for one that counts', async () => {
  using home = tempFolder('home')
  await writeFile(home.file('config'), 'Host x\n  Include "/y"\n')
  expect(await installInclude(home.file('config'), '/y')).toBe(true)
})

interface Listening extends AsyncDisposable {
  readonly port: number
}

async function listen(accept: (socket: Socket) => void): Promise<Listening> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {})
    accept(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
