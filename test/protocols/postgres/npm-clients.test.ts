// `pg` and `postgres`, the two clients that programs in JavaScript use: what they ask for, and how they ask it, through the relay.
import { readFileSync } from 'node:fs'
import { finished, pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { Client, type ClientConfig } from 'pg'
import postgres from 'postgres'
import { afterAll, beforeAll, beforeEach, expect, suite, test } from 'vitest'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { until } from '../../support/until.ts'

const REVOKED = {
  kind: 'end',
  text: 'your access (dba) was revoked by bob: enough',
  ...{ endText: '', endsAt: null, budgetMs: null },
} as const

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
    await lab.server.query('shop', 'create table items (id int primary key, what text); grant all on items to app')
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())
  beforeEach(() => lab.server.query('shop', 'truncate items'))

  async function config() {
    const { keyPem, certificatePem } = await lab.certificate()
    const ssl = { ca: readFileSync(lab.proxyCa, 'utf8'), key: keyPem, cert: certificatePem, servername: 'localhost' }
    return { host: '127.0.0.1', port: lab.port, user: 'app', database: 'shop', ssl }
  }
  const sleeps = async (): Promise<boolean> => {
    const busy = `select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(600)'`
    return (await lab.server.query('postgres', busy)).length > 0
  }

  suite('pg', () => {
    let client: Client
    const connect = async (more: ClientConfig = {}): Promise<Client> => {
      const one = new Client({ ...(await config()), ...more })
      one.on('error', () => {})
      await one.connect()
      return one
    }
    beforeEach(async () => {
      client = await connect()
      return () => client.end().catch(() => {})
    })

    test('parameters of all shapes, prepared statements, transactions and errors in the middle of them', async () => {
      const big = 'x'.repeat(3_000_000)
      const values = [42, null, 'zwölf \u{1f600}', Buffer.from([0, 1, 255]), new Date(0), ['a', 'b'], { a: 1 }, big]
      const types = ['int', 'int', 'text', 'bytea', 'timestamptz', 'text[]', 'jsonb', 'text']
      const sql = `select ${types.map((type, at) => `$${at + 1}::${type} as v${at}`).join(', ')}`
      const { rows } = await client.query<Record<string, unknown>>(sql, values)
      expect(Object.values(rows[0] ?? {})).toEqual(values)
      for (let id = 0; id < 20; id++)
        await client.query({ name: 'insert', text: 'insert into items values ($1, $2)', values: [id, `item ${id}`] })
      await client.query('begin')
      await expect(client.query('insert into items values ($1, $2)', [3, 'twice'])).rejects.toMatchObject({
        code: '23505',
      })
      await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
      await client.query('rollback')
      expect((await client.query('select count(*)::int as n from items')).rows).toEqual([{ n: 20 }])
    })

    test('many queries at once, some of which fail, are answered each by its own', async () => {
      const answers = await Promise.allSettled(
        Array.from({ length: 200 }, (_, n) => client.query('select 100 / ($1::int % 10) as v', [n])),
      )
      expect(answers.map(({ status }) => status)).toEqual(
        Array.from({ length: 200 }, (_, n) => (n % 10 === 0 ? 'rejected' : 'fulfilled')),
      )
    })

    test('LISTEN hears what another connection NOTIFYs, while it waits', async () => {
      const heard: string[] = []
      client.on('notification', ({ channel, payload }) => void heard.push(`${channel}: ${payload ?? ''}`))
      await client.query('listen news')
      const other = await connect()
      for (const word of ['one', 'two', 'zwölf']) await other.query('select pg_notify($1, $2)', ['news', word])
      await other.end()
      await until('three notifications', () => heard.length === 3)
      expect(heard).toEqual(['news: one', 'news: two', 'news: zwölf'])
    })

    test('a cursor is read in parts within a transaction', async () => {
      await client.query('begin')
      await client.query('declare c cursor for select generate_series(1, 1000) as n')
      const sizes = [
        (await client.query('fetch 400 from c')).rowCount,
        (await client.query('fetch 4000 from c')).rowCount,
      ]
      await client.query('commit')
      expect(sizes).toEqual([400, 600])
    })

    test('the end of access reaches it as an error with its SQLSTATE and its reason', async () => {
      const told = client.query('select pg_sleep(600)').catch((error: unknown) => error)
      await until('the statement to run', sleeps)
      lab.control.notify(REVOKED)
      expect(await told).toMatchObject({ code: '57P01', message: REVOKED.text })
      await until('no backend to remain', async () => !(await sleeps()))
    })
  })

  suite('postgres', () => {
    const open = async (most = 1): Promise<postgres.Sql> =>
      postgres({ ...(await config()), max: most, onnotice: () => {} })

    test('pipelines statements on one connection, with parameters, and each error is told to its own', async () => {
      const sql = await open()
      const answers = await Promise.allSettled(
        Array.from(
          { length: 200 },
          (_, n) => sql<{ v: number }[]>`select 100 / (${n}::int % 10) as v, ${`text ${n}`} as t`,
        ),
      )
      expect(answers.map(({ status }) => status === 'fulfilled')).toEqual(
        Array.from({ length: 200 }, (_, n) => n % 10 > 0),
      )
      const big = 'y'.repeat(5_000_000)
      expect((await sql`select length(${big}) as n, ${big} as big`)[0]).toEqual({ n: big.length, big })
      await sql.end()
    })

    test('a transaction of pipelined statements is rolled back whole where one of them fails', async () => {
      const sql = await open()
      const failed = sql.begin((tx) => [
        tx`insert into items values (1, 'one')`,
        tx`insert into items values (1, 'twice')`,
        tx`insert into items values (2, 'two')`,
      ])
      await expect(failed).rejects.toMatchObject({ code: '23505' })
      expect(await sql`select * from items`).toHaveLength(0)
      await sql.end()
    })

    test('COPY both ways, and goes on afterwards', async () => {
      const sql = await open()
      const lines = Array.from({ length: 20_000 }, (_, n) => `${n}\titem ${n}\n`)
      const into = await sql`copy items from stdin`.writable()
      await pipeline(Readable.from(lines), into)
      const out = await sql`copy items to stdout`.readable()
      let bytes = 0
      out.on('data', (chunk: Buffer) => void (bytes += chunk.length))
      await finished(out)
      expect(bytes).toBe(lines.join('').length)
      expect(await sql`select count(*)::int as n from items`).toEqual([{ n: 20_000 }])
      await sql.end()
    })

    test('a cursor hands out parts, and a cancelled query is stopped on the server', async () => {
      const sql = await open(2)
      const sizes: number[] = []
      await sql`select generate_series(1, 1000)`.cursor(300, (rows) => void sizes.push(rows.length))
      expect(sizes).toEqual([300, 300, 300, 100])
      const slow = sql`select pg_sleep(600)`
      const told = slow.catch((error: unknown) => error)
      await until('the statement to run', sleeps)
      slow.cancel()
      expect(await told).toMatchObject({ code: '57014' })
      expect(await sleeps()).toBe(false)
      await sql.end()
    })

    test('LISTEN and NOTIFY', async () => {
      const sql = await open(2)
      const heard: string[] = []
      await sql.listen('news', (word) => void heard.push(word))
      await sql.notify('news', 'fresh bread')
      await until('the notification', () => heard.length === 1)
      expect(heard).toEqual(['fresh bread'])
      await sql.end()
    })
  })
})
