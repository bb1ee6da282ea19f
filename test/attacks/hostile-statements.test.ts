// What somebody may put into statements, and disks that fill while they run: through the whole daemon, with a real server.
import { hash } from 'node:crypto'
import { readFileSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { PlayedRecord } from '../../src/contract/recording.ts'
import { databaseClient } from '../support/database-client.ts'
import { fillDisk, mountSmall, played, verified } from '../support/fault-house.ts'
import { needProgram } from '../support/need-program.ts'
import { secureServer } from '../support/postgres-lab.ts'
import { PostgresServer } from '../support/postgres.ts'
import { start } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

type Statement = Extract<PlayedRecord, { kind: 'statement' }>

let server: PostgresServer
let disk: TempFolder
let folder: string
let unmount: () => void
let sallyport: Sallyport
let alice: Account
let env: Readonly<Record<string, string>>
let isSecure = false
let serverAuthority = ''

beforeAll(async () => {
  server = await PostgresServer.start()
})
afterAll(() => server?.stop())

beforeEach(async ({ task }) => {
  disk = tempFolder('statements')
  folder = disk.file('disk')
  unmount = mountSmall(folder, '4m')
  sallyport = await startSallyport({ config: { recordings_dir: join(folder, 'recordings') } })
  const { items } = await sallyport.api.listAuthorities({})
  const authority = items.find(({ kind }) => kind === 'database-x509')?.public ?? ''
  if (isSecure) await trust(authority)
  else serverAuthority = (await secureServer(server, authority)).certificatePem
  isSecure = true
  await sallyport.document({
    kind: 'database',
    version: 'v1',
    metadata: { name: 'orders', labels: {} },
    spec: {
      protocol: 'postgres',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { mode: 'verify-full', ca: serverAuthority, server_name: 'localhost' },
      auth: { kind: 'certificate' },
    },
  })
  const allow = { db_labels: { '*': '*' }, db_users: ['bycert'], db_names: ['shop'] }
  // The title begins with the mode that it is about.
  const mode = (['strict_sync', 'best_effort'] as const).find((each) => task.name.startsWith(each)) ?? 'strict'
  const options = { record_session: mode } as const
  await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow, options } })
  await sallyport.user('alice', ['dba'])
  alice = await sallyport.signIn('alice')
  const files = await databaseClient(alice, 'orders')
  env = {
    PGHOST: '127.0.0.1',
    PGPORT: String(sallyport.port),
    PGUSER: 'bycert',
    PGDATABASE: 'shop',
    PGSSLMODE: 'verify-full',
    PGSSLROOTCERT: files.authorityFile,
    PGSSLCERT: files.certificateFile,
    PGSSLKEY: files.keyFile,
    PGCLIENTENCODING: 'SQL_ASCII',
  }
  await server.query('shop', 'drop table if exists log; create table log (n int); grant all on log to bycert')
})
afterEach(async () => {
  await sallyport?.stop()
  unmount()
  disk[Symbol.dispose]()
})

/** The server of the last test believes the authority of this one. */
async function trust(authority: string): Promise<void> {
  writeFileSync(join(server.folder, 'clients.pem'), authority)
  await server.query('postgres', 'select pg_reload_conf()')
}

const psql = (...args: readonly string[]) => start(needProgram('psql'), ['-X', '-q', '-A', '-t', ...args], { env })

async function onlySession(): Promise<{ readonly id: string; readonly records: readonly PlayedRecord[] }> {
  await until('the end to be stored', async () => (await sallyport.sessions({ live: true })).length === 0)
  const [session] = await sallyport.sessions()
  const id = session?.id ?? ''
  return { id, records: await played(alice, id) }
}
const statementsOf = (records: readonly PlayedRecord[]): readonly Statement[] =>
  records.filter((record) => record.kind === 'statement')

test.for(['strict', 'strict_sync'])(
  '%s, on a full recordings folder: the session ends, says why, and the server ran nothing that is not recorded',
  async () => {
    const script = disk.file('script.sql')
    writeFileSync(
      script,
      Array.from({ length: 200_000 }, (_, n) => `insert into log values (${n}); -- ${'x'.repeat(200)}\n`).join(''),
    )
    const program = psql('-f', script)
    const rows = async (): Promise<number> =>
      Number((await server.query('shop', 'select count(*) n from log'))[0]?.['n'])
    await until('some rows', async () => (await rows()) > 50)
    const filler = fillDisk(folder)
    const { code, stderr } = await program.finished
    expect(code).not.toBe(0)
    expect(stderr).toContain('can no longer be recorded')
    unlinkSync(filler)
    const { records } = await onlySession()
    const asked = new Set(statementsOf(records).map(({ text }) => /values \((\d+)\)/.exec(text?.text ?? '')?.[1]))
    const ran = (await server.query('shop', 'select n from log')).map((row) => String(row['n']))
    expect(ran.length).toBeGreaterThan(50)
    expect(ran.filter((n) => !asked.has(n))).toEqual([])
    expect((await verified(sallyport)).problems).toEqual([])
  },
)

test('best_effort, on a full recordings folder: the session goes on, and the replay shows the gap', async () => {
  const filling = psql('-f', '-')
  filling.write('insert into log values (1);\n')
  await until('the first row', async () => (await server.query('shop', 'select n from log')).length === 1)
  const filler = fillDisk(folder)
  for (let n = 2; n <= 3000; n++) filling.write(`insert into log values (${n}); -- ${'x'.repeat(200)}\n`)
  await until('all rows', async () => (await server.query('shop', 'select n from log')).length === 3000)
  unlinkSync(filler)
  filling.end('select 42;\n')
  expect(await filling.finished).toMatchObject({ code: 0, stdout: '42\n' })
  const { records } = await onlySession()
  expect(records.find((record) => record.kind === 'gap')).toMatchObject({
    reason: expect.stringMatching(/ENOSPC.*records lost/) as unknown,
  })
  expect(statementsOf(records).at(-1)?.text?.text).toBe('select 42;')
  expect((await verified(sallyport)).problems).toEqual([])
})

test('texts that are no text: bytes outside UTF-8, escape sequences and five megabytes are recorded, played and searched harmlessly', async () => {
  const long = `select length('${'x'.repeat(5_000_000)}customers_at_the_end')`
  const script = disk.file('script.sql')
  const hostile = "select '\x1b[2J\x1b]0;owned\x07 \u202e secrets_of_state'"
  writeFileSync(
    script,
    Buffer.concat([Buffer.from(`${hostile};\nselect '`), Buffer.of(0xff, 0xc0, 0x80), Buffer.from(`';\n${long};\n`)]),
  )
  const done = await psql('-f', script).finished
  expect(done.stdout).toContain('5000020\n')
  const { id, records } = await onlySession()
  const texts = statementsOf(records).map(({ text }) => text)
  expect(texts.at(-3)).toMatchObject({ text: `${hostile};`, escaped: false })
  expect(texts.at(-2)).toMatchObject({ text: String.raw`select '\xff\xc0\x80';`, escaped: true })
  const last = texts.at(-1)
  expect(last).toMatchObject({ length: long.length + 1, sha256: hash('sha256', `${long};`) })
  expect(last?.text.length).toBe(64 * 1024)
  const { stdout } = await alice.sally('play', id)
  // oxlint-disable-next-line no-control-regex -- what must not be there
  expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  expect((await alice.sally('recordings', 'search', 'Secrets_of_State')).stdout).toContain('Found in 1 session')
  expect((await alice.sally('recordings', 'search', 'customers_at_the_end')).stdout).toContain('Nothing found')
  expect((await sallyport.events({ type: 'session.recording.search' })).length).toBe(2)
  expect((await verified(sallyport)).problems).toEqual([])
})

test('65,535 parameters of one statement are counted and hashed; the first of them are kept', async () => {
  const read = (name: string): string => readFileSync(env[name] ?? '', 'utf8')
  const ssl = { ca: read('PGSSLROOTCERT'), cert: read('PGSSLCERT'), key: read('PGSSLKEY') }
  const client = new Client({ host: '127.0.0.1', port: sallyport.port, user: 'bycert', database: 'shop', ssl })
  await client.connect()
  const values = Array.from({ length: 65_535 }, (_, n) => `value ${n}`)
  const places = values.map((_, n) => `$${n + 1}`).join(',')
  const { rows } = await client.query(`select count(*)::int as n from unnest(array[${places}]::text[])`, values)
  expect(rows).toEqual([{ n: 65_535 }])
  await client.end()
  const { records } = await onlySession()
  const { parameters } = statementsOf(records).find(({ command }) => command === 'execute') ?? {}
  expect(parameters).toMatchObject({ count: 65_535, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as unknown })
  expect(parameters?.values.slice(0, 3)).toEqual(['value 0', 'value 1', 'value 2'])
  expect(parameters?.values.length).toBeGreaterThan(1000)
  expect(records.find((record) => record.kind === 'result')).toMatchObject({ outcome: 'ok', rows: 1 })
})
