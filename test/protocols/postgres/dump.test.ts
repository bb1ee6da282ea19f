// A whole database out through the relay and in again: pg_dump and pg_restore, with big objects, COPY and what else a database holds.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { postgresProgram } from '../../support/postgres.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { run, type Finished } from '../../support/run.ts'
import { until } from '../../support/until.ts'

let lab: PostgresLab

const SCHEMA = `
  create type mood as enum ('sad', 'ok');
  create table customers (id serial primary key, name text not null, mood mood, picture bytea, tags text[], facts jsonb);
  insert into customers (name, mood, picture, tags, facts)
    select 'customer ' || n || E' \\t\\n\\\\ \u{1f600}', 'ok', decode(repeat('00ff5c0a', 200), 'hex'), array['a', null, 'b,"c'], '{"n": 1}'
    from generate_series(1, 5000) n;
  create table orders (id int primary key, customer int references customers, price numeric(10, 2));
  insert into orders select n, n, n / 7.0 from generate_series(1, 5000) n;
  create index on orders (price);
  create view dear as select * from orders where price > 500;
  create function twice(n int) returns int language sql as 'select n * 2';
  select lo_from_bytea(4242, decode(repeat('deadbeef', 100000), 'hex'));
  select lo_from_bytea(4243, '');
`
/** What the database holds, as one number each */
const SUMS = `
  select 'customers', md5(string_agg(c::text, '|' order by id)) from customers c union all
  select 'orders', md5(string_agg(o::text, '|' order by id)) from orders o union all
  select 'dear', count(*)::text from dear union all select 'twice', twice(21)::text union all
  select 'object ' || oid, length(lo_get(oid)) || md5(lo_get(oid)) from pg_largeobject_metadata union all
  select 'objects', count(*)::text from pg_largeobject_metadata order by 1`

beforeAll(async () => {
  lab = await PostgresLab.start()
  for (const name of ['custom', 'directory', 'plain'])
    await lab.server.query('postgres', `create database ${name} owner app`)
  const made = await lab.client('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', '-'], { input: SCHEMA })
  expect(made.code, made.stderr).toBe(0)
}, 120_000)
afterAll(() => lab?.[Symbol.asyncDispose]())

const sums = async (database: string): Promise<string> => {
  const done = await run(postgresProgram('psql'), ['-X', '-A', '-t', '-d', database, '-c', SUMS], { env: lab.direct })
  expect(done.stderr).toBe('')
  return done.stdout
}
const client = (program: string, ...args: readonly string[]): Promise<Finished> =>
  lab.client(program, args, { timeout: 100_000 })

test.each<[string, (file: string) => readonly string[], (file: string) => readonly [string, ...string[]]]>([
  ['custom', (file) => ['-Fc', '-f', file], (file) => ['pg_restore', '--no-owner', '-d', 'custom', file]],
  // Several connections at once, which share a snapshot
  [
    'directory',
    (file) => ['-Fd', '-j', '3', '-f', file],
    (file) => ['pg_restore', '--no-owner', '-j', '3', '-d', 'directory', file],
  ],
  [
    'plain',
    (file) => ['-Fp', '-f', file],
    (file) => ['psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'plain', '-f', file],
  ],
])('%s: what is dumped and restored is what was there', async (format, dumped, restored) => {
  const file = join(lab.folder, `dump-${format}`)
  const dump = await client('pg_dump', ...dumped(file))
  expect([dump.code, dump.stderr]).toEqual([0, ''])
  const restore = await client(...restored(file))
  expect([restore.code, restore.stderr]).toEqual([0, ''])
  expect(await sums(format)).toBe(await sums('shop'))
  expect(await sums(format)).toContain('objects|2')
})

test('pgbench pipelines: many statements on the way at once, in its extended and prepared protocols', async () => {
  expect((await client('pgbench', '-i', '-q', '-s', '1')).code).toBe(0)
  const script = join(lab.folder, 'pipeline.sql')
  await run('tee', [script], {
    input: `\\set aid random(1, 100000)
\\startpipeline
select abalance from pgbench_accounts where aid = :aid;
update pgbench_accounts set abalance = abalance + 1 where aid = :aid;
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, 1, now());
select :aid;
\\endpipeline
`,
  })
  for (const protocol of ['extended', 'prepared']) {
    const ran = await client('pgbench', '-n', '-M', protocol, '-c', '4', '-t', '100', '-f', script)
    expect(ran.stdout, ran.stderr).toContain('number of transactions actually processed: 400/400')
    expect(ran.stdout).toContain('number of failed transactions: 0')
  }
  expect(await lab.server.query('shop', 'select count(*)::int as n from pgbench_history')).toEqual([{ n: 800 }])
})

test('calls of large objects are recorded one by one, and where access is read-only they are read and not written', async () => {
  const script = '\\lo_export 4242 /dev/null\n\\lo_import /etc/hostname\n'
  const done = await lab.client('psql', ['-X', '-q', '-f', '-'], { input: script })
  expect(done.stderr).toBe('')
  await until('the end', () => lab.control.ends.has(lab.facts.sessionId))
  const texts = (await lab.recorded()).flatMap((record) =>
    record.kind === 'statement' && record.text ? [Buffer.from(record.text.bytes).toString()] : [],
  )
  expect(texts).toEqual(expect.arrayContaining(['lo_open(4242, 262144)', 'loread(0, 8192)', 'lo_creat(393216)']))
  expect(texts.some((text) => /^lowrite\(0, \d+ bytes\)$/.test(text))).toBe(true)
  const none = { statementTimeoutMs: null, deniedStatements: [], recordParameters: true, replication: false }
  lab.control.change = { options: { ...none, readOnly: true } }
  const read = await lab.client('psql', ['-X', '-q', '-f', '-'], { input: '\\lo_export 4242 /dev/null\n' })
  expect(read).toMatchObject({ code: 0, stderr: '' })
  const written = await lab.client('psql', ['-X', '-q', '-f', '-'], { input: '\\lo_import /etc/hostname\n' })
  expect(written.stderr).toContain('your access does not include lo_creat, which changes large objects')
  lab.control.change = {}
})
