import { readFileSync, statSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  aProfile,
  commandLine,
  NOW,
  signedInFolder,
  type CommandLineOptions,
} from '../../../../test/support/command-line.ts'
import { fakeApi, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { tempFolder } from '../../../../test/support/temp-folder.ts'
import { readPrivateKey } from '../../../formats/openssh/private-key.ts'
import { fingerprint, parsePublicKeyLine, publicKeyOf } from '../../../formats/openssh/public-key.ts'
import { Refused } from '../../../foundation/errors.ts'
import { openProfiles } from '../../shared/profile.ts'
import { sally } from '../program.ts'

const ping = {
  installation: 'ins_1',
  version: '0.1.0',
  contract: 1,
  proxyName: 'sallyport',
  tlsAuthority: 'pem',
  sshHostAuthorities: [...aProfile.proxy.sshHostAuthorities],
  secondFactor: 'totp' as const,
}
const signedIn = {
  user: { id: 'usr_1', name: 'alice' },
  login: { id: 'lgn_2', expiresAt: NOW + 43_200_000 },
  token: 'fresh-token',
  sshCertificate: 'ssh-ed25519-cert-v01@openssh.com AAAA',
  secondFactorDue: false,
}
const node = {
  id: 'nod_1',
  name: 'db-box',
  labels: { env: 'prod' },
  logins: [],
  defaultLogin: null,
  requestableRoles: ['dba'],
  accessUntil: null,
}
const api: FakeHandlers = {
  ping: () => ping,
  listNodes: () => ({ items: [node] }),
  signIn: ({ body }) => {
    if (body.password !== 'correct horse') throw new Refused('bad_credentials', 'user, password or code is wrong')
    if (body.code === undefined) throw new Refused('second_factor_required', 'a code is needed')
    return signedIn
  },
}

async function login(
  args: readonly string[],
  handlers: FakeHandlers,
  folder: string,
  rest: Partial<Omit<CommandLineOptions, 'program' | 'api' | 'folder'>> = {},
) {
  const fake = fakeApi(handlers)
  const result = await commandLine(['login', ...args], { program: sally, api: fake, folder, ...rest })
  return { ...result, calls: fake.calls }
}

/** Knows the proxy, but nobody is signed in. */
const known = (folder: string): Promise<string> => signedInFolder(folder, { ...aProfile, account: null })

test('scripts sign in without questions: password from stdin, code from an option', async () => {
  using temp = tempFolder()
  const folder = await known(temp.path)
  const result = await login(['--user=alice', '--password-stdin', '--code=123456'], api, folder, {
    stdin: 'correct horse\nsecond line',
  })
  expect([result.exit, result.asked]).toEqual([0, []])
  expect(result.stdout).toBe('Signed in to proxy.example:3022 as alice until 2026-01-02 00:00:00.\n')
  expect(result.calls.map((call) => call.route)).toEqual(['ping', 'signIn', 'listNodes'])
  expect((await openProfiles(folder).load())?.account).toMatchObject({
    user: 'alice',
    loginId: 'lgn_2',
    token: 'fresh-token',
  })
})

test('the key stays here, its public half was sent, and ssh finds both with the certificate', async () => {
  using temp = tempFolder()
  const folder = await known(temp.path)
  const result = await login(['--user=alice'], api, folder, {
    env: { SALLY_PASSWORD: 'correct horse', SALLY_CODE: '1' },
  })
  const pem = readFileSync(temp.file('id'), 'utf8')
  const sent = parsePublicKeyLine(String(Object(result.calls[1]?.body)['sshPublicKey']))
  expect(fingerprint(sent.blob)).toBe(fingerprint(publicKeyOf(readPrivateKey(pem).key).blob))
  expect(readFileSync(temp.file('id-cert.pub'), 'utf8')).toBe('ssh-ed25519-cert-v01@openssh.com AAAA\n')
  expect(readFileSync(temp.file('ssh_config'), 'utf8')).toContain('Host db-box\n')
  expect(readFileSync(temp.file('known_hosts'), 'utf8')).toMatch(/^@cert-authority sallyport ssh-ed25519 /)
  for (const file of ['id', 'profile.json']) expect(statSync(temp.file(file)).mode & 0o777).toBe(0o600)
  expect(JSON.stringify(result.calls)).not.toContain('PRIVATE')
})

test('a person is asked for what is missing, and for the code only when it is needed', async () => {
  using temp = tempFolder()
  const result = await login([], api, await known(temp.path), { answers: ['alice', 'correct horse', '123456'] })
  expect(result.asked).toEqual(['Your user name', 'Password of alice', 'Code of your authenticator app'])
  expect(result.exit).toBe(0)
})

test('without a person nothing is guessed', async () => {
  using temp = tempFolder()
  const folder = await known(temp.path)
  expect((await login([], api, folder)).exit).toBe(2)
  expect((await login(['--user=alice'], api, folder)).stderr).toContain('SALLY_PASSWORD')
  using empty = tempFolder()
  const unknown = await login(['--user=alice'], api, empty.path)
  expect([unknown.exit, unknown.stderr.includes('--proxy')]).toEqual([2, true])
})

test('a wrong password leaves the profile as it was', async () => {
  using temp = tempFolder()
  const folder = await signedInFolder(temp.path)
  const result = await login(['--code=1'], api, folder, { env: { SALLY_PASSWORD: 'wrong' } })
  expect(result.exit).toBe(5)
  expect(await openProfiles(folder).load()).toEqual(aProfile)
})

test('an invitation sets the password, typed twice, and says that a second factor is due', async () => {
  using temp = tempFolder()
  const folder = await known(temp.path)
  const handlers: FakeHandlers = {
    ping: () => ping,
    acceptInvitation: ({ body }) => ({ ...signedIn, secondFactorDue: body.code === 'c0de' }),
  }
  const twice = await login(['--invite=c0de'], handlers, folder, { answers: ['correct horse', 'correct horse'] })
  expect(twice.exit).toBe(0)
  expect(twice.stderr).toContain('sally mfa add')
  const differ = await login(['--invite=c0de'], handlers, folder, { answers: ['correct horse', 'corect horse'] })
  expect([differ.exit, differ.calls.length]).toEqual([2, 1])
})

test('logout ends the login at the proxy and forgets keys, also when it has ended already', async () => {
  for (const refuse of [false, true]) {
    using temp = tempFolder()
    const folder = await signedInFolder(temp.path)
    await openProfiles(folder).write('id', 'x')
    const fake = fakeApi({
      endLogin: () => {
        if (refuse) throw new Refused('login_ended', 'this login has ended')
        return {}
      },
    })
    const result = await commandLine(['logout'], { program: sally, api: fake, folder })
    expect([result.exit, result.stdout]).toEqual([0, 'alice is signed out.\n'])
    expect(await openProfiles(folder).load()).toEqual({ ...aProfile, account: null })
    expect(await openProfiles(folder).read('id')).toBeNull()
  }
})

test('a logout that the proxy could not hear does not pretend', async () => {
  using temp = tempFolder()
  const folder = await signedInFolder(temp.path)
  const fake = fakeApi({
    endLogin: () => {
      throw new Refused('store_unavailable', 'try again')
    },
  })
  expect((await commandLine(['logout'], { program: sally, api: fake, folder })).exit).toBe(1)
  expect((await openProfiles(folder).load())?.account).not.toBeNull()
})

test('ls shows what opens a node that is closed to you, and refreshes the ssh configuration', async () => {
  using temp = tempFolder()
  const folder = await signedInFolder(temp.path)
  const open = { ...node, id: 'nod_2', name: 'web', logins: ['deploy'], requestableRoles: [], labels: { env: 'dev' } }
  const fake = fakeApi({ listNodes: () => ({ items: [node, open] }) })
  const result = await commandLine(['ls'], { program: sally, api: fake, folder })
  expect(result.stdout).toMatchInlineSnapshot(`
    "Node    Labels    Logins  Until      Ask for
    ------  --------  ------  ---------  -------
    db-box  env=prod  -       no access  dba
    web     env=dev   deploy  always
    "
  `)
  expect(readFileSync(temp.file('ssh_config'), 'utf8').match(/^Host .*/gm)).toEqual(['Host db-box', 'Host web'])
  const filtered = await commandLine(['ls', 'env=dev', '--format=json'], { program: sally, api: fake, folder })
  expect((JSON.parse(filtered.stdout) as { name: string }[]).map((each) => each.name)).toEqual(['web'])
})

test('sally ssh runs the stock program on its own configuration and asks once for a node that is new', async () => {
  using temp = tempFolder()
  const folder = await signedInFolder(temp.path)
  const fake = fakeApi({ listNodes: () => ({ items: [node] }) })
  const ssh = (...words: string[]) => commandLine(['ssh', ...words], { program: sally, api: fake, folder })
  const first = await ssh('-v', '-L', '8080:x:80', 'root@db-box', 'ls', '--format=json', '-la')
  const words = ['-F', temp.file('ssh_config'), '-v', '-L', '8080:x:80', 'root@db-box', 'ls', '--format=json', '-la']
  expect(first.executed).toEqual([['ssh', ...words]])
  await ssh('db-box')
  expect(fake.calls.map((call) => call.route)).toEqual(['listNodes'])
  expect((await ssh('elsewhere')).exit).toBe(7)
})
