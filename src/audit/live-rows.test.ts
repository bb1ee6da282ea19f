import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuditLab, addLock, fillLab, openAuditLab } from '../../test/support/audit-lab.ts'
import { acceptRollback } from './accept-rollback.ts'
import { alteredLiveRows, describeAltered } from './live-rows.ts'
import { verifyAudit } from './verify/verify-audit.ts'

let lab: AuditLab
beforeEach(async () => {
  lab = await openAuditLab()
  await fillLab(lab, 12)
})
afterEach(() => lab.remove())

function edit(statement: string): void {
  const db = new DatabaseSync(lab.databaseFile)
  db.exec(statement)
  db.close()
}

const found = async (): Promise<string[]> =>
  (await alteredLiveRows(lab)).map(({ ref }) => `${ref.table}/${ref.id}`).sort()

it('a store that nobody edited gives no trouble, removed rows included', async () => {
  expect(await found()).toEqual([])
  expect(describeAltered([])).toBeNull()
})

it.each([
  ['a lock that was taken out', "delete from locks where id = 'lck_0002'", 'locks/lck_0002'],
  ['a lock that was lifted', "update locks set removed_at = 1 where id = 'lck_0002'", 'locks/lck_0002'],
  ['an authority that was exchanged', "update authorities set public_key = 'x'", 'authorities/aut_1'],
  [
    'a factor that was put in',
    `insert into factors (id, event_id, user_id, kind, name, secret_sealed, confirmed_at, created_at)
     values ('fac_x', 'evt_x', 'usr_1', 'totp', 'phone', 'x', 1, 1)`,
    'factors/fac_x',
  ],
])('%s is named before anybody is let in', async (_, statement, where) => {
  edit(`pragma foreign_keys = off; ${statement}`)
  expect(await found()).toEqual([where])
  expect(describeAltered(await alteredLiveRows(lab))).toContain(where)
})

it('an operator who has looked takes the rows as they are; the event names them, and nobody finds fault any more', async () => {
  edit("delete from locks where id = 'lck_0002'; update locks set message = 'other' where id = 'lck_0003'")
  lab.deeds.becomeReadOnly(describeAltered(await alteredLiveRows(lab)) ?? '')
  await expect(lab.deeds.commitDeed(addLock('lck_x'))).rejects.toMatchObject({ code: 'read_only' })
  const altered = (await alteredLiveRows(lab)).map(({ ref }) => ref)
  await acceptRollback(lab.deeds, {
    actor: { kind: 'local-admin', id: null, name: 'local-admin' },
    reason: 'a repair by hand',
    altered,
    lost: null,
    sign: lab.signText,
  })
  expect(await found()).toEqual([])
  expect((await verifyAudit({ database: lab.databaseFile })).problems).toEqual([])
  const last = await lab.database.reads
    .selectFrom('audit_events')
    .select('details_json')
    .where('type', '=', 'audit.accept_rollback')
    .executeTakeFirstOrThrow()
  expect(JSON.parse(last.details_json ?? '')).toMatchObject({ altered: ['locks/lck_0003', 'locks/lck_0002'] })
})
