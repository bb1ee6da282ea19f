import { afterEach, beforeEach, expect, test } from 'vitest'
import { Snapshot } from '../grants/snapshot.ts'
import { identityChecks } from './identity-handlers.ts'
import { identityStore } from '../../test/support/identity-store.ts'
import { identityWorld } from '../../test/support/identity-world.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { openTemporaryDatabase } from '../foundation/database/open-database.ts'
import type { IdentityWorld } from '../../test/support/identity-world.ts'
import { SYSTEM } from '../identity/doer.ts'
import { endLoginsOf, LoginFinder } from '../identity/login-sessions.ts'
import { addLock, listLocks } from '../identity/locks.ts'
import { IDENTITY_REPLAYS } from '../identity/replays.ts'
import { removeUser } from '../identity/users.ts'
import { sql } from 'kysely'

let world: IdentityWorld
beforeEach(async () => {
  // A store of its own: one that others have used has room left in its file.
  const clock = new ManualClock()
  world = await identityWorld(identityStore(clock, openTemporaryDatabase(clock)))
  for (const [name, replay] of Object.entries(IDENTITY_REPLAYS)) world.deeds.registerReplay(name, replay)
})
afterEach(() => world.close())

/** As a full disk does: every write fails until `free`. */
async function fill(): Promise<{ free(): Promise<void> }> {
  const pages = await world.database.transact(async (tx) => {
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(tx)
    return rows[0]?.page_count ?? 0
  })
  const limit = (most: number) =>
    world.database.transact(async (tx) => {
      await sql`pragma max_page_count = ${sql.raw(String(most))}`.execute(tx)
    })
  await limit(pages)
  return { free: () => limit(1_000_000) }
}

test('a lock, an end and a removal work in memory while the disk is full, and are stored once there is room', async () => {
  const [alice, bob, carol] = [await world.person('alice'), await world.person('bob'), await world.person('carol')]
  const snapshot = await Snapshot.load(world.database.reads)
  world.deeds.onCommitted((committed) => snapshot.apply(committed))
  const services = {
    ...world.services,
    snapshot,
    takeAway: (taken: Parameters<Snapshot['takeAway']>[0], now: number) => snapshot.takeAway(taken, now),
  }
  const { authenticate } = identityChecks(services)
  const disk = await fill()
  // The free space inside the file is used up first.
  for (let i = 0; i < 50 && world.deeds.spilled === 0; i++) {
    await addLock(services, SYSTEM, { kind: 'user', target: 'alice', message: 'x'.repeat(500) })
  }
  expect(world.deeds.spilled).toBeGreaterThan(0)
  await expect(authenticate(alice.token, '')).rejects.toMatchObject({ code: 'locked' })
  await endLoginsOf(services, SYSTEM, bob.id, 'lost laptop')
  await expect(authenticate(bob.token, '')).rejects.toMatchObject({ code: 'login_ended' })
  await removeUser(services, SYSTEM, 'carol')
  await expect(authenticate(carol.token, '')).rejects.toMatchObject({ code: 'login_ended' })

  await disk.free()
  await world.deeds.retrySpilled()
  expect(world.deeds.spilled).toBe(0)
  const finder = new LoginFinder(services)
  await expect(finder.find(alice.token)).rejects.toMatchObject({ code: 'locked' })
  await expect(finder.find(bob.token)).rejects.toMatchObject({ code: 'login_ended' })
  await expect(finder.find(carol.token)).rejects.toMatchObject({ code: 'login_ended' })
  expect((await listLocks(world.database, world.clock.now())).length).toBeGreaterThan(0)
})

test('an order that is run twice leaves one row', async () => {
  const alice = await world.person('alice')
  const lock = await addLock(world.services, SYSTEM, { kind: 'user', target: 'alice', message: '' })
  const row = await world.database.reads.selectFrom('locks').selectAll().executeTakeFirstOrThrow()
  const { event_id: _event, ...rest } = row
  const orders = {
    'lock.add': { lock: rest, actor: SYSTEM.actor, by: null },
    'login.end': { ids: [alice.loginId], reason: 'r', actor: SYSTEM.actor, by: null },
    'user.disable': { userId: alice.id, actor: SYSTEM.actor, by: null },
    'user.reset': { userId: alice.id, actor: SYSTEM.actor, by: null },
    'user.remove': { userId: alice.id, actor: SYSTEM.actor, by: null },
  }
  for (const [name, input] of Object.entries(orders)) {
    const replay = IDENTITY_REPLAYS[name]
    if (!replay) throw new Error(`no replay for ${name}`)
    await world.deeds.commitDeed(replay(input))
    await world.deeds.commitDeed(replay(input))
  }
  expect(await listLocks(world.database, world.clock.now())).toEqual([lock])
})
