// mysql2, the client of most programs on Node.js, through the proxy: what it does must be what it does without.
import { readFileSync } from 'node:fs'
import {
  createConnection,
  createPool,
  type Connection,
  type ConnectionOptions,
  type RowDataPacket,
} from 'mysql2/promise'
import { createConnection as createStreaming } from 'mysql2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { MysqlLab, PASSWORD } from '../../support/mysql-lab.ts'
import { until } from '../../support/until.ts'

let lab: MysqlLab
let options: ConnectionOptions

beforeAll(async () => {
  lab = await MysqlLab.start()
  await lab.server.sql(`
    create table shop.things (id int primary key auto_increment, name varchar(50), at datetime(6), price decimal(10,2), data longblob);
    insert into shop.things (name, at, price, data) values
      ('bread', '2026-01-02 03:04:05.000006', 1.50, x'00ff'), ('käse', null, null, null);`)
  await lab.server.sql(
    'delimiter //\ncreate procedure shop.both_of(in least int) begin select least as a; select name from shop.things where id >= least; end//\n',
  )
  const { keyPem, certificatePem } = await lab.certificate()
  options = {
    ...{ host: '127.0.0.1', port: lab.port, user: 'app', database: 'shop', password: 'not looked at' },
    ssl: { ca: readFileSync(lab.proxyCa, 'utf8'), key: keyPem, cert: certificatePem },
  }
})
afterAll(() => lab?.[Symbol.asyncDispose]())

const direct = (): ConnectionOptions => ({
  ...{ host: '127.0.0.1', port: lab.server.port, user: 'app', database: 'shop', password: PASSWORD },
  ssl: { ca: lab.server.authority.certificatePem },
})

/** What a talk gives through the proxy, which is what it gives without. */
async function same<T>(talk: (connection: Connection) => Promise<T>, more: ConnectionOptions = {}): Promise<T> {
  const answers: T[] = []
  for (const way of [direct(), options]) {
    const connection = await createConnection({ ...way, ...more })
    answers.push(await talk(connection))
    await connection.end()
  }
  expect(answers[1]).toEqual(answers[0])
  return answers[1] as T
}

const rowsOf = async (connection: Connection, sql: string, values?: unknown[]): Promise<unknown> =>
  (await (values ? connection.execute(sql, values as string[]) : connection.query(sql)))[0]

describe('the answers through the proxy are those of the server', () => {
  test('rows of every kind, as text and in the binary protocol', async () => {
    const [text, binary] = await same(async (connection) => [
      await rowsOf(connection, 'select * from things order by id'),
      await rowsOf(connection, 'select * from things where id > ? order by id', [0]),
    ])
    expect(text).toHaveLength(2)
    expect(binary).toHaveLength(2)
  })

  test("but for MariaDB's own types, which are not offered: JSON comes as its text", async () => {
    const connection = await createConnection(options)
    expect(await rowsOf(connection, `select json_compact('{"a": 1}') as doc`)).toEqual([{ doc: '{"a":1}' }])
    await connection.end()
  })

  test('an error, after which the connection goes on', async () => {
    const answers = await same(async (connection) => {
      const error = await connection.query('select nonsense from things').catch((reason: unknown) => reason)
      const { errno, sqlState, sqlMessage } = error as { errno: number; sqlState: string; sqlMessage: string }
      return [errno, sqlState, sqlMessage, await rowsOf(connection, 'select 1 as one')]
    })
    expect(answers).toEqual([1054, '42S22', expect.stringContaining('nonsense'), [{ one: 1 }]])
  })

  test('several statements in one, and a procedure with several results', async () => {
    const more = { multipleStatements: true }
    const [several, procedure] = await same(
      async (connection) => [
        await rowsOf(connection, 'select 1 as a; do 0; select name from things order by id'),
        await rowsOf(connection, 'call both_of(2)'),
      ],
      more,
    )
    expect(several).toHaveLength(3)
    expect(procedure).toHaveLength(3)
  })

  test('one prepared statement, run many times with values of every type', async () => {
    const run = async (connection: Connection): Promise<unknown[]> => {
      const statement = await connection.prepare('select ? as a, ? as b, ? as c, ? as d')
      const answers: unknown[] = []
      for (const values of [
        [1, 'x', null, new Date(0)],
        [2.5, 'käse', Buffer.from([0, 255]), null],
        [null, null, null, null],
      ])
        answers.push((await statement.execute(values as never))[0])
      await statement.close()
      return answers
    }
    expect(await same(run)).toHaveLength(3)
  })

  test('a transaction that is rolled back', async () => {
    const names = await same(async (connection) => {
      await connection.beginTransaction()
      await connection.execute('insert into things (name) values (?)', ['gone'])
      await connection.rollback()
      return rowsOf(connection, 'select name from things order by id')
    })
    expect(names).toHaveLength(2)
  })

  test('a value of 17 MiB there and back, in one packet and a half', async () => {
    const data = Buffer.alloc(17 * 1024 * 1024, 'value')
    const length = await same(async (connection) => {
      const [rows] = await connection.execute<RowDataPacket[]>('select ? as data', [data])
      const back: unknown = rows[0]?.['data']
      return Buffer.isBuffer(back)
        ? [back.length, back.equals(data)]
        : [String(back).length, String(back) === data.toString()]
    })
    expect(length).toEqual([data.length, true])
  })
})

test('rows as a stream whose reader stops in between', async () => {
  const { keyPem, certificatePem } = await lab.certificate()
  const connection = createStreaming({
    ...{ host: '127.0.0.1', port: lab.port, user: 'app', database: 'shop', password: '' },
    ssl: { ca: readFileSync(lab.proxyCa, 'utf8'), key: keyPem, cert: certificatePem },
  })
  const rows = connection.query("select seq, repeat('x', 1000) as x from seq_1_to_20000").stream({ highWaterMark: 10 })
  let count = 0
  for await (const _row of rows) {
    count++
    if (count % 5000 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(count).toBe(20_000)
  await new Promise((resolve) => connection.end(resolve))
})

test('a pool opens as many connections as are needed at once, and gives them back', async () => {
  const pool = createPool({ ...options, connectionLimit: 5 })
  const answers = await Promise.all(
    Array.from({ length: 40 }, async (_, index) => {
      const [rows] = await pool.execute<RowDataPacket[]>('select ? as n, sleep(0.01) as s', [index])
      return rows[0]?.['n'] as unknown
    }),
  )
  expect(answers.map(Number)).toEqual(Array.from({ length: 40 }, (_, index) => index))
  expect((await lab.server.threads('app')).length).toBe(5)
  await pool.end()
  await until('the server is left', async () => (await lab.server.threads('app')).length === 0)
})

test.each([
  ['compression', { compress: true }],
  ['the attributes of a connection', { connectAttributes: { program: 'test' } }],
  ['its own flags', { flags: ['-SESSION_TRACK', '-DEPRECATE_EOF', 'FOUND_ROWS'] }],
])('%s of a client changes nothing of what is answered', async (_name, more) => {
  const connection = await createConnection({ ...options, ...(more as ConnectionOptions) })
  expect(await rowsOf(connection, 'select 1 as one')).toEqual([{ one: 1 }])
  expect(await rowsOf(connection, 'select ? as two', ['2'])).toEqual([{ two: '2' }])
  await connection.end()
})

test('changing the user is refused with ERR 1227', async () => {
  const connection = await createConnection(options)
  await expect(connection.changeUser({ user: 'root' })).rejects.toMatchObject({ errno: 1227 })
  connection.destroy()
})

test("a file of the client's is not sent: LOAD DATA LOCAL is refused", async () => {
  const connection = await createConnection(options)
  const load = connection.query({
    sql: "load data local infile '/etc/hostname' into table things (name)",
    infileStreamFactory: () => {
      throw new Error('the file was asked for')
    },
  } as never)
  await expect(load).rejects.toMatchObject({ errno: expect.toSatisfy((errno) => errno === 4166 || errno === 1148) })
  await connection.end()
})
