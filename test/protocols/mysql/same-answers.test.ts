// Generated sequences of commands: the same bytes, cut in the same places, to the server directly and through the proxy.
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CAPABILITY } from '../../../src/connection/relay/mysql/wire/capabilities.ts'
import { u16, u32 } from '../../../src/connection/relay/mysql/wire/mysql-bytes.ts'
import { framed } from '../../../src/connection/relay/mysql/wire/packets.ts'
import { MysqlLab, PASSWORD } from '../../support/mysql-lab.ts'
import { RawMysqlClient } from '../../support/raw-mysql-client.ts'
import { until } from '../../support/until.ts'

let lab: MysqlLab

beforeAll(async () => {
  lab = await MysqlLab.start()
  await lab.server.sql(`create table shop.things (id int primary key, name varchar(50));
    insert into shop.things values (1, 'bread'), (2, 'cheese'), (3, null);`)
  await lab.server.sql(
    'delimiter //\ncreate procedure shop.both_of() begin select 1 as a; select name from shop.things; end//\n',
  )
})
afterAll(() => lab?.[Symbol.asyncDispose]())

const COMMAND = {
  ...{ initDb: 2, query: 3, fields: 4, ping: 14, prepare: 0x16, execute: 0x17, longData: 0x18, close: 0x19 },
  ...{ reset: 0x1a, setOption: 0x1b, fetch: 0x1c, resetConnection: 0x1f },
} as const

interface Sent {
  readonly command: number
  readonly body: Buffer
}
const sent = (command: number, body: Buffer | string = ''): Sent => ({ command, body: Buffer.from(body) })

/** Everything in them lives and dies with the connection. */
const TEXTS = [
  'select * from things',
  'select id from things where 0',
  'select nonsense',
  'select',
  '',
  'do 0',
  'select 1; select name from things; do 0',
  'select 1; select nonsense; select 2',
  'call both_of()',
  'create temporary table kept (a int, b text)',
  "insert into kept values (1, 'x'), (2, null)",
  'update kept set b = a',
  'select * from kept order by a',
  'set @a = 1',
  'select @a, repeat(@a, 300)',
  'begin',
  'rollback',
  'show warnings',
  "select repeat('r', 70000), 1",
  'select seq, null from seq_1_to_500',
  'use nowhere',
  'set statement max_statement_time = 10 for select 1',
  '/*!50000 select 1 */',
]
const PREPARED = [
  'select name from things',
  'select ? + 1',
  'select ?',
  'do 0',
  'select nonsense',
  'select 1; select 2',
]

const statement = fc.integer({ min: 1, max: 4 })
const value = fc.string({ maxLength: 20 }).map((text) => Buffer.from(text))
const command: fc.Arbitrary<Sent> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...TEXTS).map((text) => sent(COMMAND.query, text)) },
  { weight: 3, arbitrary: fc.constantFrom(...PREPARED).map((text) => sent(COMMAND.prepare, text)) },
  // No parameters, or one text with its type.
  {
    weight: 4,
    arbitrary: fc.tuple(statement, fc.constantFrom(0, 1), fc.option(value)).map(([id, cursor, text]) => {
      const head = Buffer.concat([u32(id), Buffer.from([cursor]), u32(1)])
      const parameters = text === null ? [] : [Buffer.from([0, 1, 253, 0, text.length]), text]
      return sent(COMMAND.execute, Buffer.concat([head, ...parameters]))
    }),
  },
  statement.chain((id) =>
    fc.integer({ min: 0, max: 3 }).map((rows) => sent(COMMAND.fetch, Buffer.concat([u32(id), u32(rows)]))),
  ),
  statement.map((id) => sent(COMMAND.close, u32(id))),
  statement.map((id) => sent(COMMAND.reset, u32(id))),
  fc.tuple(statement, value).map(([id, text]) => sent(COMMAND.longData, Buffer.concat([u32(id), u16(0), text]))),
  fc.constantFrom('shop', 'nowhere').map((name) => sent(COMMAND.initDb, name)),
  fc.constantFrom('things\0', 'things\0na%', 'nothing\0').map((name) => sent(COMMAND.fields, name)),
  fc.constantFrom(0, 1, 7).map((option) => sent(COMMAND.setOption, u16(option))),
  fc.constant(sent(COMMAND.ping)),
  fc.constant(sent(COMMAND.resetConnection)),
)

/** All bytes at once, in pieces of these lengths in turn. */
function* pieces(bytes: Buffer, lengths: readonly number[]): Generator<Buffer> {
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const length = lengths[turn % lengths.length] ?? bytes.length
    yield bytes.subarray(at, at + length)
    at += length
  }
}

const LAST = "select 'the last answer'"

/** Whatever came until the last answer or the end of the connection. */
async function answers(
  client: RawMysqlClient,
  talk: readonly Sent[],
  lengths: readonly number[],
  ahead: boolean,
): Promise<string> {
  const packets = [...talk, sent(COMMAND.setOption, u16(0)), sent(COMMAND.query, LAST)].map(({ command, body }) =>
    framed(0, Buffer.from([command]), body),
  )
  if (ahead) for (const piece of pieces(Buffer.concat(packets), lengths)) client.socket.write(piece)
  else
    for (const packet of packets) {
      const before = client.received.length
      for (const piece of pieces(packet, lengths)) client.socket.write(piece)
      const isSilent = packet[4] === COMMAND.close || packet[4] === COMMAND.longData
      if (!isSilent) await until('an answer', () => client.received.length > before || client.isClosed, { every: 1 })
    }
  await until('the last answer', () => client.isClosed || client.received.subarray(-60).includes('the last answer'), {
    every: 1,
  })
  // Behind the row of the last answer there is an end of a known length; a closed connection has none.
  const before = client.received.length
  client.send(COMMAND.ping)
  await until('the ping is answered', () => client.isClosed || client.received.length >= before + 11, { every: 1 })
  return client.received.toString('hex')
}

describe.each([
  ['with EOF packets', 0],
  ['without EOF packets', CAPABILITY.DEPRECATE_EOF],
])('%s', (_name, capabilities) => {
  test.each([
    ['that waits for each answer', false],
    ['that waits for none', true],
  ])('whatever a client asks %s, it hears what the server would have said', async (_how, ahead) => {
    const talk = fc.array(command, { minLength: 1, maxLength: 12 })
    const lengths = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(talk, lengths, async (commands, cuts) => {
        using direct = await RawMysqlClient.connect({
          ...{ port: lab.server.port, user: 'app', password: PASSWORD, database: 'shop', capabilities },
        })
        const certificate = await lab.certificate()
        using through = await RawMysqlClient.connect({
          port: lab.port,
          user: 'app',
          database: 'shop',
          certificate,
          capabilities,
        })
        const [one, other] = await Promise.all(
          [direct, through].map((client) => answers(client, commands, cuts, ahead)),
        )
        expect(other).toBe(one)
      }),
      { numRuns: 15, endOnFailure: true },
    )
  })
})
