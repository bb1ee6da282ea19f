import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuditLab, openAuditLab, tell } from '../../../test/support/audit-lab.ts'
import { verifyAudit } from './verify-audit.ts'

let lab: AuditLab
beforeEach(async () => {
  lab = await openAuditLab()
  await lab.deeds.commitDeed(async (tx, now) => {
    await tx.insertInto('installation').values({ id: 'ins_lab', name: 'lab', created_at: now }).execute()
    const details = { installation: 'ins_lab', name: 'lab' }
    return { result: null, events: [tell({ type: 'installation.create', details })] }
  })
})
afterEach(() => lab.remove())

const found = async (): Promise<string[]> =>
  (await verifyAudit({ database: lab.databaseFile })).problems.map(({ kind, where }) => `${kind} ${where}`)

it('the installation that the chain begins with gives no trouble', async () => {
  expect(await found()).toEqual([])
})

it.each([
  ["update installation set name = 'other'", ['row_altered installation']],
  ["update installation set id = 'ins_other'", ['row_altered installation']],
  ['delete from installation', ['row_missing installation']],
  ["insert into installation values ('ins_x', 'lab', 1)", ['row_altered installation', 'row_missing installation']],
])('verify names it after: %s', async (statement, expected) => {
  const db = new DatabaseSync(lab.databaseFile)
  db.exec(statement)
  db.close()
  expect(await found()).toEqual(expected)
})

it('what an operator has accepted is whole, and is told of by every later verification', async () => {
  const details = { reason: 'restored', why: 'the store was rolled back' }
  await lab.deeds.commitDeed(async () => ({
    result: null,
    events: [tell({ type: 'audit.accept_rollback', details })],
  }))
  const { problems, notes } = await verifyAudit({ database: lab.databaseFile })
  expect(problems).toEqual([])
  expect(notes.join('\n')).toMatch(/event 3 of .*: local-admin accepted what had been found: the store was rolled back/)
})
