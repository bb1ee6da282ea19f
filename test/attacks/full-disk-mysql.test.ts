// A recordings folder that fills while somebody's statements run on MariaDB: what runs is what is recorded.
import { unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { PlayedRecord } from '../../src/contract/recording.ts'
import { databaseClient } from '../support/database-client.ts'
import { fillDisk, mountSmall, played, verified } from '../support/fault-house.ts'
import { MariadbServer } from '../support/mariadb.ts'
import { needProgram } from '../support/need-program.ts'
import { start } from '../support/run.ts'
import { startSallyport, type Account, type Sallyport } from '../support/sallyport.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'
import { until } from '../support/until.ts'

const PASSWORD = 'nobody types this'

let server: MariadbServer
let disk: TempFolder
let folder: string
let unmount: () => void
let sallyport: Sallyport
let alice: Account
let client: readonly string[]

beforeAll(async () => {
  server = await MariadbServer.start()
  await server.sql(
    `create database shop; create user app@'%' identified by '${PASSWORD}'; grant all on shop.* to app@'%';`,
  )
})
afterAll(() => server?.stop())

beforeEach(async ({ task }) => {
  disk = tempFolder('full-disk')
  folder = disk.file('disk')
  unmount = mountSmall(folder, '4m')
  await server.sql('create or replace table shop.log (n int)')
  const config = { recordings_dir: join(folder, 'recordings'), mysql: { listen: '127.0.0.1:0' } }
  sallyport = await startSallyport({ config })
  await sallyport.document({
    kind: 'database',
    version: 'v1',
    metadata: { name: 'orders', labels: {} },
    spec: {
      protocol: 'mysql',
      address: `127.0.0.1:${String(server.port)}`,
      tls: { mode: 'verify-full', ca: server.authority.certificatePem, server_name: 'localhost' },
      auth: { kind: 'password', users: [{ name: 'app', password: PASSWORD }] },
    },
  })
  const allow = { db_labels: { '*': '*' }, db_users: ['app'], db_names: ['shop'] }
  // The title begins with the mode that it is about.
  const mode = (['strict_sync', 'best_effort'] as const).find((each) => task.name.startsWith(each)) ?? 'strict'
  const options = { record_session: mode } as const
  await sallyport.role({ kind: 'role', metadata: { name: 'dba' }, spec: { allow, options } })
  await sallyport.user('alice', ['dba'])
  alice = await sallyport.signIn('alice')
  const files = await databaseClient(alice, 'orders')
  client = [
    ...['--no-defaults', '-h127.0.0.1', `-P${String(files.port)}`, '-uapp', '-N', '-B', '--unbuffered'],
    ...[`--ssl-ca=${files.authorityFile}`, `--ssl-cert=${files.certificateFile}`, `--ssl-key=${files.keyFile}`],
    ...['--ssl-verify-server-cert', 'shop'],
  ]
})
afterEach(async () => {
  await sallyport?.stop()
  unmount()
  disk[Symbol.dispose]()
})

const rows = async (): Promise<string[]> => (await server.sql('select n from shop.log')).split('\n').filter(Boolean)

async function onlyRecords(): Promise<readonly PlayedRecord[]> {
  await until('the end to be stored', async () => (await sallyport.sessions({ live: true })).length === 0)
  const [session] = await sallyport.sessions()
  return played(alice, session?.id ?? '')
}
const numbersIn = (records: readonly PlayedRecord[]): ReadonlySet<string> =>
  new Set(
    records.flatMap((record) =>
      record.kind === 'statement' ? [/values \((\d+)\)/.exec(record.text?.text ?? '')?.[1] ?? ''] : [],
    ),
  )
const insert = (n: number): string => `insert into log values (${String(n)}); -- ${'x'.repeat(200)}\n`

test.for(['strict', 'strict_sync'])(
  '%s, on a full recordings folder: the session ends, says why, and the server ran nothing that is not recorded',
  async () => {
    const program = start(needProgram('mariadb'), [...client, '--comments', '--skip-reconnect'])
    program.end(Array.from({ length: 200_000 }, (_, n) => insert(n)).join(''))
    await until('some rows', async () => (await rows()).length > 50)
    const filler = fillDisk(folder)
    const { code, stderr } = await program.finished
    expect(code).not.toBe(0)
    expect(stderr).toContain('can no longer be recorded')
    unlinkSync(filler)
    const asked = numbersIn(await onlyRecords())
    const ran = await rows()
    expect(ran.length).toBeGreaterThan(50)
    expect(ran.filter((n) => !asked.has(n))).toEqual([])
    expect((await verified(sallyport)).problems).toEqual([])
  },
)

test('best_effort, on a full recordings folder: the session goes on, and the replay shows the gap', async () => {
  const program = start(needProgram('mariadb'), [...client, '--comments'])
  program.write(insert(1))
  await until('the first row', async () => (await rows()).length === 1)
  const filler = fillDisk(folder)
  for (let n = 2; n <= 3000; n++) program.write(insert(n))
  await until('all rows', async () => (await rows()).length === 3000)
  unlinkSync(filler)
  program.end('select 42;\n')
  expect(await program.finished).toMatchObject({ code: 0, stdout: '42\n' })
  const records = await onlyRecords()
  expect(records.find((record) => record.kind === 'gap')).toMatchObject({
    reason: expect.stringMatching(/ENOSPC.*records lost/) as unknown,
  })
  expect((await verified(sallyport)).problems).toEqual([])
})
