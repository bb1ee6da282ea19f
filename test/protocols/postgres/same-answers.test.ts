// The same bytes to the server and through the proxy: the same answers, byte for byte, and records that say what happened.
import { afterAll, beforeAll, expect, suite, test } from 'vitest'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { bind, close, describe, execute, FLUSH, parse, query, SYNC, text } from '../../support/postgres-messages.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { message, RawPostgresClient, startup } from '../../support/raw-postgres-client.ts'
import { until } from '../../support/until.ts'

/** What is sent, how many ReadyForQuery end it, and the outcomes that are recorded for statements that ran. */
const CASES: readonly (readonly [string, readonly Buffer[], number, readonly string[]])[] = [
  ['a simple query', [query('select 1 as one, null, $$text$$')], 1, ['ok 1']],
  ['an empty query', [query('')], 1, ['ok 0']],
  ['several statements in one text', [query('select 1; select 2 where false; begin; commit')], 1, ['ok 1']],
  ['an error in the middle of a text', [query('select 1; select 1 / 0; select 2')], 1, ['error 22012']],
  [
    'queries sent ahead',
    [query('select 1'), query('select * from nowhere'), query('select 2')],
    3,
    ['ok 1', 'error 42P01', 'ok 1'],
  ],
  [
    'the extended protocol',
    [
      parse('s', 'select $1::int + 1'),
      describe('S', 's'),
      bind('', 's', ['41']),
      describe('P', ''),
      execute(''),
      close('S', 's'),
      SYNC,
    ],
    1,
    ['ok 1'],
  ],
  [
    'a portal that is read in parts',
    [parse('', 'select generate_series(1, 5)'), bind('p', ''), execute('p', 2), execute('p', 2), execute('p', 2), SYNC],
    1,
    ['suspended 2', 'suspended 2', 'ok 1'],
  ],
  [
    'an error in a pipeline, and what follows it until Sync',
    [
      parse('', 'select 1 / 0'),
      bind('', ''),
      execute(''),
      parse('', 'select 1'),
      bind('', ''),
      execute(''),
      SYNC,
      query('select 2'),
    ],
    2,
    ['error 22012', 'skipped', 'ok 1'],
  ],
  ['a Parse that fails', [parse('bad', 'selekt'), bind('', 'bad'), execute(''), SYNC], 1, ['error 42601', 'skipped']],
  ['a statement that nobody prepared', [bind('', 'none'), execute(''), SYNC], 1, ['error 26000']],
  ['two Syncs', [SYNC, SYNC], 2, []],
  ['Flush', [parse('', 'select 1'), FLUSH, bind('', ''), execute(''), FLUSH, SYNC], 1, ['ok 1']],
  [
    'COPY in, by a simple query',
    [
      query('copy items from stdin'),
      message('d', '1\tone\n2\ttwo\n'),
      message('c'),
      query('select count(*) from items'),
    ],
    2,
    ['ok 2', 'ok 1'],
  ],
  [
    'COPY in that the client gives up',
    [query('copy items from stdin'), message('f', text('no more'))],
    1,
    ['error 57014'],
  ],
  ['COPY out', [query('copy items to stdout')], 1, ['ok 2']],
  [
    'an error and then a rollback',
    [query('begin'), query('insert into items values (1)'), query('select 1'), query('rollback')],
    4,
    ['ok 0', 'error 23505', 'error 25P02', 'ok 0'],
  ],
  ['a text of a mebibyte', [query(`select length('${'x'.repeat(1024 * 1024)}')`)], 1, ['ok 1']],
  [
    'a parameter of a mebibyte',
    [parse('', 'select length($1::text)'), bind('', '', ['x'.repeat(1024 * 1024)]), execute(''), SYNC],
    1,
    ['ok 1'],
  ],
  ['a setting that is reported', [query("set application_name = 'x'; set timezone = 'UTC'; reset all")], 1, ['ok 0']],
  ['a notice', [query("do $$ begin raise notice 'hello'; end $$")], 1, ['ok 0']],
]

async function answers(
  client: RawPostgresClient,
  bytes: readonly Buffer[],
  readies: number,
  cut: boolean,
): Promise<Buffer> {
  await client.gets('Z')
  client.forget()
  const all = Buffer.concat(bytes)
  if (cut) {
    for (let at = 0; at < Math.min(all.length, 400); at++) client.send(all.subarray(at, at + 1))
    client.send(all.subarray(400))
  } else client.send(all)
  await client.gets('Z', readies)
  return client.bytes
}

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
    await lab.server.query('shop', 'create table items (id int primary key, name text); grant all on items to app')
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  test.each(CASES)('%s', async (name, bytes, readies, outcomes) => {
    const rows = name.startsWith('COPY in') ? '' : "insert into items values (1, 'one'), (2, 'two')"
    const fresh = (): Promise<unknown> => lab.server.query('shop', `truncate items; ${rows}`)
    await fresh()
    using direct = await RawPostgresClient.plain(lab.server.port)
    direct.send(startup({ user: 'sallyport', database: 'shop' }))
    const expected = await answers(direct, bytes, readies, false)
    for (const cut of [false, true]) {
      await fresh()
      using client = await lab.raw()
      expect(await answers(client, bytes, readies, cut)).toEqual(expected)
      client.send(message('X'))
      await client.closes()
      const { facts } = lab
      await until('the end', () => lab.control.ends.has(facts.sessionId))
      const results = (await lab.recorded(facts)).flatMap((record) =>
        record.kind === 'result' ? [`${record.outcome} ${record.code || String(record.rows ?? '')}`.trim()] : [],
      )
      expect(results).toEqual(outcomes)
    }
  })
})
