import { expect, test } from 'vitest'
import { seededStore } from '../../test/support/seeded-store.ts'
import { Snapshot } from './snapshot.ts'

const HOUR = 3_600_000

test('a snapshot that was fed by commits equals one that was loaded anew', async () => {
  const store = await seededStore()
  await store.role('dba', { allow: { logins: ['postgres'] } })
  await store.user('ada', ['dba'])
  await store.login('ada')
  await store.node('db-box', { env: 'prod' })
  await store.grant('1', 'ada', 'dba', HOUR)
  await store.lock('user', 'usr_ada', 'x')
  await store.role('dba', { allow: { logins: ['root'] } }, 2)
  const loaded = await Snapshot.load(store.database.reads)
  for (const view of [store.snapshot, loaded]) {
    expect(view.position).toBe(7)
    expect(view.userNamed('ada')?.roleIds).toEqual(['rol_dba'])
    expect(view.roleNamed('dba')).toMatchObject({ revision: 2, spec: { allow: { logins: ['root'] } } })
    expect(view.revision('rol_dba', 1)?.allow.logins).toEqual(['postgres'])
    expect(view.nodeNamed('db-box')?.labels).toEqual({ env: 'prod' })
    expect([...view.grantsOf('usr_ada')].map((grant) => grant.id)).toEqual(['grt_1'])
    expect(view.lockOn('user', 'usr_ada', 0)?.message).toBe('x')
  }
  await store.database.close()
})

test('a deleted role is gone by id and by name, and one re-created under its name is another', async () => {
  const store = await seededStore()
  await store.role('dba', {})
  await store.removeRole('dba')
  expect(store.snapshot.roleNamed('dba')).toBeUndefined()
  expect(store.snapshot.role('rol_dba')).toBeUndefined()
  await store.database.close()
})

test('what was taken away in memory stays away when its row is read again before the store took the end', async () => {
  const store = await seededStore()
  await store.role('dba', {})
  await store.user('ada', [])
  await store.grant('1', 'ada', 'dba', HOUR)
  store.snapshot.takeAway(
    { kind: 'grant', id: 'grt_1', reason: 'revoked', by: 'carol', comment: '' },
    store.clock.now(),
  )
  await store.grant('1', 'ada', 'dba', HOUR, { suspended: 'locked' })
  expect(store.snapshot.grant('grt_1')).toMatchObject({ state: 'ended', end_reason: 'revoked' })
  await store.database.close()
})

test('a lock that has run out locks nothing', async () => {
  const store = await seededStore()
  const now = store.clock.now()
  const row = { id: 'lck_1', target_kind: 'user', target_id: 'usr_ada', target_name: 'ada', message: '' } as const
  const lock = { ...row, created_by: 'x', created_at: now, expires_at: now + 10, removed_at: null }
  store.snapshot.takeAway({ kind: 'lock', lock }, now)
  expect(store.snapshot.lockOn('user', 'usr_ada', now + 9)?.id).toBe('lck_1')
  expect(store.snapshot.lockOn('user', 'usr_ada', now + 10)).toBeUndefined()
  await store.database.close()
})

test('what ended long ago is forgotten', async () => {
  const store = await seededStore()
  await store.role('dba', {})
  await store.user('ada', [])
  await store.grant('1', 'ada', 'dba', HOUR, { state: 'ended', ended_at: 5 })
  store.snapshot.forgetEnded(6)
  expect(store.snapshot.grant('grt_1')).toBeUndefined()
  expect([...store.snapshot.grantsOf('usr_ada')]).toEqual([])
  await store.database.close()
})
