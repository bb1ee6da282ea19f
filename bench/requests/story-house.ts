import { Sweeper } from '../../src/access/sweeper.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { AccessWorld } from '../../test/support/access-world.ts'
import { tempFolder } from '../../test/support/temp-folder.ts'
import type { Clock } from '../../src/foundation/clock.ts'

/** A house of some size on a durable store, with what the daemon hangs on each commit: the snapshot and the sweep. */
export async function openStoryHouse(size: {
  readonly people: number
  readonly reviewers: number
  readonly roles: number
}) {
  const folder = tempFolder('bench-requests')
  const world: AccessWorld<Clock> = await AccessWorld.open(systemClock, openDatabase(folder.file('store.db')))
  const roles = Array.from({ length: size.roles }, (_, n) => `role-${n}`)
  for (const [n, role] of roles.entries())
    await world.role(role, { allow: { logins: ['deploy', role], node_labels: { team: [`team-${n % 20}`] } } })
  const thresholds = [{ name: 'two leads', approve: 2, deny: 1 }]
  await world.role('engineer', { allow: { request: { roles: ['role-*'], thresholds } } })
  await world.role('lead', { allow: { review_requests: { roles: ['role-*'] } } })
  const people = Array.from({ length: size.people }, (_, n) => `user-${n}`)
  const reviewers = Array.from({ length: size.reviewers }, (_, n) => `lead-${n}`)
  for (const name of people) await world.user(name, { roles: ['engineer'] })
  for (const name of reviewers) await world.user(name, { roles: ['lead'] })
  const snapshot = await Snapshot.load(world.database.reads)
  world.deeds.onCommitted((committed) => snapshot.apply(committed))
  const sweeper = new Sweeper({ reads: world.database.reads, deeds: world.deeds, clock: systemClock, log: silentLog })
  await sweeper.start()
  return {
    world,
    snapshot,
    roles,
    people,
    reviewers,
    async [Symbol.asyncDispose](): Promise<void> {
      await sweeper.stop()
      await world.close()
      folder[Symbol.dispose]()
    },
  }
}

export type StoryHouse = Awaited<ReturnType<typeof openStoryHouse>>
