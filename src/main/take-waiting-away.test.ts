import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { identityStore } from '../../test/support/identity-store.ts'
import { identityWorld, type IdentityWorld } from '../../test/support/identity-world.ts'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { openTemporaryDatabase } from '../foundation/database/open-database.ts'
import { Snapshot } from '../grants/snapshot.ts'
import { identityChecks } from '../http-api/identity-handlers.ts'
import { SYSTEM } from '../identity/doer.ts'
import { addLock } from '../identity/locks.ts'
import { IDENTITY_REPLAYS } from '../identity/replays.ts'
import { putUser, resetUser } from '../identity/users.ts'
import { takeWaitingAway } from './take-waiting-away.ts'

let world: IdentityWorld
beforeEach(async () => {
  // A store of its own: one that others have used has room left in its file.
  const clock = new ManualClock()
  world = await identityWorld(identityStore(clock, openTemporaryDatabase(clock)))
  for (const [name, replay] of Object.entries(IDENTITY_REPLAYS)) world.deeds.registerReplay(name, replay)
})
afterEach(() => world.close())

/** As a full disk does: no page more. Holds until the next failure, after which the store opens the file anew. */
async function fill(): Promise<void> {
  await world.database.transact(async (tx) => {
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(tx)
    await sql`pragma max_page_count = ${sql.raw(String(rows[0]?.page_count ?? 0))}`.execute(tx)
  })
}

test('who is disabled or reset while the disk is full can do nothing at once, and still nothing after a restart on the full disk', async () => {
  const [alice, bob] = [await world.person('alice'), await world.person('bob')]
  const snapshot = await Snapshot.load(world.database.reads)
  const takeAway = (taken: Parameters<Snapshot['takeAway']>[0], now: number) => snapshot.takeAway(taken, now)
  const services = { ...world.services, snapshot, takeAway }
  const { authenticate } = identityChecks(services)
  // The free space inside the file is used up first, by the smallest deed.
  while (world.deeds.spilled === 0) {
    await fill()
    await addLock(services, SYSTEM, { kind: 'user', target: 'bob', message: '' })
  }
  const before = world.deeds.spilled
  const spec = { roles: [], traits: {}, disabled: true }
  await fill()
  await putUser(services, SYSTEM, { kind: 'user', version: 'v1', metadata: { name: 'alice' }, spec }, true)
  await fill()
  await expect(resetUser(services, SYSTEM, 'bob')).rejects.toMatchObject({ code: 'store_unavailable' })
  expect(world.deeds.spilled).toBe(before + 2)
  for (const token of [alice.token, bob.token]) await expect(authenticate(token, '')).rejects.toThrow()

  const restarted = await Snapshot.load(world.database.reads)
  expect([alice, bob].map(({ loginId }) => restarted.login(loginId)?.ended_at)).toEqual([null, null])
  for (const order of world.deeds.waiting()) takeWaitingAway(restarted, order, world.clock.now())
  expect([alice, bob].map(({ loginId }) => restarted.login(loginId)?.ended_at)).toEqual([
    world.clock.now(),
    world.clock.now(),
  ])

  await world.deeds.retrySpilled()
  expect(world.deeds.spilled).toBe(0)
  const rows = await world.database.reads.selectFrom('users').selectAll().orderBy('name').execute()
  expect(rows.map(({ name, disabled, password_hash }) => [name, disabled, password_hash === null])).toEqual([
    ['alice', 1, false],
    ['bob', 0, true],
  ])
})
