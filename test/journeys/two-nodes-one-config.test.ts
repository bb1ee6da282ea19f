// Two nodes behind one address and one port, as the stock programs use them: nothing may reach the wrong one.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

const WHERE = 'echo "$SALLYPORT_TEST_NODE"'
const NODES = ['db-box', 'web-1.example'] as const

let sallyport: Sallyport
let alice: Account
// Its path is short: a control socket's has at most 108 bytes.
let sockets: TempFolder

beforeAll(async () => {
  sockets = tempFolder('cm')
  sallyport = await startSallyport()
  await Promise.all(NODES.map((node) => sallyport.startNode(node, { env: 'dev' })))
  await sallyport.role({
    kind: 'role',
    metadata: { name: 'engineer' },
    spec: {
      allow: { logins: [sallyport.login, 'nobody'], default_login: sallyport.login, node_labels: { env: 'dev' } },
    },
  })
  await sallyport.user('alice', ['engineer'])
  alice = await sallyport.signIn('alice')
})
afterAll(async () => {
  await sallyport?.stop()
  sockets[Symbol.dispose]()
})

test('first contact asks nothing and says nothing, with StrictHostKeyChecking yes and nothing learnt', async () => {
  const known = readFileSync(`${alice.home}/known_hosts`, 'utf8')
  expect(known).toMatch(/^@cert-authority sallyport ssh-ed25519 \S+\n$/)
  const settings = await alice.ssh('-G', 'db-box')
  expect(settings.stdout).toMatch(/^stricthostkeychecking (true|yes)$/m)
  const first = await alice.ssh('db-box', WHERE)
  expect(first).toMatchObject({ code: 0, stdout: 'db-box\n', stderr: '' })
  expect(readFileSync(`${alice.home}/known_hosts`, 'utf8')).toBe(known)
})

test('a proxy that shows another authority than the one trusted is not believed', async () => {
  const other = sockets.file('other_known_hosts')
  writeFileSync(other, `@cert-authority sallyport ssh-ed25519 ${'A'.repeat(67)}=\n`)
  for (const target of ['db-box', `${sallyport.login}@db-box`]) {
    const done = await alice.ssh('-o', `UserKnownHostsFile=${other}`, target, WHERE)
    expect(done.code).toBe(255)
    expect(done.stdout).toBe('')
    expect(done.stderr).toContain('Host key verification failed')
  }
})

test.each(NODES)('%s is reached by its name alone, with a login, and by sally', async (node) => {
  const { login } = sallyport
  for (const target of [node, `${login}@${node}`, `ssh://${login}@${node}`]) {
    expect(await alice.ssh(target, WHERE), target).toMatchObject({ code: 0, stdout: `${node}\n`, stderr: '' })
  }
  expect(await alice.ssh('-l', login, node, 'id -un')).toMatchObject({ code: 0, stdout: `${login}\n` })
  expect(await alice.sally('ssh', node, WHERE)).toMatchObject({ code: 0, stdout: `${node}\n`, stderr: '' })
  expect(await alice.sally('ssh', `${login}@${node}`, `${WHERE}; exit 3`)).toMatchObject({
    code: 3,
    stdout: `${node}\n`,
  })
})

test('sally ssh names no node that there is not', async () => {
  const done = await alice.sally('ssh', 'absent', 'true')
  expect(done.code).toBe(7)
  expect(done.stderr).toContain('sally ls')
})

test('sally scp and scp carry files both ways, over sftp and the old protocol', async () => {
  const here = sockets.file('here')
  const bytes = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * 7919) % 256))
  writeFileSync(here, bytes)
  const copies: readonly [string, () => Promise<{ code: number | null; stderr: string }>][] = [
    ['sally', () => alice.sally('scp', '-q', here, `db-box:${sockets.file('sally')}`)],
    ['stock', () => alice.scp('-q', here, `web-1.example:${sockets.file('stock')}`)],
    ['back', () => alice.scp('-q', `web-1.example:${here}`, sockets.file('back'))],
    ['old', () => alice.scp('-q', '-O', here, `${sallyport.login}@db-box:${sockets.file('old')}`)],
    ['old-back', () => alice.scp('-q', '-O', `db-box:${here}`, sockets.file('old-back'))],
  ]
  for (const [name, copy] of copies) {
    expect(await copy(), name).toMatchObject({ code: 0, stderr: '' })
    expect(readFileSync(sockets.file(name)).equals(bytes), name).toBe(true)
  }
  expect(statSync(here).size).toBe(bytes.length)
})

test.each([
  ['%C', 'c-%C'],
  ['%r@%h:%p', '%r@%h:%p'],
])('connections shared by ControlMaster auto with ControlPath %s reach the right node', async (_form, path) => {
  const config = sockets.file(`config-${path.replaceAll(/[^a-z]/gi, '')}`)
  const shared = `Host *\n  ControlMaster auto\n  ControlPath ${sockets.path}/${path}\n`
  writeFileSync(config, `${readFileSync(alice.sshConfig, 'utf8')}\n${shared}`)
  const targets = NODES.flatMap((node) => [node, `${sallyport.login}@${node}`])
  const masters = targets.map((target) => alice.start('ssh', '-F', config, '-N', target))
  try {
    for (const target of targets)
      await until(
        `a master for ${target}`,
        async () => (await alice.ssh('-F', config, '-O', 'check', target)).code === 0,
      )
    const live = async (): Promise<readonly string[]> =>
      (await sallyport.sessions({ live: true })).map(({ id }) => id).sort()
    const before = await until('the masters to be the only sessions', async () => {
      const ids = await live()
      return ids.length === targets.length && ids
    })
    const asked = [...targets, ...targets.toReversed()]
    const answers = await Promise.all(asked.map((target) => alice.ssh('-F', config, target, WHERE)))
    expect(answers.map(({ stdout }) => stdout.trim())).toEqual(asked.map((target) => target.replace(/^.*@/, '')))
    // They went over the masters: nobody connected anew.
    expect(await live()).toEqual(before)
  } finally {
    await Promise.all(masters.map((master) => master.stop()))
  }
})

test('ssh_config follows what the account may know of, without a new sign-in', async () => {
  const certificate = readFileSync(alice.certificateFile, 'utf8')
  await sallyport.startNode('new-box', { env: 'dev' })
  expect(readFileSync(alice.sshConfig, 'utf8')).not.toContain('new-box')
  const listed = await alice.sally('ls')
  expect(listed.stdout).toContain('new-box')
  expect(await alice.ssh('new-box', WHERE)).toMatchObject({ code: 0, stdout: 'new-box\n', stderr: '' })
  expect(readFileSync(alice.certificateFile, 'utf8')).toBe(certificate)
})
