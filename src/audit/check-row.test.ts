import { sql } from 'kysely'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuditLab, addLock, liftLock, openAuditLab, removeLock } from '../../test/support/audit-lab.ts'
import { rowTrouble } from './check-row.ts'

let lab: AuditLab
beforeEach(async () => {
  lab = await openAuditLab()
  for (const id of ['lck_1', 'lck_2', 'lck_3']) await lab.deeds.commitDeed(addLock(id))
  await lab.deeds.commitDeed(liftLock('lck_2'))
  await lab.deeds.commitDeed(removeLock('lck_3'))
})
afterEach(() => lab.remove())

const trouble = (id: string): Promise<string | null> => rowTrouble(lab.database, { table: 'locks', id })

function edit(statement: string): void {
  const db = new DatabaseSync(lab.databaseFile)
  db.exec(statement)
  db.close()
}

it('a row that is what its last event says gives no trouble, nor does one that was removed or never was', async () => {
  for (const id of ['lck_1', 'lck_2', 'lck_3', 'lck_none']) expect(await trouble(id)).toBeNull()
})

it.each([
  ['lck_1', "update locks set target_id = 'usr_2' where id = 'lck_1'", /is not what event 2/],
  ['lck_1', "delete from locks where id = 'lck_1'", /is not what event 2/],
  ['lck_1', "update locks set event_id = 'evt_x' where id = 'lck_1'", /does not name event 2/],
  ['lck_1', "update audit_events set rows_json = '[]' where seq = 2", /event 2.* was edited/],
  [
    'lck_new',
    "insert into locks select 'lck_new', event_id, target_kind, target_id, target_name, message, created_by, created_at, expires_at, removed_at from locks limit 1",
    /no event tells of/,
  ],
  [
    'lck_2',
    "update locks set removed_at = null, event_id = (select id from audit_events where seq = 3) where id = 'lck_2'",
    /is not what event 5/,
  ],
])('%s is told apart after: %s', async (id, statement, expected) => {
  edit(statement)
  expect(await trouble(id)).toMatch(expected)
})

it('is found by an index, not by reading the change log', async () => {
  const plan = await sql<{ detail: string }>`explain query plan
    select max(seq) from change_log where table_name = 'locks' and row_id = 'x'`.execute(lab.database.reads)
  expect(plan.rows.map((row) => row.detail).join()).toContain('change_log_row')
})
