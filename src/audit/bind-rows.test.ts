import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuditLab, addLock, liftLock, openAuditLab, removeLock, tell } from '../../test/support/audit-lab.ts'
import { rowTrouble } from './check-row.ts'
import type { Deed, Tx } from './deed.ts'
import { verifyAudit } from './verify/verify-audit.ts'

let lab: AuditLab
beforeEach(async () => {
  lab = await openAuditLab()
  for (const id of ['lck_1', 'lck_2']) await lab.deeds.commitDeed(addLock(id))
})
afterEach(() => lab.remove())

function edit(statement: string): void {
  const db = new DatabaseSync(lab.databaseFile)
  db.exec(statement)
  db.close()
}

const types = async (): Promise<string[]> =>
  (await lab.database.reads.selectFrom('audit_events').select('type').orderBy('seq').execute()).map(({ type }) => type)

const problems = async (): Promise<string[]> =>
  (await verifyAudit({ database: lab.databaseFile })).problems.map(({ kind, where }) => `${kind} ${where}`)

/** Names the row in an event and writes nothing. */
const mention = (id: string) => async (): Promise<Deed<null>> => ({
  result: null,
  events: [tell({ type: 'lock.create', rows: [{ table: 'locks', id }] })],
})

it.each([
  ['writes', "update locks set target_id = 'usr_9' where id = 'lck_1'", liftLock('lck_1')],
  ['removes', "update locks set target_id = 'usr_9' where id = 'lck_1'", removeLock('lck_1')],
  ['only names', "update locks set target_id = 'usr_9' where id = 'lck_1'", mention('lck_1')],
  ['makes again what was taken out of the file', "delete from locks where id = 'lck_1'", addLock('lck_1')],
  [
    'meets for the first time',
    "insert into locks select 'lck_new', event_id, target_kind, target_id, target_name, message, created_by, created_at, expires_at, removed_at from locks limit 1",
    liftLock('lck_new'),
  ],
  ['finds with an edited event', "update audit_events set rows_json = '[]' where seq = 2", liftLock('lck_1')],
])('a row that was edited beside the daemon is not bound by a deed that %s it', async (_, statement, deed) => {
  edit(statement)
  const before = await problems()
  await expect(lab.deeds.commitDeed<unknown>(deed)).rejects.toMatchObject({ code: 'row_altered' })
  expect(await problems()).toEqual(before)
})

it('who edits a row twice within a deed is compared by what it was before the first time', async () => {
  await lab.deeds.commitDeed(async (tx: Tx, now) => {
    await tx.updateTable('locks').set({ message: 'first' }).where('id', '=', 'lck_1').execute()
    return liftLock('lck_1')(tx, now)
  })
  expect(await problems()).toEqual([])
})

it('the refusal is an event, once for each row, and other rows go on', async () => {
  edit("update locks set target_id = 'usr_9' where id = 'lck_1'")
  for (let times = 0; times < 3; times++)
    await expect(lab.deeds.commitDeed(liftLock('lck_1'))).rejects.toThrow(/locks\/lck_1 is not what event 2/)
  await lab.deeds.commitDeed(liftLock('lck_2'))
  expect(await types()).toEqual(['ca.create', 'lock.create', 'lock.create', 'audit.verify_failed', 'lock.delete'])
})

it('what takes power away is done all the same; the row stays altered for whoever looks, and no later deed gives by it', async () => {
  edit("update locks set target_id = 'usr_9' where id = 'lck_1'")
  const order = { name: 'test', input: {} }
  await lab.deeds.commitTakingAway(order, async (tx, now) => {
    await tx.updateTable('locks').set({ expires_at: now }).where('id', '=', 'lck_1').execute()
    return { result: null, events: [tell({ type: 'lock.create', rows: [{ table: 'locks', id: 'lck_1' }] })] }
  })
  const row = await lab.database.reads.selectFrom('locks').selectAll().where('id', '=', 'lck_1').executeTakeFirst()
  expect(row?.expires_at).toBe(lab.clock.now())
  expect((await types()).slice(3)).toEqual(['lock.create', 'audit.verify_failed'])
  expect(await problems()).toEqual(['row_altered locks/lck_1'])
  expect(await rowTrouble(lab.database, { table: 'locks', id: 'lck_1' })).toMatch(/is not what event 4/)
  await expect(lab.deeds.commitDeed(liftLock('lck_1'))).rejects.toMatchObject({ code: 'row_altered' })
})

it('a deed that ends what it touches may say that it is done even so', async () => {
  edit("update locks set target_id = 'usr_9' where id = 'lck_1'")
  await lab.deeds.commitDeed(async (tx) => ({ ...(await removeLock('lck_1')(tx)), evenIfAltered: true }))
  expect(await problems()).toEqual([])
  expect((await types()).slice(3)).toEqual(['lock.delete', 'audit.verify_failed'])
})
