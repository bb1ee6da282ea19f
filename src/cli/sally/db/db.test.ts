import { createPublicKey } from 'node:crypto'
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { commandLine, NOW, signedInFolder } from '../../../../test/support/command-line.ts'
import { fakeApi, refuse, type FakeHandlers } from '../../../../test/support/fake-api.ts'
import { tempFolder } from '../../../../test/support/temp-folder.ts'
import type { VisibleDatabase } from '../../../contract/database.ts'
import { sally } from '../program.ts'

const HOUR = 3_600_000
const OWN = '[mine]\r\nhost=elsewhere # caf\xe9'

const visible = (name: string, changes: Partial<VisibleDatabase> = {}): VisibleDatabase => ({
  ...{ id: `dtb_${name}`, name, protocol: 'postgres', labels: { env: 'prod' } },
  ...{ dbUsers: ['app'], dbNames: ['shop'], requestableRoles: [], searchRoles: [], accessUntil: null },
  ...changes,
})

const KNOWN = [
  visible('orders'),
  visible('shop', { protocol: 'mysql', dbUsers: ['*'], dbNames: ['*'] }),
  visible('locked', { dbUsers: [], dbNames: [], searchRoles: ['dba'] }),
]

const HANDLERS: FakeHandlers = {
  listDatabases: () => ({ items: KNOWN }),
  issueDatabaseCertificate: ({ params, body }) => {
    const found = KNOWN.find(({ name }) => name === params['name'])
    if (!found) refuse('resource_unknown', 'there is no such database')
    return {
      database: { name: found?.name ?? '', protocol: found?.protocol ?? 'postgres' },
      certificate: `CERTIFICATE ${params['name']} ${body.publicKey.length}\n`,
      ...{ serverAuthority: 'AUTHORITY\n', serverName: 'sallyport', expiresAt: NOW + HOUR },
      port: found?.protocol === 'mysql' ? 3306 : null,
    }
  },
}

async function house() {
  const temp = tempFolder()
  const home = join(temp.path, 'home')
  mkdirSync(home)
  const profile = await signedInFolder(join(temp.path, 'sally'))
  const api = fakeApi(HANDLERS)
  return {
    home,
    api,
    db: join(profile, 'db'),
    services: join(home, '.pg_service.conf'),
    options: join(home, '.my.cnf'),
    run: (...args: string[]) => commandLine(args, { program: sally, api, folder: profile, env: { HOME: home } }),
    [Symbol.dispose]: () => temp[Symbol.dispose](),
  }
}

const bytes = (path: string): string => readFileSync(path, 'latin1')
const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8)

test('login writes key and certificates for their owner alone, and one block behind what the file holds', async () => {
  using it = await house()
  writeFileSync(it.services, OWN, 'latin1')
  chmodSync(it.services, 0o640)
  const result = await it.run('db', 'login', 'orders')
  expect(result).toMatchObject({ exit: 0, stderr: '' })
  expect(result.stdout).toContain('Connect: psql service=orders')
  expect(bytes(it.services).startsWith(OWN)).toBe(true)
  expect(bytes(it.services)).toContain(
    ['[orders]', 'host=proxy.example', 'port=3022', 'user=app', 'dbname=shop', 'sslmode=verify-full'].join('\n'),
  )
  expect(modeOf(it.services)).toBe('640')
  expect(createPublicKey(readFileSync(join(it.db, 'key.pem'))).asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
  for (const file of ['key.pem', 'key.pk8', 'authority.pem', 'certificates/orders.pem'])
    expect(modeOf(join(it.db, file)), file).toBe('600')
  expect([modeOf(it.db), modeOf(join(it.db, 'certificates'))]).toEqual(['700', '700'])
  const again = await it.run('db', 'login', 'orders', '--format=json')
  expect(JSON.parse(again.stdout)).toMatchObject({ changed: false, dbUser: 'app' })
  await it.run('db', 'logout', 'orders')
  expect(bytes(it.services)).toBe(OWN)
  expect(existsSync(it.db)).toBe(false)
})

test('MySQL has a group in .my.cnf, and leaves the file of PostgreSQL alone', async () => {
  using it = await house()
  const { stdout } = await it.run('db', 'login', 'shop', '--db-user=app', '--db-name=shop')
  expect(stdout).toContain('mysql --defaults-group-suffix=_shop')
  expect(bytes(it.options)).toContain(
    '[client_shop]\nprotocol=TCP\nhost="proxy.example"\nport=3306\nuser="app"\nssl-ca=',
  )
  expect(bytes(it.options)).toContain('[client-mariadb_shop]\nssl-verify-server-cert\n[mysql_shop]\ndatabase="shop"\n')
  expect(modeOf(it.options)).toBe('600')
  expect(existsSync(it.services)).toBe(false)
})

test('a link stays a link, and its target is changed', async () => {
  using it = await house()
  const target = join(it.home, 'dotfiles')
  writeFileSync(target, '[mine]\n')
  symlinkSync(target, it.services)
  await it.run('db', 'login', 'orders')
  expect(lstatSync(it.services).isSymbolicLink()).toBe(true)
  expect(bytes(target)).toContain('[orders]')
  expect(readdirSync(it.home).sort()).toEqual(['.pg_service.conf', 'dotfiles'])
})

test('a section of the same name that is not ours stays the only one', async () => {
  using it = await house()
  writeFileSync(it.services, ' [orders] \nhost=own\n')
  const result = await it.run('db', 'login', 'orders')
  expect(result).toMatchObject({ exit: 8 })
  expect(result.stderr).toContain('section [orders] of your own')
  expect(bytes(it.services)).toBe(' [orders] \nhost=own\n')
})

test.each(['../evil', 'a\nb', 'a]b', ''])('the name %j goes nowhere', async (name) => {
  using it = await house()
  const result = await it.run('db', 'login', name)
  expect(result.exit).toBe(2)
  expect(it.api.calls).toEqual([])
  expect(readdirSync(it.home)).toEqual([])
})

test('logging out of all takes key, certificates and blocks along', async () => {
  using it = await house()
  writeFileSync(it.services, '[mine]\n')
  for (const name of ['orders', 'shop']) await it.run('db', 'login', name)
  await it.run('db', 'logout')
  expect(bytes(it.services)).toBe('[mine]\n')
  expect(bytes(it.options)).toBe('')
  expect(existsSync(it.db)).toBe(false)
})

test('without access it says how to ask, and without a choice how to choose', async () => {
  using it = await house()
  expect((await it.run('db', 'login', 'locked')).stderr).toContain('sally request create --resource=database/locked')
  expect((await it.run('db', 'login', 'shop')).stderr).toContain('name one of *')
})

test('env prints what a shell takes', async () => {
  using it = await house()
  const { stdout } = await it.run('db', 'env', 'orders')
  expect(stdout).toContain("export PGHOST='proxy.example'\nexport PGPORT='3022'\nexport PGUSER='app'")
  expect((await it.run('db', 'env', 'shop')).stdout).toBe("export MYSQL_GROUP_SUFFIX='_shop'\n")
})

test('connect runs the stock client and touches no file of the person', async () => {
  using it = await house()
  const psql = await it.run('db', 'connect', 'orders', '-c', 'select 1')
  expect(psql.executed).toMatchObject([
    ['psql', expect.stringContaining("host='proxy.example' port='3022'"), '-c', 'select 1'],
  ])
  const mysql = await it.run('db', 'connect', '--db-user=app', 'shop')
  expect(mysql.executed[0]?.slice(2, 6)).toEqual([
    '--protocol=TCP',
    '--host=proxy.example',
    '--port=3306',
    '--user=app',
  ])
  expect(readdirSync(it.home)).toEqual([])
})

test('ls shows what works and what to ask for', async () => {
  using it = await house()
  const { stdout } = await it.run('db', 'ls')
  expect(stdout).toMatch(/orders +postgres +env=prod +app/)
  expect(stdout).toContain('database/locked')
  expect((await it.run('db', 'ls', 'env=dev')).stdout).toBe('No databases.\n')
})
