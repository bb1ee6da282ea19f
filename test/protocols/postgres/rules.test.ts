// What a role's options take away, enforced against a real server.
import { afterAll, beforeAll, beforeEach, expect, suite, test } from 'vitest'
import type { DatabaseSessionOptions } from '../../../src/connection/authorization.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { until } from '../../support/until.ts'

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  const NONE: DatabaseSessionOptions = {
    ...{ readOnly: false, statementTimeoutMs: null, deniedStatements: [], recordParameters: true, replication: false },
  }

  beforeAll(async () => {
    lab = await PostgresLab.start({ release })
    await lab.psql('create table items as select 1 as id')
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())
  beforeEach(() => {
    lab.control.change = {}
  })

  test('read-only: the server refuses to write, and what would lift that is not passed on', async () => {
    lab.control.change = { options: { ...NONE, readOnly: true } }
    expect((await lab.psql('select * from items')).stdout).toBe('1\n')
    expect((await lab.psql('insert into items values (2)')).stderr).toContain('read-only transaction')
    for (const sql of [
      'set default_transaction_read_only = off; insert into items values (2)',
      'begin read write; insert into items values (2); commit',
      "select set_config('transaction_read_only', 'off', true); insert into items values (2)",
      'do $$ begin perform 1; end $$',
    ]) {
      const refused = await lab.psql(sql)
      expect(refused.stderr, sql).toMatch(/FATAL: {2}your access (is read-only|does not include)/)
    }
    const options = { env: { PGOPTIONS: '-c default_transaction_read_only=off' } }
    expect((await lab.psql('insert into items values (2)', options)).stderr).toContain('read-only transaction')
    expect(await lab.server.query('shop', 'select count(*)::int as n from items')).toEqual([{ n: 1 }])
  })

  test('a kind of statement that is denied is recorded and not run, whichever protocol it comes by', async () => {
    lab.control.change = { options: { ...NONE, deniedStatements: ['ddl'] } }
    const refused = await lab.psql('select 1; drop table items')
    expect(refused.stderr).toContain('your access does not include statements that define (DDL)')
    await until('the end', () => lab.control.ends.has(lab.facts.sessionId))
    const records = await lab.recorded()
    expect(records.find((record) => record.kind === 'result')).toMatchObject({ outcome: 'denied' })
    expect((await lab.psql('select * from items')).stdout).toBe('1\n')
  })

  test('a statement that takes longer than it may is cancelled, also when the client lifts the limit of the server', async () => {
    lab.control.change = { options: { ...NONE, statementTimeoutMs: 500 } }
    expect((await lab.psql('select pg_sleep(600)')).stderr).toContain('canceling statement due to statement timeout')
    const lifted = await lab.client('psql', ['-X', '-c', 'set statement_timeout = 0', '-c', 'select pg_sleep(600)'])
    expect(lifted.stderr).toContain('canceling statement due to user request')
  })
})
