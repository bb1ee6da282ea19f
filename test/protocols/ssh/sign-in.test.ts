import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { eventually, runProgram, type Finished } from '../../support/run-program.ts'
import { NODE, SshLab } from '../../support/ssh-lab.ts'

let lab: SshLab

beforeAll(async () => {
  lab = await SshLab.start()
})
afterAll(() => lab.stop())
afterEach(async () => {
  lab.control.refusal = null
  lab.control.authFailures.length = 0
  await eventually('every connection has ended', () => lab.relay.connections === 0)
})

const withIdentity = (name: string): readonly string[] => ['-o', `IdentityFile=${join(lab.folder, name)}`]
const refused = {
  ok: false,
  code: 'access_denied',
  lines: ['no access to box as root', 'the role dba would help; ask for it:', '  sally request create --roles=dba'],
} as const

test.each(['rsa', 'p256', 'p384', 'ed25519'] as const)('a %s key signs in with its certificate', async (type) => {
  const key =
    type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
      : type === 'ed25519'
        ? generateKeyPairSync('ed25519').privateKey
        : generateKeyPairSync('ec', { namedCurve: type === 'p256' ? 'P-256' : 'P-384' }).privateKey
  lab.writeIdentity(type, lab.userCertificate({}, lab.userAuthority, key))
  const args = ['-F', join(lab.folder, 'ssh_config_bare'), ...withIdentity(type), NODE, 'echo in']
  expect(await runProgram('ssh', args)).toMatchObject({ code: 0, stdout: 'in\n', stderr: '' })
  expect(lab.control.asked.at(-1)).toMatchObject({
    userId: lab.userId,
    loginSessionId: lab.loginId,
    node: NODE,
    login: null,
    address: '127.0.0.1',
  })
})

const programs: readonly (readonly [string, () => Promise<Finished>])[] = [
  ['ssh', () => lab.ssh([NODE, 'id'])],
  ['scp', () => runProgram('scp', [...lab.flags, join(lab.folder, 'id'), `${NODE}:/tmp/x`])],
  ['sftp', () => runProgram('sftp', ['-b', '-', ...lab.flags, NODE], 'pwd\n')],
  [
    'git',
    () => {
      const env = { ...process.env, GIT_SSH_COMMAND: ['ssh', ...lab.flags].join(' ') }
      return runProgram('git', ['ls-remote', `${NODE}:/tmp/repo.git`], '', env)
    },
  ],
]
test.each(programs)('somebody proven without access reads in %s which role would help', async (_program, run) => {
  lab.control.refusal = refused
  const done = await run()
  expect(done.code).not.toBe(0)
  const shown = done.stderr.replaceAll('\r\n', '\n')
  expect(shown).toContain(`${refused.lines.join('\n')}\n`)
  expect(shown).toContain('no access to box as root')
})

test('ssh -q shows nothing of a refusal and exits with 255', async () => {
  lab.control.refusal = refused
  expect(await lab.ssh(['-q', NODE, 'id'])).toMatchObject({ code: 255, stdout: '', stderr: '' })
})

test('a refusal cannot do anything to the terminal', async () => {
  lab.control.refusal = {
    ...refused,
    lines: ['\u001b]0;owned\u0007harmless\u001b[2J', ...Array<string>(30).fill('more')],
  }
  const done = await lab.ssh([NODE, 'id'])
  // oxlint-disable-next-line no-control-regex -- what must not be there
  expect(done.stderr.replaceAll('\r\n', '\n')).not.toMatch(/[\0-\x09\x0b-\x1f\x7f]/)
  expect(done.stderr.split('more')).toHaveLength(10)
})

test('somebody whose own certificate has expired is told what to run', async () => {
  lab.writeIdentity('id', lab.userCertificate({ validBefore: Date.now() - 1000 }))
  const done = await lab.ssh([NODE, 'id'])
  lab.writeIdentity('id', lab.userCertificate({}))
  expect(done).toMatchObject({ code: 255, stdout: '' })
  expect(done.stderr).toContain('run: sally login')
})

test.each([
  [
    'signed by somebody else',
    'unknown_authority',
    () => lab.userCertificate({}, generateKeyPairSync('ed25519').privateKey),
  ],
  ['for nobody of ours', 'wrong_principal', () => lab.userCertificate({ principals: ['root'] })],
  ['for two', 'wrong_principal', () => lab.userCertificate({ principals: [`sallyport-user-${lab.userId}`, 'root'] })],
  ['of no login session', 'no_login_session', () => lab.userCertificate({ criticalOptions: {} })],
  [
    'with an option we do not know',
    'critical_option',
    () =>
      lab.userCertificate({ criticalOptions: { 'login-session@sallyport': lab.loginId, 'verify-required@x': 'y' } }),
  ],
  ['that is not valid yet', 'not_yet_valid', () => lab.userCertificate({ validAfter: Date.now() + 600_000 })],
])('a certificate %s is refused like any unknown key, and reported', async (_what, code, make) => {
  lab.writeIdentity('id', make())
  const done = await lab.ssh([NODE, 'id'])
  lab.writeIdentity('id', lab.userCertificate({}))
  expect(done).toMatchObject({ code: 255, stdout: '' })
  expect(done.stderr).toMatch(/^\S+: Permission denied \(publickey\)\.\r?\n$/)
  expect(lab.control.authFailures).toEqual([{ address: '127.0.0.1', code }])
})

test('a user name that names no node is explained after the proof', async () => {
  const done = await lab.ssh(['-l', 'root', NODE, 'id'])
  expect(done.stderr).toContain('the user name names no node')
})

test('a login is named before the plus', async () => {
  const done = await lab.ssh(['-l', `${lab.sshd.user}+${NODE}`, NODE, 'id -un'])
  expect(done.stdout).toBe(`${lab.sshd.user}\n`)
  expect(lab.control.asked.at(-1)?.login).toBe(lab.sshd.user)
})

test('the control side being away is told without a secret of it', async () => {
  const authorize = lab.control.authorize.bind(lab.control)
  lab.control.authorize = () => Promise.reject(new Error('secret detail'))
  const done = await lab.ssh([NODE, 'id'])
  lab.control.authorize = authorize
  expect(done.stderr).toContain('cannot be decided at the moment')
  expect(done.stderr).not.toContain('secret')
})
