import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Account } from '../support/account.ts'
import { addReviewer, startFaultHouse, VAULT } from '../support/fault-house.ts'
import { granted } from '../support/granted.ts'
import type { Sallyport } from '../support/sallyport.ts'

type Row = Record<string, string | number | null>

let sallyport: Sallyport
let alice: Account
let grant: Row

// A grant that was good, was used and was revoked: an attacker with the file knows what such a row looks like.
beforeEach(async () => {
  ;({ sallyport, alice } = await startFaultHouse())
  const bob = await addReviewer(sallyport)
  const request = await granted(alice, 'dba', [bob], '--duration=4h')
  const used = await alice.ssh(VAULT, 'echo in')
  if (used.stdout !== 'in\n') throw new Error(`the grant gives nothing: ${used.stderr}`)
  await sallyport.admin('request', 'revoke', request)
  grant = sallyport.rows('select * from grants where request_id = ?', request)[0] as Row
})
afterEach(() => sallyport?.stop())

/** Edits the database file while no daemon runs, and starts one on it. */
async function editFile(edit: (database: DatabaseSync) => void): Promise<void> {
  await sallyport.kill('SIGTERM')
  const database = new DatabaseSync(sallyport.database)
  try {
    edit(database)
  } finally {
    database.close()
  }
  await sallyport.restart()
}

function insert(database: DatabaseSync, table: string, row: Row): void {
  const names = Object.keys(row)
  const marks = names.map(() => '?').join(', ')
  database.prepare(`insert into ${table} (${names.join(', ')}) values (${marks})`).run(...Object.values(row))
}

const revived = (row: Row): Row => ({
  ...row,
  state: 'active',
  ended_at: null,
  end_reason: null,
  ended_by: null,
  end_comment: null,
})

async function expectUseless(grantId: string, verifyNames: string): Promise<void> {
  const refused = await alice.ssh(VAULT, 'echo in')
  expect(refused).toMatchObject({ code: 255, stdout: '' })
  expect(sallyport.logText()).toContain(`grants/${grantId}`)
  const verdict = await sallyport.admin('audit', 'verify')
  expect(verdict.code).toBe(9)
  expect(verdict.stdout).toContain(verifyNames)
  // Nothing at all is given before an operator has looked; what they then accept has ended.
  expect((await sallyport.admin('status')).stdout + sallyport.logText()).toContain('edited while no daemon ran')
  const accepted = await sallyport.admin('audit', 'accept-rollback', '--reason=looked into it', '--yes')
  expect(accepted).toMatchObject({ code: 0 })
  expect((await alice.ssh(VAULT, 'echo in')).code).toBe(255)
  expect((await sallyport.admin('audit', 'verify')).stdout).toMatch(/^OK: /)
}

test('a grant written into the stolen database gives nothing, is named, and is found by audit verify', async () => {
  const id = 'gra_01a20000-0000-7000-8000-000000000001'
  const request = 'req_01a20000-0000-7000-8000-000000000001'
  await editFile((database) => {
    const row = database.prepare('select * from access_requests where id = ?').get(String(grant['request_id'])) as Row
    insert(database, 'access_requests', { ...row, id: request })
    insert(database, 'grants', { ...revived(grant), id, request_id: request })
  })
  // Rows of the same trouble are told as one: the request is the first.
  await expectUseless(id, `access_requests/${request}`)
})

test('a revoked grant that is made active again in the stolen database gives nothing, is named, and is found by audit verify', async () => {
  await editFile((database) => {
    database.prepare('delete from grants where id = ?').run(String(grant['id']))
    insert(database, 'grants', revived(grant))
  })
  await expectUseless(String(grant['id']), `grants/${String(grant['id'])}`)
})
