// libpq of release 18 beneath Debian's psql: what newer clients ask for, against servers of both releases.
import { join } from 'node:path'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, suite, test } from 'vitest'
import { needProgram } from '../../support/need-program.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { installPostgres18, RELEASES } from '../../support/postgres-release.ts'
import { fieldsOf, message, packet, RawPostgresClient, startup } from '../../support/raw-postgres-client.ts'
import { start, type Finished } from '../../support/run.ts'
import { until } from '../../support/until.ts'

let folder: string
let libpq: Readonly<Record<string, string>>

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sallyport-libpq-'))
  libpq = { LD_LIBRARY_PATH: join(installPostgres18(folder), '../lib') }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const LATEST = { PGMINPROTOCOLVERSION: '3.2', PGMAXPROTOCOLVERSION: 'latest' }

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  const psql = (env: Readonly<Record<string, string>>, sql = 'select 6 * 7'): Promise<Finished> =>
    lab.psql(sql, { env: { ...libpq, ...env } })
  const sleeps = async (): Promise<boolean> => (await lab.backends()).includes('select pg_sleep(600)')

  test.each<[string, Readonly<Record<string, string>>]>([
    ['as it comes', {}],
    ['3.2 and nothing older', LATEST],
    ['TLS at once', { PGSSLNEGOTIATION: 'direct' }],
    ['TLS at once, 3.2', { PGSSLNEGOTIATION: 'direct', ...LATEST }],
    ['TLS 1.2', { PGSSLMAXPROTOCOLVERSION: 'TLSv1.2' }],
  ])('%s', async (_name, env) => {
    expect(await psql(env)).toMatchObject({ code: 0, stdout: '42\n', stderr: '' })
  })

  test.each<[string, Readonly<Record<string, string>>]>([
    ['of four bytes', {}],
    ['of protocol 3.2', LATEST],
  ])('^C by a key %s stops the statement on the server', async (_name, env) => {
    const client = start(needProgram('psql'), ['-X', '-c', 'select pg_sleep(600)'], {
      env: { ...process.env, ...(await lab.environment()), ...libpq, ...env },
    })
    await until('the statement to run', sleeps)
    client.child.kill('SIGINT')
    expect((await client.finished).stderr).toContain('canceling statement due to user request')
    expect(await sleeps()).toBe(false)
  })

  test.each<[string, Readonly<Record<string, string>>, RegExp]>([
    [
      'a password exchange',
      { PGREQUIREAUTH: 'scram-sha-256' },
      /authentication method requirement "scram-sha-256" failed/,
    ],
    ['channel binding', { PGCHANNELBINDING: 'require' }, /channel binding required/],
  ])('a client that insists on %s with the proxy is told by libpq that there is none', async (_name, env, told) => {
    const { code, stderr } = await psql(env)
    expect([code, stderr]).toEqual([2, expect.stringMatching(told)])
  })

  test('versions that are newer than ours, and extensions that nobody knows, are negotiated; the key is as long as the version says', async () => {
    for (const [minor, extension, keyLength, told] of [
      [0, null, 8, null],
      [2, null, 32, null],
      [0, '_pq_.nothing', 8, [0, '_pq_.nothing']],
      [2, '_pq_.nothing', 32, [2, '_pq_.nothing']],
      [9999, null, 32, [2, '']],
    ] as const) {
      using client = await lab.raw({ signIn: false })
      const extra = extension === null ? {} : { [extension]: 'on' }
      client.send(startup({ user: 'app', database: 'shop', ...extra }, minor))
      await client.gets('Z')
      expect((await client.gets('K')).body, `3.${minor}`).toHaveLength(keyLength)
      expect(client.types().startsWith(told === null ? 'R' : 'vR')).toBe(true)
      if (told === null) continue
      const { body } = await client.gets('v')
      expect([body.readUInt32BE(0), body.toString('latin1', 8)]).toEqual([
        (3 << 16) | told[0],
        told[1] === '' ? '' : `${told[1]}\0`,
      ])
    }
  })

  test('a key that is short by a byte, long by a byte or of another session cancels nothing', async () => {
    using client = await lab.raw({ signIn: false })
    client.send(startup({ user: 'app', database: 'shop' }, 2))
    await client.gets('Z')
    const { body: key } = await client.gets('K')
    client.send(message('Q', 'select pg_sleep(600)\0'))
    await until('the statement to run', sleeps)
    for (const guess of [key.subarray(0, -1), Buffer.concat([key, Buffer.alloc(1)]), Buffer.alloc(32, 7)]) {
      using other = await RawPostgresClient.plain(lab.port)
      other.send(packet(80877102, guess))
      await other.closes()
    }
    expect(await sleeps()).toBe(true)
    using right = await RawPostgresClient.plain(lab.port)
    right.send(packet(80877102, key))
    await right.closes()
    expect(fieldsOf(await client.gets('E'))).toMatchObject({ C: '57014' })
  })
})
