// What the databases page promises: trust set up as it says, `sally db` for the rest, stock clients, real servers.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { MariadbServer } from '../support/mariadb.ts'
import { needProgram } from '../support/need-program.ts'
import { secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run, type Finished, type RunningProgram } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'

let sallyport: Sallyport
let postgres: PostgresServer
let mariadb: MariadbServer
let alice: Account
let home: string
let env: Record<string, string>

beforeAll(async () => {
  sallyport = await startSallyport({ config: { mysql: { listen: '127.0.0.1:0' } } })
  const exported = await sallyport.admin('ca', 'export', '--kind=database-x509')
  const authority = `${exported.stdout.trim()}\n`
  ;[postgres, mariadb] = await Promise.all([
    PostgresServer.start({}),
    MariadbServer.start({ clientAuthorities: authority }),
  ])
  const serverAuthority = await secureServer(postgres, authority)
  const issuer = await issuerOf(authority)
  await mariadb.sql(`create database shop; create user app@'%' require subject '/CN=app' and issuer '${issuer}';
    create user root2@'%' require subject '/CN=root2' and issuer '${issuer}'; create user other@'%' require subject '/CN=app';
    grant all on shop.* to app@'%';`)
  const document = (name: string, protocol: string, port: number, ca: string) =>
    sallyport.document({
      kind: 'database',
      version: 'v1',
      metadata: { name, labels: { env: 'prod' } },
      spec: { protocol, address: `127.0.0.1:${String(port)}`, tls: { ca, server_name: 'localhost' } },
    })
  await document('orders', 'postgres', postgres.port, serverAuthority.certificatePem)
  await document('shop', 'mysql', mariadb.port, mariadb.authority.certificatePem)
  const allow = { db_labels: { env: 'prod' }, db_users: ['app', 'bycert', 'other'], db_names: ['shop', 'postgres'] }
  await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow } })
  await sallyport.user('alice', ['dba'])
  alice = await sallyport.signIn('alice')
  home = join(alice.home, 'own')
  mkdirSync(home)
  env = { HOME: home }
}, 120_000)

afterAll(async () => {
  await sallyport?.stop()
  await postgres?.stop()
  await mariadb?.stop()
})

/** As `openssl x509 -noout -subject -nameopt compat` prints it. */
async function issuerOf(authority: string): Promise<string> {
  const printed = await run(needProgram('openssl'), ['x509', '-noout', '-subject', '-nameopt', 'compat'], {
    input: authority,
  })
  return printed.stdout.trim().replace(/^subject=/, '')
}

const sally = (...args: readonly string[]): Promise<Finished> =>
  alice.run('sally', args, { env: { ...alice.env, ...env } })
const client = (program: string, ...args: readonly string[]): Promise<Finished> =>
  run(needProgram(program), args, { env: { ...env, PGCONNECT_TIMEOUT: '20' } })

test('psql knows the service that sally db login wrote; the server takes the certificate of that db user', async () => {
  writeFileSync(join(home, '.pg_service.conf'), '[own]\nhost=elsewhere')
  const login = await sally('db', 'login', 'orders', '--db-user=bycert', '--db-name=shop')
  expect(login).toMatchObject({ code: 0, stderr: '' })
  expect(login.stdout).toContain('psql service=orders')
  const asked = await client('psql', '-AtX', '-c', 'select current_user, current_database()', 'service=orders')
  expect(asked).toMatchObject({ code: 0, stdout: 'bycert|shop\n', stderr: '' })
  const other = await client('psql', '-AtX', '-c', 'select 1', 'service=orders user=root')
  expect(other.stderr).toContain('alice may not use root on orders; allowed db users: app, bycert, other')
})

test('sally db connect and the variables of sally db env lead to the same place', async () => {
  const connected = await sally(
    'db',
    'connect',
    '--db-user=bycert',
    '--db-name=shop',
    'orders',
    '-AtXc',
    'select current_user',
  )
  expect(connected).toMatchObject({ code: 0, stdout: 'bycert\n' })
  const printed = await sally('db', 'env', 'orders', '--db-user=bycert', '--db-name=shop', '--format=json')
  const variables = JSON.parse(printed.stdout) as Record<string, string>
  const asked = await run(needProgram('psql'), ['-AtXc', 'select current_user'], { env: { ...env, ...variables } })
  expect(asked).toMatchObject({ code: 0, stdout: 'bycert\n', stderr: '' })
})

test('mysql knows the group that sally db login wrote; the server asks for subject and issuer', async () => {
  expect(await sally('db', 'login', 'shop', '--db-user=app', '--db-name=shop')).toMatchObject({ code: 0, stderr: '' })
  const asked = await client('mariadb', '--defaults-group-suffix=_shop', '-NBe', 'select current_user(), database()')
  expect(asked).toMatchObject({ code: 0, stdout: 'app@%\tshop\n', stderr: '' })
  const connected = await sally('db', 'connect', '--db-user=app', '--db-name=shop', 'shop', '-NBe', 'select 1')
  expect(connected).toMatchObject({ code: 0, stdout: '1\n' })
  // Its account is bound to the certificate of somebody else.
  const bound = await client('mariadb', '--defaults-group-suffix=_shop', '--user=other', '-NBe', 'select 1')
  expect(bound).toMatchObject({ code: 1, stdout: '' })
})

test('sally proxy db gives tools without certificates a port, for both protocols', async () => {
  const opened: RunningProgram[] = []
  const portOf = async (database: string): Promise<string> => {
    const proxy = alice.start('sally', 'proxy', 'db', database, '--port=0')
    opened.push(proxy)
    return (await proxy.prints(/127\.0\.0\.1:(\d+)/))[1] ?? ''
  }
  const [pg, my] = await Promise.all([portOf('orders'), portOf('shop')])
  const psql = (sslmode: string): Promise<Finished> =>
    client(
      'psql',
      '-AtXc',
      'select current_user',
      `host=127.0.0.1 port=${pg} user=bycert dbname=shop sslmode=${sslmode}`,
    )
  expect(await psql('disable')).toMatchObject({ code: 0, stdout: 'bycert\n', stderr: '' })
  expect(await psql('prefer')).toMatchObject({ code: 0, stdout: 'bycert\n', stderr: '' })
  const rows = 'select repeat("x", 300000), current_user()'
  const mysql = await client(
    'mariadb',
    ...['--no-defaults', '--skip-ssl', '-h127.0.0.1', `-P${my}`, '-uapp', '-NB', '-e', `${rows}; select 2`, 'shop'],
  )
  expect(mysql.stderr).toBe('')
  expect(mysql.stdout).toBe(`${'x'.repeat(300_000)}\tapp@%\n2\n`)
  await Promise.all(opened.map((each) => each.stop()))
})

test('signing out takes everything away, the certificate is worth nothing, and the own file is as it was', async () => {
  const service = readFileSync(join(home, '.pg_service.conf'), 'latin1')
  expect(service).toContain('[orders]')
  const kept = join(home, 'kept.conf')
  writeFileSync(kept, service.replaceAll('/db/', '/kept/'))
  await run('cp', ['-a', join(alice.home, 'db'), join(alice.home, 'kept')])
  expect(await sally('logout')).toMatchObject({ code: 0 })
  expect(readFileSync(join(home, '.pg_service.conf'), 'latin1')).toBe('[own]\nhost=elsewhere')
  const after = await run(needProgram('psql'), ['-AtXc', 'select 1', 'service=orders'], {
    env: { ...env, PGSERVICEFILE: kept },
  })
  expect(after.code).toBe(2)
  expect(after.stderr).toContain('your login session was ended')
})
