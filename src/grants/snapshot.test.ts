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

test('what was committed while nobody fed the snapshot is read with the next commit', async () => {
  const store = await seededStore()
  await store.role('dba', {})
  await store.user('ada', [])
  await store.grant('1', 'ada', 'dba', HOUR)
  const late = await Snapshot.load(store.database.reads)
  await store.grant('1', 'ada', 'dba', HOUR, { state: 'ended', ended_at: 5 })
  store.deeds.onCommitted((committed) => late.apply(committed))
  await store.node('db-box', { env: 'prod' })
  expect(late.grant('grt_1')?.state).toBe('ended')
  await store.database.close()
})

test('the position is never ahead of a commit whose rows are still being read', async () => {
  const store = await seededStore()
  await store.role('dba', {})
  await store.user('ada', [])
  for (let n = 0; n < 40; n++) await store.grant(String(n), 'ada', 'dba', HOUR)
  const late = await Snapshot.load(store.database.reads)
  const position = late.position
  for (let n = 0; n < 40; n++) await store.grant(String(n), 'ada', 'dba', HOUR, { state: 'ended', ended_at: 5 })
  const rows = Array.from({ length: 40 }, (_, n) => ({ table: 'grants', id: `grt_${n}` }) as const)
  const long = late.apply({ position: position + 40, rows })
  await late.apply({ position: position + 41, rows: [] })
  expect([...late.grantsOf('usr_ada')].every((grant) => grant.state === 'ended')).toBe(true)
  await long
  await store.database.close()
})

test('rows that could not be read are read again, and until then the snapshot is not up to date', async () => {
  const store = await seededStore()
  await store.role('dba', {})
  await store.user('ada', [])
  await store.grant('1', 'ada', 'dba', HOUR)
  const broken = { next: false }
  const late = await Snapshot.load(failing(store.database.reads, broken))
  store.deeds.onCommitted((committed) => late.apply(committed))
  broken.next = true
  await store.grant('1', 'ada', 'dba', HOUR, { state: 'ended', ended_at: 5 })
  expect(late.position).toBeLessThan(store.snapshot.position)
  broken.next = false
  await store.node('db-box', { env: 'prod' })
  expect(late.grant('grt_1')?.state).toBe('ended')
  expect(late.position).toBe(store.snapshot.position)
  await store.database.close()
})

function failing<T extends object>(reads: T, broken: { next: boolean }): T {
  return new Proxy(reads, {
    get(target, property) {
      if (broken.next && property === 'selectFrom') throw new Error('the disk does not answer')
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
