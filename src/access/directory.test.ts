import { afterEach, beforeEach, expect, test } from 'vitest'
import { AccessWorld, HOUR, MINUTE } from '../../test/support/access-world.ts'
import { openDatabase, openTemporaryDatabase } from '../foundation/database/open-database.ts'
import { viewRows } from './directory/view-rows.ts'
import { readKnownRows } from './directory/known-rows.ts'
import { loadDirectory, roleNamed, type Directory } from './directory.ts'

let world: AccessWorld

beforeEach(async () => {
  world = await AccessWorld.open()
  await world.role('dba', { allow: { logins: ['postgres'] } })
  await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await world.user('ada', { roles: ['dba'] })
  await world.user('bob', { roles: ['lead'] })
})
afterEach(() => world.close())

const load = (): Promise<Directory> => loadDirectory(world.database.reads, world.clock.now())

/** As it would be if nothing had been kept. */
async function loadAnew(): Promise<Directory> {
  const rows = await readKnownRows(world.database.reads, null)
  return viewRows(rows, world.clock.now(), null).directory
}

async function expectCurrent(): Promise<void> {
  const [kept, anew] = [await load(), await loadAnew()]
  const sorted = (map: ReadonlyMap<string, unknown>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
  expect(sorted(kept.members)).toEqual(sorted(anew.members))
  expect(sorted(kept.roles)).toEqual(sorted(anew.roles))
  expect(sorted(kept.rolesByName)).toEqual(sorted(anew.rolesByName))
}

test('what is kept always equals what is read anew', async () => {
  await expectCurrent()
  await world.user('ada', { roles: ['dba', 'lead'], traits: { team: ['db'] } })
  await expectCurrent()
  await world.role('dba', { allow: { logins: ['root'] } })
  await expectCurrent()
  await world.user('eve', { roles: ['dba'], disabled: true })
  await expectCurrent()
  await world.lock('role', 'rol_dba')
  await expectCurrent()
  const lock = await world.lock('user', 'usr_ada')
  await expectCurrent()
  await world.unlock(lock)
  await expectCurrent()
  await world.deleteUser('usr_bob')
  await world.deleteRole('rol_lead')
  await expectCurrent()
  await world.user('bob', { roles: ['dba'] }, 'usr_bob2')
  await expectCurrent()
})

test('while nothing changes the very same directory is given, and members that did not change stay the same objects', async () => {
  const first = await load()
  expect(await load()).toBe(first)
  await world.user('ada', { traits: { team: ['db'] } })
  const second = await load()
  expect(second.members.get('usr_ada')).not.toBe(first.members.get('usr_ada'))
  expect(second.members.get('usr_bob')).toBe(first.members.get('usr_bob'))
  expect(first.members.get('usr_ada')?.traits).toEqual({})
})

test('a deed sees what was committed just before it', async () => {
  await load()
  await world.user('ada', { disabled: true })
  const seen = await world.database.transact(async (tx) => loadDirectory(tx, world.clock.now()))
  expect(seen.members.get('usr_ada')?.standing).toEqual({ kind: 'disabled' })
})

test('what another instance commits is seen by the next read', async () => {
  await load()
  const other = openDatabase(world.database.path, { lock: false, durable: false, clock: world.clock })
  const beside = new AccessWorld(other, world.clock)
  await beside.user('ada', { roles: [], disabled: true })
  expect((await load()).members.get('usr_ada')?.standing).toEqual({ kind: 'disabled' })
  await beside.deeds.close()
  await other.close()
})

test('a lock locks until it runs out, and again when the clock is set back', async () => {
  await world.lock('user', 'usr_ada', world.clock.now() + HOUR)
  await world.lock('role', 'rol_lead', world.clock.now() + MINUTE)
  const standing = async () => (await load()).members.get('usr_ada')?.standing.kind
  const rights = async () => (await load()).members.get('usr_bob')?.roles[0]?.spec.allow.review_requests
  expect([await standing(), await rights()]).toEqual(['locked', undefined])
  world.clock.advance(MINUTE)
  expect([await standing(), await rights()]).toEqual(['locked', { roles: ['*'] }])
  world.clock.advance(HOUR - MINUTE - 1)
  expect(await standing()).toBe('locked')
  world.clock.advance(1)
  expect(await standing()).toBe('good')
  world.clock.jumpTo(world.clock.now() - 1)
  expect(await standing()).toBe('locked')
})

test('what is known of a chain is not believed of another one', async () => {
  const known = await readKnownRows(world.database.reads, null)
  const elsewhere = await AccessWorld.open(world.clock, openTemporaryDatabase(world.clock))
  await elsewhere.role('dba', {})
  for (let n = 0; n < 6; n++) await elsewhere.user(`user${n}`, { roles: ['dba'] })
  const rows = await readKnownRows(elsewhere.database.reads, known)
  expect([...rows.users.keys()].sort()).toEqual([
    'usr_user0',
    'usr_user1',
    'usr_user2',
    'usr_user3',
    'usr_user4',
    'usr_user5',
  ])
  await elsewhere.close()
})

test('a store that went back is read anew', async () => {
  const known = await readKnownRows(world.database.reads, null)
  const ahead = { ...known, seq: known.seq + 3, hash: 'f'.repeat(64), users: new Map() }
  expect((await readKnownRows(world.database.reads, ahead)).users.size).toBe(2)
})

test('a role is found by the name it has now', async () => {
  expect(roleNamed(await load(), 'dba')?.id).toBe('rol_dba')
  await world.deleteRole('rol_dba')
  expect(roleNamed(await load(), 'dba')).toBeUndefined()
  await world.role('dba', {}, 'rol_dba2')
  expect(roleNamed(await load(), 'dba')?.id).toBe('rol_dba2')
})
