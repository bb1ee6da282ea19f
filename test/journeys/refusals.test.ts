// What the terminals of stock programs show when the proxy refuses: few plain lines, which say what to do next.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { needProgram } from '../support/need-program.ts'
import { run } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

const ASK = 'sally request create --roles=dba --reason="why you need it" --duration=1h'
let sallyport: Sallyport
let alice: Account

beforeAll(async () => {
  sallyport = await startSallyport()
  const { login } = sallyport
  const role = (name: string, allow: Record<string, unknown>) =>
    sallyport.role({ kind: 'role', metadata: { name }, spec: { allow } })
  await sallyport.startNode('db-box', { service: 'database' })
  await sallyport.startNode('web-box', { service: 'web' })
  await sallyport.startNode('secret-box', { service: 'secret' })
  await role('dba', { logins: [login], node_labels: { service: 'database' } })
  // More roles and logins than a refusal has room for.
  for (let number = 1; number <= 15; number++) {
    const logins = Array.from({ length: 15 }, (_, index) => `a-rather-long-login-name-${index}`)
    await role(`dba-${number}`, { logins, node_labels: { service: 'database' } })
  }
  await role('engineer', { logins: [login], node_labels: { service: 'web' }, request: { roles: ['dba*'] } })
  await sallyport.user('alice', ['engineer'])
  alice = await sallyport.signIn('alice')
})
afterAll(() => sallyport?.stop())

/** Line breaks alone may move the cursor. */
function expectPlain(text: string): void {
  expect(text.replaceAll(/\r\n|\n/g, '')).not.toMatch(/\p{C}/u)
  expect(text.trimEnd().split('\n').length).toBeLessThanOrEqual(10 + LINES_OF_SSH)
}
// `Received disconnect from ...` and `Disconnected from ...`, and what scp or git adds
const LINES_OF_SSH = 6

function expectTold(text: string): void {
  expectPlain(text)
  expect(text).toContain('sallyport: alice may not use db-box')
  expect(text).toContain(ASK)
  const ours = text.slice(text.indexOf('sallyport: '), text.indexOf('Received disconnect'))
  expect(ours.trimEnd().split('\n').length).toBeLessThanOrEqual(10)
}

test('ssh in a terminal', async () => {
  const terminal = await alice.terminal('ssh', 'db-box')
  expect(await terminal.exitStatus()).toBe(255)
  expect((await terminal.history()).replaceAll('\n', ' ')).toContain('sallyport: alice may not use db-box')
  await terminal.shows(/sally request create --roles=dba --reason="why you need it" --duration=1h/)
})

test.each<[string, () => Promise<{ code: number | null; stdout: string; stderr: string }>]>([
  ['ssh with a command', () => alice.ssh('db-box', 'true')],
  ['ssh with a login, through the helper', () => alice.ssh(`${sallyport.login}@db-box`, 'true')],
  ['sally ssh', () => alice.sally('ssh', 'db-box', 'true')],
  ['scp', () => alice.scp('/etc/hostname', 'db-box:/tmp/never')],
  ['scp with the old protocol', () => alice.scp('-O', 'db-box:/etc/hostname', '/tmp/never')],
  ['sally scp', () => alice.sally('scp', '/etc/hostname', 'db-box:/tmp/never')],
  ['sftp', () => alice.run('sftp', ['-b', '-', 'db-box'], { input: 'ls\n' })],
  ['git', () => git('ls-remote', 'ssh://db-box/srv/repository.git')],
])('%s shows the refusal and how to ask, on stderr', async (_program, connect) => {
  const done = await connect()
  expect(done.code).not.toBe(0)
  expect(done.stdout).toBe('')
  expectTold(done.stderr.replaceAll(`may not use ${sallyport.login}@db-box`, 'may not use db-box'))
})

const git = (...args: readonly string[]) =>
  run(needProgram('git'), args, {
    env: { ...alice.env, GIT_SSH_COMMAND: alice.command('ssh').join(' '), GIT_CONFIG_GLOBAL: '/dev/null' },
  })

test('ssh -q keeps quiet, as its user asked, and fails', async () => {
  const done = await alice.ssh('-q', 'db-box', 'true')
  expect(done.code).toBe(255)
  expect(done.stdout + done.stderr).toBe('')
})

test('a node that one may not know of and one that is not there are refused alike', async () => {
  // Nothing in alice's configuration names them: the proxy is asked by its own address.
  const config = join(alice.home, 'ssh_config_of_a_guesser')
  const direct = /Match originalhost web-box user "\+web-box"\n((?: {2}.*\n)+)/.exec(
    readFileSync(alice.sshConfig, 'utf8'),
  )
  writeFileSync(config, `Host proxy\n${direct?.[1] ?? ''}`)
  const answers = await Promise.all(
    ['secret-box', 'absent-box'].map(async (node) => {
      const done = await alice.ssh('-F', config, '-l', `+${node}`, 'proxy', 'true')
      return { code: done.code, stderr: done.stderr.replaceAll(node, 'NODE') }
    }),
  )
  expect(answers[0]).toEqual(answers[1])
  expect(answers[0]?.code).toBe(255)
  expect(answers[0]?.stderr).toContain('there is no node NODE that alice may use or ask for')
})

test('what an operator wrote into a lock is shown harmless', async () => {
  const message = 'see\u001b[2J\u001b]0;owned\u0007 the\u202e wiki\nsallyport: all is well\nrun: rm -rf /'
  const added = await sallyport.admin('lock', 'add', '--node=web-box', `--message=${message}`)
  expect(added.code).toBe(0)
  const done = await alice.ssh('web-box', 'true')
  expect(done.code).toBe(255)
  expectPlain(done.stderr)
  expect(done.stderr).toContain('sallyport: web-box is locked: see')
  // Its line breaks make no line that could pass for one of ours.
  expect(done.stderr).toContain(' wiki sallyport: all is well run: rm -rf /\r\n')
  const terminal = await alice.terminal('ssh', 'web-box')
  expect(await terminal.exitStatus()).toBe(255)
  await terminal.shows(/web-box is locked: see/)
})

test('a reason with escapes and line breaks is harmless in tables', async () => {
  const reason = 'urgent\u001b[31m\r\nSTATUS approved\u0007'
  const asked = await alice.sally('request', 'create', '--roles=dba', `--reason=${reason}`, '--nowait')
  expect(asked.code).toBe(0)
  const shown = [asked, await alice.sally('request', 'ls'), await sallyport.admin('request', 'ls')]
  for (const { stdout, stderr } of shown) {
    expect((stdout + stderr).replaceAll('\n', '')).not.toMatch(/\p{C}/u)
    expect(stdout).not.toMatch(/^STATUS approved/m)
  }
})
