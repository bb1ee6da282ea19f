// Stock clients against a real server, through the relay.
import { afterAll, beforeAll, expect, suite, test } from 'vitest'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { until } from '../../support/until.ts'

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())

  test('psql works, by a password that the person never sees', async () => {
    const done = await lab.psql('select current_user, current_database(), 6 * 7')
    expect(done.stderr).toBe('')
    expect(done.stdout).toBe('app|shop|42\n')
    expect(lab.control.asked.at(-1)).toMatchObject({
      protocol: 'postgres',
      database: 'orders',
      dbUser: 'app',
      dbName: 'shop',
    })
    await until('the end to be stored', () => lab.control.ends.size === 1)
    expect([...lab.control.ends.values()][0]).toMatchObject({
      reason: 'client_left',
      complete: true,
      contents: ['statements'],
    })
  })

  test('psql works by a certificate that is made for this one connection', async () => {
    lab.control.change = { credential: 'certificate' }
    const done = await lab.psql('select current_user', { env: { PGUSER: 'bycert' } })
    lab.control.change = {}
    expect(done.stderr).toBe('')
    expect(done.stdout).toBe('bycert\n')
  })

  test('a script of many statements, errors and COPY in both directions gives what it gives without us', async () => {
    const script = `
    create table items (id int primary key, name text);
    insert into items select n, 'item ' || n from generate_series(1, 1000) n;
    select count(*), sum(id) from items;
    select 1 / 0;
    select * from nowhere;
    begin; insert into items values (1, 'twice'); commit;
    \\copy (select * from items order by id limit 3) to stdout
    copy items from stdin;
2001	from stdin
2002	also
\\.
    select count(*) from items;
    \\gset
    prepare one (int) as select name from items where id = $1; execute one (7); deallocate one;
    declare c cursor for select 1; begin; declare c cursor for select id from items order by id; fetch 2 from c; commit;
    listen news; notify news, 'hello'; select 'told';
    drop table items;
  `
    const args = ['-X', '-q', '-A', '-t', '-f', '-']
    const direct = await lab.client('psql', args, { input: script, env: lab.direct })
    const through = await lab.client('psql', args, { input: script })
    expect(direct.stdout, direct.stderr).not.toBe('')
    const plain = (text: string): string => text.replaceAll(/PID \d+/g, 'PID')
    expect(plain(through.stdout)).toBe(plain(direct.stdout))
    expect(plain(through.stderr)).toBe(plain(direct.stderr))
    expect(through.stdout).toContain('told')
  })

  test('statements are recorded with their text, rows and outcome', async () => {
    await lab.psql("select 'recorded', n from generate_series(1, 5) n")
    await until('the end', () => lab.control.ends.has(lab.facts.sessionId))
    const records = await lab.recorded()
    const statement = records.find((record) => record.kind === 'statement')
    expect(statement).toMatchObject({ command: 'query' })
    expect(JSON.stringify(records)).toContain('SELECT 5')
  })

  test('pgbench runs its three protocols', async () => {
    const made = await lab.client('pgbench', ['-i', '-s', '1', '-q'])
    expect(made.code, made.stderr).toBe(0)
    for (const protocol of ['simple', 'extended', 'prepared']) {
      const ran = await lab.client('pgbench', ['-n', '-S', '-M', protocol, '-c', '4', '-t', '50'])
      expect(ran.code, ran.stderr).toBe(0)
      expect(ran.stdout).toContain('number of transactions actually processed: 200/200')
    }
  })
})
