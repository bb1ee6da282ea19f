// First trust, sign-in and its end: what a person's terminal says, and what happens to the sessions that are open.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openShell } from '../support/granted.ts'
import { run, type Finished } from '../support/run.ts'
import { isAlive, startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { until } from '../support/until.ts'

const PASSWORD = { SALLY_PASSWORD: 'correct horse battery' }
let sallyport: Sallyport
let alice: Account

beforeAll(async () => {
  sallyport = await startSallyport()
  await sallyport.startNode('db-box', { env: 'dev' })
  const allow = { logins: [sallyport.login], node_labels: { env: 'dev' } }
  await sallyport.role({ kind: 'role', metadata: { name: 'engineer' }, spec: { allow } })
  await sallyport.user('alice', ['engineer'])
  alice = await sallyport.signIn('alice')
})
afterAll(() => sallyport?.stop())

const login = (account: Account, words: readonly string[]): Promise<Finished> =>
  account.run('sally', ['login', ...words], { env: PASSWORD })
const wordsOf = (command: string): string[] => command.trim().split(' ').slice(2)

test('the first admin signs in with a command from a private file, which works once and stands in no log', async () => {
  const file = join(sallyport.dataDir, 'first-admin')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  const words = wordsOf(readFileSync(file, 'utf8'))
  const code = words.find((word) => word.startsWith('--invite='))?.slice('--invite='.length) ?? ''
  expect(code.length).toBeGreaterThan(15)
  expect(sallyport.logText()).not.toContain(code)

  const admin = sallyport.stranger('admin')
  const first = await login(admin, words)
  expect(first.code).toBe(0)
  expect(first.stdout).toContain('as admin until')
  // Who administers needs a second factor before anything else.
  expect(first.stderr).toContain('sally mfa add')
  expect((await admin.sallyctl('users', 'ls')).code).toBe(5)
  const second = await login(sallyport.stranger('thief'), words)
  expect(second.code).toBe(7)
  expect(second.stderr).toMatch(/invitation/)
})

test('another pin than the one of the proxy is refused, and the invitation is not spent', async () => {
  const { command } = await sallyport.user('dave', ['engineer'])
  const dave = sallyport.stranger('dave')
  const wrong = wordsOf(command).map((word) => word.replace(/^--ca-pin=sha256:.*/, `--ca-pin=sha256:${'0'.repeat(64)}`))
  const refused = await login(dave, wrong)
  expect(refused.code).toBe(6)
  expect(refused.stderr).toContain('not the one that the pin names')

  const without = wordsOf(command).filter((word) => !word.startsWith('--ca-pin='))
  const nobodyThere = await login(dave, without)
  expect(nobodyThere.code).toBe(2)
  expect(nobodyThere.stderr).toContain('--ca-pin=sha256:')

  expect((await login(dave, wordsOf(command))).code).toBe(0)
})

test('without a pin a person is shown the fingerprint and asked; no means no', async () => {
  const { command } = await sallyport.user('erin', ['engineer'])
  const pin = /--ca-pin=(\S+)/.exec(command)?.[1] ?? ''
  const words = wordsOf(command).filter((word) => !word.startsWith('--ca-pin='))
  const terminal = await sallyport.stranger('erin').terminal('sally', 'login', ...words)
  await terminal.shows(/Is this the fingerprint that you were given\?/)
  expect((await terminal.history()).replaceAll('\n', '')).toContain(pin)
  await terminal.press('n')
  await terminal.press('Enter')
  expect(await terminal.exitStatus()).not.toBe(0)
})

test('a wrong password and an unknown name are answered alike', async () => {
  const someone = sallyport.stranger('someone')
  const answers = await Promise.all(
    ['alice', 'nobody-at-all'].map((user) => login(someone, [...alice.trust(), `--user=${user}`])),
  )
  expect(answers.map(({ code }) => code)).toEqual([5, 5])
  expect(new Set(answers.map(({ stderr }) => stderr)).size).toBe(1)
})

/** The open shell of a device ends with `says`, its process too, and another device of the same account lives on. */
async function closesShell(device: Account, says: RegExp, deed: () => Promise<Finished>): Promise<void> {
  const { terminal, pid } = await openShell(device, 'db-box')
  const done = await deed()
  expect(done).toMatchObject({ code: 0 })
  await terminal.shows(says)
  expect(await terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(pid))
}

test('sally logout closes the live sessions of this device alone, and its certificate is dead', async () => {
  const laptop = await sallyport.signIn('alice')
  const other = await openShell(alice, 'db-box')
  const files = ['id', 'id.pub', 'id-cert.pub', 'ssh_config']
  const kept = join(sallyport.folder, 'kept')
  await run('cp', ['-r', laptop.home, kept])
  await closesShell(laptop, /your login session was ended; run: sally login/, () => laptop.sally('logout'))
  for (const file of files) expect(() => statSync(join(laptop.home, file)), file).toThrow()

  // Whoever kept the files gets nothing for them.
  const config = join(kept, 'ssh_config')
  writeFileSync(config, readFileSync(config, 'utf8').replaceAll(laptop.home, kept))
  const stolen = await alice.ssh('-F', config, 'db-box', 'true')
  expect(stolen.code).toBe(255)
  expect(stolen.stderr).toContain('your login session was ended')
  expect(stolen.stderr).toContain('run: sally login')

  expect(isAlive(other.pid)).toBe(true)
  await other.terminal.type('exit\r')
  expect(await other.terminal.exitStatus()).toBe(0)
})

test('sallyctl users end-logins (lost laptop) closes the live sessions of every device; signing in again helps', async () => {
  await closesShell(alice, /your login session was ended; run: sally login/, () =>
    sallyport.admin('users', 'end-logins', 'alice'),
  )
  const status = await alice.sally('status')
  expect(status.code).toBe(5)
  expect(status.stderr).toContain('sally login')
  await alice.signInAgain()
  expect(await alice.ssh('db-box', 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
})

test('a lock closes live sessions with its message, and lets nobody in until it is gone', async () => {
  const lock = ['lock', 'add', '--user=alice', '--message=laptop stolen, call 555']
  await closesShell(alice, /the account alice is locked: laptop stolen, call 555/, () => sallyport.admin(...lock))
  const refused = await alice.ssh('db-box', 'true')
  expect(refused.code).toBe(255)
  expect(refused.stderr).toContain('sallyport: the account alice is locked: laptop stolen, call 555')
  const id = /lck_\S+/.exec((await sallyport.admin('lock', 'ls')).stdout)?.[0] ?? ''
  expect((await sallyport.admin('lock', 'rm', id)).code).toBe(0)
  expect(await alice.ssh('db-box', 'echo in')).toMatchObject({ code: 0, stdout: 'in\n' })
})

test('an expired certificate of one’s own is told apart, and so is the login that ends under an open shell', async () => {
  await sallyport.restart({ login_ttl: '20s' })
  await alice.signInAgain()
  const { terminal, pid } = await openShell(alice, 'db-box')
  await terminal.shows(/your login session has expired; run: sally login/, { within: 60_000 })
  expect(await terminal.exitStatus()).toBe(255)
  await until('the shell on the target to go', () => !isAlive(pid))

  const expired = await until('the certificate to have expired', async () => {
    const done = await alice.ssh('db-box', 'true')
    return done.stderr.includes('run: sally login') && done
  })
  expect(expired.code).toBe(255)
  expect(expired.stderr).toMatch(/expired/)
  const own = await alice.sally('ssh', 'db-box', 'true')
  expect(own.code).toBe(5)
  expect(own.stderr).toContain('Run: sally login')
})
