// Streams of changes: with a permission of their own, from real servers to stock clients, and ended like any statement.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, suite, test } from 'vitest'
import type { DatabaseSessionOptions } from '../../../src/connection/authorization.ts'
import { postgresProgram } from '../../support/postgres.ts'
import { PostgresLab } from '../../support/postgres-lab.ts'
import { RELEASES } from '../../support/postgres-release.ts'
import { run, start, type RunningProgram } from '../../support/run.ts'
import { until } from '../../support/until.ts'

const ALLOWED: DatabaseSessionOptions = {
  ...{ readOnly: false, statementTimeoutMs: null, deniedStatements: [], recordParameters: true, replication: true },
}

suite.each(RELEASES)('PostgreSQL %s', (release) => {
  let lab: PostgresLab

  beforeAll(async () => {
    lab = await PostgresLab.start({ release, config: ['wal_level = logical', 'max_wal_senders = 6'] })
    await lab.server.query('shop', 'create table items (what text); create publication news for table items')
  })
  afterAll(() => lab?.[Symbol.asyncDispose]())
  beforeEach(() => {
    lab.control.change = { options: ALLOWED }
  })

  const recvlogical = async (...args: readonly string[]): Promise<RunningProgram> => {
    const env = { ...process.env, ...(await lab.environment()) }
    return start(postgresProgram('pg_recvlogical'), ['-d', 'shop', '-S', 'slot', ...args], { env })
  }
  const stream = (): Promise<RunningProgram> =>
    recvlogical('--start', '-n', '-f', '-', '-o', 'proto_version=1', '-o', 'publication_names=news', '-F', '0')
  const senders = (): Promise<Record<string, unknown>[]> =>
    lab.server.query('postgres', 'select active_pid from pg_replication_slots where active')

  test('without the permission nothing is streamed, whichever way it is asked for', async () => {
    lab.control.change = {}
    const refused = await (await recvlogical('--create-slot', '-P', 'pgoutput')).finished
    expect(refused.code).not.toBe(0)
    expect(refused.stderr).toContain('your access to orders does not include replication')
    for (const how of ['database', 'true', '1', 'yes']) {
      const args = ['-X', '-d', `dbname=shop replication=${how}`, '-c', 'IDENTIFY_SYSTEM']
      expect((await lab.client('psql', args)).stderr, how).toContain('does not include replication')
    }
    expect(await lab.server.query('postgres', 'select * from pg_replication_slots')).toEqual([])
  })

  test('with it changes are streamed as they are made; the stream is recorded as what it is, and ended like a statement', async () => {
    expect((await (await recvlogical('--create-slot', '-P', 'pgoutput')).finished).stderr).toBe('')
    const client = await stream()
    await until('the stream to run', async () => (await senders()).length === 1)
    await lab.server.query('shop', "insert into items values ('the first loaf')")
    await client.prints(/the first loaf/)
    await lab.server.query('shop', "insert into items values ('the second loaf')")
    await client.prints(/the second loaf/)
    const { facts } = lab
    lab.control.notify({
      ...{ kind: 'end', text: 'your access (dba) was revoked by bob: enough' },
      ...{ endText: '', endsAt: null, budgetMs: null },
    })
    const ended = await client.finished
    expect(ended.code).not.toBe(0)
    expect(ended.stderr).toContain('your access (dba) was revoked by bob: enough')
    await until('no sender to remain', async () => (await senders()).length === 0)
    await until('the end', () => lab.control.ends.has(facts.sessionId))
    expect(lab.control.ends.get(facts.sessionId)?.contents).toEqual(['statements', 'replication'])
    const texts = (await lab.recorded(facts)).flatMap((record) =>
      record.kind === 'statement' && record.text ? [Buffer.from(record.text.bytes).toString()] : [],
    )
    expect(texts.at(-1)).toMatch(/^START_REPLICATION SLOT "slot" LOGICAL/)
  })

  test('a stream goes on for longer than statements may, and ends well when its client leaves', async () => {
    lab.control.change = { options: { ...ALLOWED, statementTimeoutMs: 500 } }
    const client = await stream()
    await until('the stream to run', async () => (await senders()).length === 1)
    // The limit is long over when the third has come.
    for (const loaf of ['third', 'fourth', 'fifth']) {
      await lab.server.query('shop', `select pg_sleep(0.6); insert into items values ('the ${loaf} loaf')`)
      await client.prints(new RegExp(`the ${loaf} loaf`))
    }
    client.child.kill('SIGINT')
    expect((await client.finished).code).toBe(0)
    await until('no sender to remain', async () => (await senders()).length === 0)
    await until('the end', () => lab.control.ends.has(lab.facts.sessionId))
    const results = (await lab.recorded()).filter((record) => record.kind === 'result')
    expect(results.at(-1)).toMatchObject({ outcome: 'ok' })
  })

  test('a copy of the whole server is asked for by the name that says so', async () => {
    const folder = join(lab.folder, `copy-${release}`)
    const args = ['-D', folder, '-X', 'stream', '-c', 'fast']
    if (release === 'debian') {
      const env = await lab.environment()
      const copied = await run(postgresProgram('pg_basebackup'), args, {
        env: { ...process.env, ...env },
        timeout: 60_000,
      })
      expect(copied.code, copied.stderr).toBe(0)
      expect(existsSync(join(folder, 'PG_VERSION'))).toBe(true)
    } else {
      // Its own pg_basebackup is not in the package, and Debian's is too old for it.
      const asked = ['-X', '-A', '-t', '-d', 'dbname=shop replication=true', '-c', 'IDENTIFY_SYSTEM']
      expect((await lab.client('psql', asked)).code).toBe(0)
    }
    expect(lab.control.asked.at(-1)).toMatchObject({ dbName: 'replication' })
  })
})
