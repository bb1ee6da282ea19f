// What becomes of statements on their way to a real server: refused by their kind, recorded with their values whatever their length.
import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { u16, u32 } from '../../../src/connection/relay/mysql/wire/mysql-bytes.ts'
import { decodeParameters } from '../../../src/formats/statement-parameters.ts'
import { MysqlLab } from '../../support/mysql-lab.ts'
import { RawMysqlClient } from '../../support/raw-mysql-client.ts'
import { until } from '../../support/until.ts'

let lab: MysqlLab

beforeAll(async () => {
  lab = await MysqlLab.start()
  await lab.server.sql(`
    create table shop.things (id int primary key auto_increment, name varchar(50), data longblob);
    insert into shop.things (name) values ('bread'), ('cheese');
    grant create routine on shop.* to app@'%';`)
  await lab.mysql(['-e', 'do 0'])
})
afterAll(() => lab?.[Symbol.asyncDispose]())
afterEach(() => {
  lab.control.change = {}
})

const [QUERY, PREPARE, EXECUTE, LONG_DATA, RESET, CLOSE, PING] = [3, 0x16, 0x17, 0x18, 0x1a, 0x19, 14]

async function raw(): Promise<RawMysqlClient> {
  return RawMysqlClient.connect({ port: lab.port, user: 'app', database: 'shop', certificate: await lab.certificate() })
}

/** Sends a command and gives what came back until a ping behind it was answered. */
async function ask(client: RawMysqlClient, command: number, body: Buffer | string = ''): Promise<Buffer> {
  const from = client.received.length
  client.send(command, body)
  client.send(PING)
  const pong = Buffer.from([7, 0, 0, 1, 0, 0, 0])
  await until('the ping is answered', () => {
    const last = client.received.subarray(-11)
    return client.received.length >= from + 11 && last.subarray(0, 7).equals(pong)
  })
  return client.received.subarray(from, -11)
}

async function recordedStatements() {
  await until('the end is stored', () => lab.control.ends.has(lab.facts.sessionId))
  const records = await lab.recorded()
  return records.flatMap((record) => (record.kind === 'statement' ? [record] : []))
}

describe('kinds of statements that a role denies', () => {
  const deny = (...deniedStatements: ('ddl' | 'write' | 'dcl' | 'copy' | 'procedure')[]): void => {
    lab.control.change = { options: { ...lab.facts.options, deniedStatements } }
  }

  test('are not run and are recorded as denied, and the session goes on', async () => {
    deny('ddl')
    const input = 'drop table things;\nselect name from things where id = 1;\nselect 1; drop table things;\n'
    const { stdout, stderr } = await lab.mysql(['-N', '-f', 'shop'], { input })
    expect(stdout).toBe('bread\n1\n')
    expect(
      stderr.match(
        /ERROR 1227 \(42000\) at line \d: sallyport: your access does not include statements that define \(DDL\)/g,
      )?.length,
    ).toBe(2)
    expect(await lab.server.sql('select count(*) from shop.things;')).toBe('2\n')
    await until('the end is stored', () => lab.control.ends.has(lab.facts.sessionId))
    const records = await lab.recorded()
    const denied = records.flatMap((record) =>
      record.kind === 'result' && record.outcome === 'denied' ? [record.number] : [],
    )
    const texts = records.flatMap((record) =>
      record.kind === 'statement' && denied.includes(record.number)
        ? [Buffer.from(record.text?.bytes ?? []).toString()]
        : [],
    )
    expect(texts).toEqual(['drop table things', 'drop table things'])
  })

  // Each of them would run at this server if it were passed on.
  test.each([
    ['in a comment that is run', '/*!50000 drop table things */'],
    ["in a comment of MariaDB's", '/*M!100100 drop table things */'],
    ['behind a comment that is skipped', "/*!99999 ' */ drop table things -- '"],
    ['with comments between the words', 'drop/**/table/* ; */things'],
    ['behind another statement', 'select 1; drop table things'],
    ['in a string that a setting ends', "set sql_mode = 'no_backslash_escapes'; select 'a\\'; drop table things -- '"],
    ['as a text that is run', "execute immediate concat('drop ', 'table things')"],
    ['in a block', 'begin not atomic drop table things; end'],
    ['for a setting', 'set statement max_statement_time = 5 for drop table things'],
    ['in a procedure that is made', 'create procedure p() drop table things'],
  ])('are found %s', async (_where, sql) => {
    deny('ddl')
    using client = await raw()
    const answer = await ask(client, QUERY, sql)
    expect(answer.readUInt16LE(5)).toBe(1227)
    expect(await ask(client, PREPARE, sql)).toEqual(answer)
    expect(await lab.server.sql("select count(*) from information_schema.tables where table_name = 'things';")).toBe(
      '1\n',
    )
  })

  test('are found in a text that comes in many pieces, and a text of that length that is not is passed on', async () => {
    deny('ddl')
    using client = await raw()
    const long = 'x'.repeat(1_500_000)
    const denied = await ask(client, QUERY, `drop table /* ${long} */ things`)
    expect(denied.readUInt16LE(5)).toBe(1227)
    const passed = await ask(client, QUERY, `select length('${long}')`)
    expect(passed.includes('1500000')).toBe(true)
    const tooLong = await ask(client, QUERY, `select length('${long}${long}')`)
    expect(tooLong.subarray(7).toString()).toContain('more than 2 MiB is not judged')
  })

  test('leave everything else of a client alone', async () => {
    deny('ddl', 'dcl', 'write', 'copy', 'procedure')
    const { code, stdout, stderr } = await lab.mysql(['-N', 'shop'], {
      input:
        "start transaction;\nselect replace(name, 'bread', 'x;drop') from things for update;\nshow create table things\\G\ncommit;\n",
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('x;drop')
  })

  test('cannot be told in a character set with quotes in its letters: such a connection is refused', async () => {
    deny('ddl')
    const { code, stderr } = await lab.mysql(['--default-character-set=gbk', '-e', 'select 1'])
    expect(code).toBe(1)
    expect(stderr).toContain('which cannot be told in this character set: connect with utf8mb4')
  })
})

describe('values of parameters', () => {
  beforeAll(() => {
    lab.control.change = {}
  })
  const recordingParameters = (): void => {
    lab.control.change = { options: { ...lab.facts.options, deniedStatements: [], recordParameters: true } }
  }
  const SQL = 'insert into things (name, data) values (?, ?)'
  const apart = (parameter: number, value: string | Buffer): Buffer =>
    Buffer.concat([u32(1), u16(parameter), Buffer.from(value)])
  /** Types of both: VAR_STRING, BLOB. `values`: of those that were not sent apart */
  const execute = (...values: readonly Buffer[]): Buffer =>
    Buffer.concat([u32(1), Buffer.from([0]), u32(1), Buffer.from([0, 1, 253, 0, 252, 0]), ...values])
  const valuesOf = (bytes: Uint8Array): string[] =>
    decodeParameters(bytes).values.map((value) => Buffer.from(value.bytes ?? []).toString())

  test('that are sent apart in parts are recorded with the execution that uses them, and with no other', async () => {
    recordingParameters()
    const client = await raw()
    await ask(client, PREPARE, SQL)
    await ask(client, LONG_DATA, apart(1, 'lost'))
    await ask(client, RESET, u32(1))
    await ask(client, LONG_DATA, apart(1, 'sent '))
    await ask(client, LONG_DATA, apart(1, 'apart'))
    await ask(client, EXECUTE, execute(Buffer.from('\x05first')))
    await ask(client, EXECUTE, execute(Buffer.from('\x06second'), Buffer.from('\x06inline')))
    await ask(client, CLOSE, u32(1))
    client[Symbol.dispose]()
    const executed = (await recordedStatements()).filter(({ command }) => command === 'execute')
    expect(executed.map(({ parameters }) => valuesOf(parameters?.bytes ?? Buffer.alloc(0)))).toEqual([
      ['first', 'sent apart'],
      ['second', 'inline'],
    ])
    expect(
      await lab.server.sql("select name, data from shop.things where name in ('first', 'second') order by 1;"),
    ).toBe('first\tsent apart\nsecond\tinline\n')
  })

  test('of 20 MiB, sent apart, are recorded by their front, their length and their hash', async () => {
    recordingParameters()
    const client = await raw()
    const part = Buffer.alloc(5 * 1024 * 1024, 'part')
    await ask(client, PREPARE, SQL)
    for (let sent = 0; sent < 4; sent++) await ask(client, LONG_DATA, apart(1, part))
    await ask(client, EXECUTE, execute(Buffer.from('\x03big')))
    client[Symbol.dispose]()
    const statements = await recordedStatements()
    const sha256 = createHash('sha256')
    for (let sent = 0; sent < 4; sent++) sha256.update(part)
    const told = statements.flatMap(({ command, text }) =>
      command === 'command' && text ? [Buffer.from(text.bytes).toString()] : [],
    )
    expect(told).toEqual([`value 2 of statement 1 was sent apart: 20971520 bytes, SHA-256 ${sha256.digest('hex')}`])
    expect(await lab.server.sql("select length(data) from shop.things where name = 'big';")).toBe('20971520\n')
  })

  test('in an execution of 1 MiB are recorded as far as they fit, with length and hash of what was sent', async () => {
    recordingParameters()
    const client = await raw()
    await ask(client, PREPARE, SQL)
    const body = execute(
      Buffer.from('\x04long'),
      Buffer.concat([Buffer.from([0xfd, 0, 0, 0x10]), Buffer.alloc(0x100000, 'y')]),
    )
    await ask(client, EXECUTE, body)
    client[Symbol.dispose]()
    const executed = (await recordedStatements()).find(({ command }) => command === 'execute')
    expect(valuesOf(executed?.parameters?.bytes ?? Buffer.alloc(0))).toEqual(['long'])
    expect(executed?.parameters).toMatchObject({
      length: body.length,
      sha256: createHash('sha256').update(body).digest('hex'),
    })
  })

  test('are not recorded where the role says so, and nothing is kept of what is sent apart', async () => {
    lab.control.change = { options: { ...lab.facts.options, deniedStatements: [], recordParameters: false } }
    const client = await raw()
    await ask(client, PREPARE, SQL)
    await ask(client, LONG_DATA, apart(1, 'secret'))
    await ask(client, EXECUTE, execute(Buffer.from('\x06hidden')))
    client[Symbol.dispose]()
    const statements = await recordedStatements()
    expect(statements.map(({ command, parameters }) => [command, parameters])).toEqual([
      ['prepare', null],
      ['execute', null],
    ])
  })
})
