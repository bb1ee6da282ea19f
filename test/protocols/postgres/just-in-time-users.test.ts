// What the admin of just-in-time users does to real servers, Debian's PostgreSQL and release 18, with the rights that the
// documentation gives it and no more. It signs in by password here; the journey does so by certificate.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { JustInTimeServer } from '../../../src/connection/just-in-time/just-in-time-server.ts'
import { postgresUsers } from '../../../src/connection/just-in-time/postgres-users.ts'
import type { AdminAccess, CloseOrder, OpenOrder } from '../../../src/connection/just-in-time/server-users.ts'
import { oneTimePassword } from '../../../src/identity/one-time-password.ts'
import { PASSWORD, secureServer } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { PostgresServer } from '../../support/postgres.ts'
import { TestAuthority } from '../../support/test-authority.ts'
import { until } from '../../support/until.ts'

const HOUR = 3_600_000

describe.each(RELEASES)('on PostgreSQL of release %s', (release) => {
  let server: PostgresServer
  let admin: AdminAccess
  let authorities = ''

  beforeAll(async () => {
    server = await PostgresServer.start({ release })
    const authority = await secureServer(server, (await TestAuthority.make('databases')).certificatePem)
    authorities = authority.certificatePem
    await server.query(
      'postgres',
      `create role sallyport_jit; create role sallyport_admin login createrole password '${PASSWORD}';
       grant pg_signal_backend to sallyport_admin;
       create role reader; create role writer; create role boss superuser;
       grant sallyport_jit to sallyport_admin with admin option;
       grant reader to sallyport_admin with admin option; grant writer to sallyport_admin with admin option`,
    )
    const line = 'hostssl all sallyport_admin,+sallyport_jit 127.0.0.1/32 scram-sha-256\n'
    appendFileSync(join(server.folder, 'data', 'pg_hba.conf'), line)
    await server.query('postgres', 'select pg_reload_conf()')
    const to: JustInTimeServer = {
      ...{ databaseId: 'dtb_1', databaseName: 'orders', protocol: 'postgres', host: '127.0.0.1', port: server.port },
      tls: { mode: 'verify-full', authorities, serverName: 'localhost' },
      ...{ credential: 'password', adminUser: 'sallyport_admin', adminDatabase: 'postgres' },
    }
    admin = { server: to, credential: { kind: 'password', password: PASSWORD } }
  })
  afterAll(() => server?.stop())

  const open = (name: string, change: Partial<OpenOrder> = {}): Promise<boolean> =>
    postgresUsers.open(admin, {
      ...{ name, dbRoles: ['reader'], password: 'x'.repeat(43), validUntil: Date.now() + HOUR, isReadOnly: false },
      ownCredential: () => Promise.reject(new Error('nobody signs in as oneself here')),
      isWanted: () => Promise.resolve(true),
      ...change,
    })
  const close = (name: string, change: Partial<CloseOrder> = {}) =>
    postgresUsers.close(admin, { name, wish: 'lock', isUnwanted: () => Promise.resolve(true), ...change })
  const signIn = async (name: string, password: string): Promise<Client> => {
    const client = new Client({
      ...{ host: '127.0.0.1', port: server.port, user: name, database: 'shop', password },
      ssl: { ca: authorities, servername: 'localhost', checkServerIdentity: () => undefined },
    })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const rolesOf = async (name: string): Promise<unknown[]> => {
    const rows = await server.query(
      'postgres',
      `select r.rolname as role from pg_auth_members m join pg_roles r on r.oid = m.roleid
       join pg_roles u on u.oid = m.member where u.rolname = '${name.replaceAll("'", "''")}' order by 1`,
    )
    return rows.map(({ role }) => role)
  }

  test('a password that only we know opens the user until it is locked, and what it runs then is ended', async () => {
    const password = oneTimePassword()
    expect(await open('ada', { password })).toBe(true)
    const client = await signIn('ada', password)
    const gone = new Promise<void>((resolve) => client.once('end', () => resolve()))
    const running = client.query('select pg_sleep(600)').catch((error: unknown) => String(error))
    expect(await close('ada')).toEqual({ kind: 'locked', kept: null })
    await gone
    expect(await running).toContain('terminat')
    await expect(signIn('ada', password)).rejects.toThrow(/not permitted to log in|password authentication failed/)
    expect(await rolesOf('ada')).toEqual(['sallyport_jit'])
    const fresh = oneTimePassword()
    expect(await open('ada', { password: fresh })).toBe(true)
    await expect(signIn('ada', password)).rejects.toThrow('password authentication failed')
    await (await signIn('ada', fresh)).end()
    await close('ada')
  })

  test('a password is no good any more when its time is over, whoever does not come back to lock it', async () => {
    const password = oneTimePassword()
    await open('late', { password, validUntil: Date.now() - 1000 })
    await expect(signIn('late', password)).rejects.toThrow('password authentication failed')
    await close('late')
  })

  test('what somebody else has given it is taken back, or it is not opened', async () => {
    await open('eve')
    await server.query('postgres', 'grant writer to eve with admin option')
    // From release 16 on one takes back only what oneself has granted.
    if (release === '18') {
      await expect(open('eve')).rejects.toThrow('its user eve has the role writer from somebody else')
      expect(await close('eve')).toEqual({
        kind: 'locked',
        kept: expect.stringContaining('it keeps its roles') as string,
      })
      await server.query('postgres', 'revoke writer from eve')
    } else expect(await open('eve')).toBe(true)
    expect(await open('eve')).toBe(true)
    expect(await rolesOf('eve')).toEqual(['reader', 'sallyport_jit'])
    await server.query('postgres', 'alter role eve createdb')
    await expect(open('eve')).rejects.toThrow('its user eve was given more by somebody than Sallyport gives')
    await server.query('postgres', 'alter role eve nocreatedb')
    expect(await open('eve')).toBe(true)
    expect(await rolesOf('eve')).toEqual(['reader', 'sallyport_jit'])
    await close('eve', { wish: 'drop' })
  })

  test('a role that is not there, a superuser and what one may not hand out are refused, and nobody is made', async () => {
    await expect(open('nobody', { dbRoles: ['nowhere'] })).rejects.toThrow('orders has no database role nowhere')
    await expect(open('nobody', { dbRoles: ['boss'] })).rejects.toThrow("the database role boss is a superuser's")
    expect(await server.query('postgres', `select from pg_roles where rolname = 'nobody'`)).toEqual([])
  })

  test('one that is not wanted any more is not made, and one that is wanted again is not locked', async () => {
    expect(await open('gone', { isWanted: () => Promise.resolve(false) })).toBe(false)
    expect(await close('gone')).toEqual({ kind: 'absent' })
    await open('back')
    expect(await close('back', { isUnwanted: () => Promise.resolve(false) })).toEqual({ kind: 'wanted_again' })
    expect(await rolesOf('back')).toEqual(['reader', 'sallyport_jit'])
    await close('back', { wish: 'drop' })
  })

  test('somebody of that name who is not ours is neither opened nor closed', async () => {
    await server.query('postgres', 'create role theirs login')
    await expect(open('theirs')).rejects.toThrow('there is a user theirs on it that Sallyport did not make')
    expect(await close('theirs', { wish: 'drop' })).toEqual({ kind: 'not_ours' })
    expect(await server.query('postgres', `select rolcanlogin from pg_roles where rolname = 'theirs'`)).toEqual([
      { rolcanlogin: true },
    ])
  })

  test.each([`a"; drop role reader; --`, `a'b`, 'a\\', `"`, 'ä ö', '$$'])(
    'the server reads the name %j as it is meant',
    async (name) => {
      expect(await open(name)).toBe(true)
      expect(await rolesOf(name)).toEqual(['reader', 'sallyport_jit'])
      expect(await close(name, { wish: 'drop' })).toEqual({ kind: 'dropped' })
    },
  )

  test('whoever opens and closes one user at the same time does it one after the other, and the last word holds', async () => {
    let isLive = true
    const opening = Array.from({ length: 6 }, () => open('busy', { isWanted: () => Promise.resolve(isLive) }))
    const closing = Array.from({ length: 6 }, () => close('busy', { isUnwanted: () => Promise.resolve(!isLive) }))
    await Promise.all(opening)
    isLive = false
    const ends = await Promise.all([...closing, close('busy', { isUnwanted: () => Promise.resolve(true) })])
    expect(ends.at(-1)).toEqual({ kind: 'locked', kept: null })
    await until('it to be locked', async () => {
      const [row] = await server.query('postgres', `select rolcanlogin as login from pg_roles where rolname = 'busy'`)
      return row?.['login'] === false
    })
  })
})
