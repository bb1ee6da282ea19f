// The operators' tool as it is started, on the daemon's own host: over the admin socket, and on a database file.
import { chmodSync, copyFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { EXIT } from '../../src/contract/errors.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { Refused } from '../../src/foundation/errors.ts'
import { createApi, type Api, type ApiOptions } from '../../src/http-api/server.ts'
import { fillLab, openAuditLab } from '../support/audit-lab.ts'
import { run, type Finished } from '../support/run.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'

const PROGRAM = new URL('../../src/main/sallyctl.ts', import.meta.url).pathname
let api: Api | null = null
afterEach(async () => {
  await api?.close(200)
  api = null
})

/** The daemon's admin socket with these handlers behind it. */
async function serve(temp: TempFolder, handlers: ApiOptions['handlers']): Promise<string> {
  api = createApi({
    handlers,
    authenticate: () => Promise.reject(new Refused('not_signed_in', 'nobody signs in here')),
    mayOperate: async () => false,
    reportRefused: () => {},
    checkStepUp: () => Promise.reject(new Refused('step_up_required', 'no')),
    origins: ['https://sallyport.example:3022'],
    notReady: async () => [],
    metrics: async () => ({ contentType: 'text/plain', text: '' }),
    clock: systemClock,
    log: silentLog,
  })
  const socket = temp.file('admin/sallyport.sock')
  await api.serveAdmin(socket)
  return socket
}

const sallyctl = (args: readonly string[], home: string, env: Record<string, string> = {}): Promise<Finished> =>
  run(process.execPath, [PROGRAM, ...args], { env: { SALLY_HOME: home, ...env } })

test('the admin socket needs no login, and the caller is the local admin', async () => {
  using temp = tempFolder()
  const callers: string[] = []
  const socket = await serve(temp, {
    listUsers: async ({ actor }) => {
      callers.push(actor.name)
      return { items: [] }
    },
    endUserLogins: async () => ({ ended: 2 }),
  })
  const listed = await sallyctl(['users', 'ls', '--format=json', `--socket=${socket}`], temp.path)
  expect([listed.code, listed.stdout, callers]).toEqual([0, '[]\n', ['local-admin']])
  // A call without a body, which is no empty JSON document.
  const ended = await sallyctl(['users', 'end-logins', 'ada'], temp.path, { SALLYPORT_SOCKET: socket })
  expect([ended.code, ended.stdout]).toEqual([0, '2 logins of ada ended.\n'])
})

test('a socket that nobody listens at is said as it is', async () => {
  using temp = tempFolder()
  const named = await sallyctl(['users', 'ls', `--socket=${temp.file('none')}`], temp.path)
  expect([named.code, named.stderr.includes('no daemon listens')]).toEqual([EXIT.failed, true])
})

test('verify on a database file: anchored, unanchored, altered', async () => {
  using temp = tempFolder()
  const lab = await openAuditLab()
  await fillLab(lab, 20)
  await lab.checkpoints.write()
  await lab.close()
  const copy = temp.file('copy.db')
  copyFileSync(lab.databaseFile, copy)
  writeFileSync(temp.file('trust.pem'), lab.trustedPem)
  const anchors = [`--trust=${temp.file('trust.pem')}`, `--checkpoints=${lab.anchorFile}`]
  const verify = (...args: string[]): Promise<Finished> =>
    sallyctl(['audit', 'verify', `--database=${copy}`, ...args], temp.path)

  const whole = await verify(...anchors)
  expect([whole.code, whole.stdout.startsWith('OK: ')], whole.stdout + whole.stderr).toEqual([EXIT.done, true])
  const alone = await verify()
  expect([alone.code, alone.stdout.startsWith('UNANCHORED: proves consistency only')]).toEqual([EXIT.unanchored, true])

  const database = new DatabaseSync(copy)
  database.exec("update audit_events set type = 'grant.start' where seq = 5")
  database.close()
  const altered = await verify(...anchors, '--format=json')
  expect(altered.code).toBe(EXIT.altered)
  expect(JSON.parse(altered.stdout)).toMatchObject({ problems: [{ where: expect.stringContaining('5') as string }] })
  rmSync(lab.folder, { recursive: true })
})

test('a file that is not there or cannot be a key is wrong usage, and never called altered', async () => {
  using temp = tempFolder()
  writeFileSync(temp.file('x'), 'x')
  const missing = await sallyctl(['audit', 'verify', `--database=${temp.file('none')}`], temp.path)
  expect(missing.code).toBe(EXIT.usage)
  const key = await sallyctl(
    ['audit', 'verify', `--database=${temp.file('x')}`, `--trust=${temp.file('x')}`],
    temp.path,
  )
  expect(key.code).toBe(EXIT.usage)
})

test('EDITOR with options edits a file whose name it did not choose', async () => {
  using temp = tempFolder()
  const role = { kind: 'role', version: 'v1', metadata: { name: 'dba' }, spec: {} }
  const sent: unknown[] = []
  const socket = await serve(temp, {
    listRoles: async () => ({ items: [role as never] }),
    createDocument: async (_, { body }) => {
      sent.push(body.document)
      return { kind: 'role', name: 'dba', created: false }
    },
  })
  const editor = temp.file('my editor')
  writeFileSync(editor, '#!/bin/sh\nsed -i "s/$1/$2/" "$3"\n')
  chmodSync(editor, 0o755)
  const result = await sallyctl(['edit', 'role/dba', `--socket=${socket}`], temp.path, {
    EDITOR: `'${editor}' 'name: dba' 'name: dbb'`,
    VISUAL: '',
  })
  expect([result.code, result.stderr]).toEqual([0, ''])
  expect(sent).toMatchObject([{ metadata: { name: 'dbb' } }])
})
