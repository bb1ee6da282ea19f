// Sequences of messages that nobody thought of: the same bytes to the server and through the proxy, cut anywhere, give the same
// answers byte for byte, and each statement that was passed on has one outcome in its record.
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, expect, suite, test } from 'vitest'
import type { RecordingRecord } from '../../../src/formats/recording-record.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { bind, close, describe, execute, FLUSH, parse, query, SYNC, text } from '../../support/postgres-messages.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { message, RawPostgresClient, startup } from '../../support/raw-postgres-client.ts'
import { until } from '../../support/until.ts'

const RUNS = Number(process.env['GENERATED_RUNS'] ?? 30)

const SQL = [
  'select 1 as one',
  'select n, repeat($$x$$, n) from generate_series(1, 40) n',
  'select 1 / 0',
  'selekt',
  'select * from nowhere',
  '',
  ';',
  'begin',
  'commit',
  'rollback',
  'savepoint s; rollback to s',
  "insert into items values (7, 'seven') on conflict (id) do update set name = 'again' returning *",
  'insert into items values (1, $$twice$$)',
  'select count(*) from items',
  'truncate items',
  "do $$ begin raise notice 'hello'; end $$",
  "set local statement_timeout = '1min'",
  "set timezone = 'Asia/Tokyo'",
  'prepare p as select 1; execute p; deallocate p',
  'declare c cursor for select generate_series(1, 3)',
  'fetch 2 from c',
  'copy items to stdout',
  'select 1; select 2; select 1 / 0; select 3',
  'begin; select 1; commit; select 2',
  'copy (select 1) to stdout; select 2',
] as const
const ONE = SQL.filter((sql) => !sql.includes('; '))

const NAMES = ['', 's', 't'] as const
const PORTALS = ['', 'p'] as const
const name = fc.constantFrom(...NAMES)
const portal = fc.constantFrom(...PORTALS)
const values = fc.array(fc.constantFrom('1', '', 'x', '\u{1f600}'), { maxLength: 2 })
const lines = fc.constantFrom('8\teight\n', '1\ttwice\n', 'wrong\n', '9\tn', 'ine\n', '')

/** A message, or some that make sense together. Anything may follow anything. */
const step: fc.Arbitrary<readonly Buffer[]> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...SQL).map((sql) => [query(sql)]) },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.constantFrom(...ONE), name, portal, fc.integer({ min: 0, max: 3 }), fc.boolean())
      .map(([sql, prepared, bound, rows, isSynced]) => [
        ...[parse(prepared, sql), bind(bound, prepared), describe('P', bound), execute(bound, rows)],
        ...(isSynced ? [SYNC] : []),
      ]),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom(...SQL), name).map(([sql, prepared]) => [parse(prepared, sql)]) },
  { weight: 2, arbitrary: fc.tuple(portal, name, values).map((given) => [bind(...given)]) },
  { weight: 1, arbitrary: name.map((prepared) => [describe('S', prepared)]) },
  { weight: 1, arbitrary: portal.map((bound) => [describe('P', bound)]) },
  { weight: 3, arbitrary: fc.tuple(portal, fc.integer({ min: 0, max: 3 })).map((given) => [execute(...given)]) },
  { weight: 1, arbitrary: name.map((prepared) => [close('S', prepared)]) },
  { weight: 1, arbitrary: portal.map((bound) => [close('P', bound)]) },
  { weight: 3, arbitrary: fc.constant([SYNC]) },
  { weight: 1, arbitrary: fc.constant([FLUSH]) },
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.boolean(), fc.array(lines, { maxLength: 3 }), fc.boolean())
      .map(([isSimple, data, isDone]) => [
        ...(isSimple
          ? [query('copy items from stdin')]
          : [parse('', 'copy items from stdin'), bind('', ''), execute('')]),
        ...data.map((line) => message('d', line)),
        isDone ? message('c') : message('f', text('no more')),
        ...(isSimple ? [] : [SYNC]),
      ]),
  },
  { weight: 1, arbitrary: fc.constantFrom([message('c')], [message('f', text('no'))]) },
)
const sequence = fc.array(step, { minLength: 1, maxLength: 12 }).map((steps) => steps.flat())
/** Where the bytes are cut, as parts of their length */
const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 })

/** Whatever state the sequence has left, this ends it: COPY fails, what is skipped ends at Sync, and a query is answered. */
const MARK = 'the end of it all'
const TAIL = [message('f', text('over')), SYNC, query('rollback'), query(`select '${MARK}'`)]

async function answers(client: RawPostgresClient, bytes: Buffer, at: readonly number[]): Promise<Buffer> {
  await client.gets('Z')
  client.forget()
  let sent = 0
  for (const part of [...at, 1].toSorted((a, b) => a - b)) {
    const end = Math.round(part * bytes.length)
    if (end > sent) client.send(bytes.subarray(sent, end))
    sent = end
    // Sometimes what was asked is answered before the next piece comes, sometimes not.
    await new Promise((resolve) => setTimeout(resolve, end % 3 === 0 ? 5 : 0))
  }
  await until('the last answer', () => {
    if (client.ended) throw new Error('the connection was closed before the last answer')
    return client.bytes.includes(MARK) && client.types().endsWith('DCZ')
  })
  return client.bytes
}

/** Numbers of the statements that something must have come of: all but prepared ones, which have an outcome where they fail. */
function checkRecords(records: readonly RecordingRecord[], answer: RawPostgresClient): void {
  const open = new Set<number>()
  const prepared = new Set<number>()
  const errors: string[] = []
  for (const record of records) {
    if (record.kind === 'statement') (record.command === 'prepare' ? prepared : open).add(record.number)
    if (record.kind !== 'result') continue
    if (record.outcome === 'error') errors.push(record.code)
    const isExpected = prepared.delete(record.number) || open.delete(record.number)
    expect(isExpected, `a second outcome of statement ${record.number}`).toBe(true)
  }
  expect([...open], 'statements without an outcome').toEqual([])
  // Each recorded error was told to the client, in this order; errors of Bind and Describe alone are of no statement.
  const told = answer
    .messages()
    .filter(({ type }) => type === 'E')
    .map(({ body }) => /\0C([0-9A-Z]{5})\0/.exec(body.toString('latin1'))?.[1])
  for (const code of errors) {
    const found = told.indexOf(code)
    expect(found, `${code} of the records in ${told.join(' ')}`).toBeGreaterThanOrEqual(0)
    told.splice(0, found + 1)
  }
}

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
    await lab.server.query('shop', 'create table items (id int primary key, name text); grant all on items to app')
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())
  beforeEach(() => {
    lab.control.facts.clear()
  })

  test('the same answers as the server gives, and one outcome for each statement', async () => {
    const fresh = (): Promise<unknown> =>
      lab.server.query('shop', "truncate items; insert into items values (1, 'one'), (2, 'two')")
    const run = async (messages: readonly Buffer[], at: readonly number[]): Promise<void> => {
      const bytes = Buffer.concat([...messages, ...TAIL])
      await fresh()
      using direct = await RawPostgresClient.plain(lab.server.port)
      direct.send(startup({ user: 'sallyport', database: 'shop' }))
      const expected = await answers(direct, bytes, at)
      direct.send(message('X'))
      await direct.closes()
      await fresh()
      using client = await lab.raw()
      expect((await answers(client, bytes, at)).toString('latin1')).toBe(expected.toString('latin1'))
      const { facts } = lab
      client.send(message('X'))
      await client.closes()
      await until('the end', () => lab.control.ends.has(facts.sessionId))
      checkRecords(await lab.recorded(facts), client)
    }
    await fc.assert(fc.asyncProperty(sequence, cuts, run), {
      numRuns: RUNS,
      ...(process.env['GENERATED_SEED'] ? { seed: Number(process.env['GENERATED_SEED']) } : {}),
    })
  })
})
