// A process is killed between the statements of a deed: an extension, a decision by a policy, access in an emergency. The grant, the
// votes, the events and the notices of it are all there, or none.
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { putInForce } from '../../src/access/automate/policies-in-force.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { openDatabase } from '../../src/foundation/database/open-database.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import { AccessWorld, callerNamed, HOUR } from '../support/access-world.ts'
import { approvingPolicies } from '../support/approving-policies.ts'
import type { VoterOrder } from '../support/deciding-voter.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run } from '../support/run.ts'
import { openOn, STORES } from '../support/stores.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'

const ACTOR = fileURLToPath(new URL('../support/deciding-voter.ts', import.meta.url))
const POLICY = { file: 'ever.ts', modulesJson: '{"ever.ts":"1"}', contentHash: 'ever', approveOnly: true, zone: 'UTC' }

interface Kind {
  readonly name: string
  /** Sets the scene for a user of this name. */
  readonly prepare: (world: AccessWorld<typeof systemClock>, user: string) => Promise<VoterOrder['deed']>
  /** What the whole deed adds */
  readonly adds: Readonly<Record<'access_requests' | 'reviews' | 'grants' | 'outbox', number>>
  readonly events: readonly string[]
  /** By how much the ends of all grants move */
  readonly moves: number
}

const KINDS: readonly Kind[] = [
  {
    name: 'an extension',
    async prepare(world, user) {
      await putInForce(world.deeds, SYSTEM, [])
      const { id } = await world.ask(user, ['prod'], { duration: HOUR })
      await world.approve('bob', id)
      const more = { durationMs: HOUR, reason: 'more', pendingForMs: null, reviewers: [] }
      return { approve: (await world.requests.extend(callerNamed(user), id, more)).id }
    },
    adds: { access_requests: 0, reviews: 1, grants: 0, outbox: 2 },
    events: ['access_request.approve', 'access_request.review', 'grant.extend'],
    moves: HOUR,
  },
  {
    name: 'a decision by a policy',
    async prepare(world, user) {
      await putInForce(world.deeds, SYSTEM, [POLICY])
      return { ask: user }
    },
    adds: { access_requests: 1, reviews: 1, grants: 1, outbox: 1 },
    events: ['access_request.approve', 'access_request.create', 'access_request.review', 'grant.start'],
    moves: 0,
  },
  {
    name: 'access in an emergency',
    prepare: (_world, user) => Promise.resolve({ take: user }),
    adds: { access_requests: 1, reviews: 0, grants: 1, outbox: 1 },
    events: ['access_request.break_glass', 'grant.start'],
    moves: 0,
  },
]

describe.each(STORES)('on %s', (store) => {
  let server: PostgresServer | null = null
  let folder: TempFolder
  let world: AccessWorld<typeof systemClock>
  let place: VoterOrder['store']

  beforeAll(async () => {
    folder = tempFolder('killed-kinds')
    if (store === 'postgres') server = await PostgresServer.start()
    const name = (await server?.database()) ?? folder.file('data/store.db')
    place = server ? { settings: server.settings(name) } : { path: name }
    const database = server
      ? await openOn(server, undefined, name)
      : openDatabase(name, { lock: false, durable: false })
    world = await AccessWorld.open(systemClock, database)
    world.asker = approvingPolicies
    await world.role('prod', { allow: { logins: ['deploy'] } })
    await world.role('dev', { allow: { request: { roles: ['prod'], break_glass: { roles: ['prod'] } } } })
    await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('bob', { roles: ['lead'] })
  })
  afterAll(async () => {
    await world?.close()
    await server?.stop()
    folder[Symbol.dispose]()
  })

  async function content() {
    const { reads } = world.database
    const count = async (table: keyof Kind['adds']): Promise<number> =>
      (await reads.selectFrom(table).selectAll().execute()).length
    const grants = await reads.selectFrom('grants').select(['ends_at', 'kind']).execute()
    return {
      rows: {
        access_requests: await count('access_requests'),
        reviews: await count('reviews'),
        grants: grants.length,
        outbox: (await reads.selectFrom('outbox').select('position').execute()).length,
      },
      events: await world.eventTypes(),
      ends: grants.reduce((sum, grant) => sum + grant.ends_at, 0),
    }
  }

  test.each(KINDS)('a killed process leaves all of $name, or nothing', async ({ prepare, adds, events, moves }) => {
    const outcomes: boolean[] = []
    for (let dieAfter = 1; outcomes.at(-1) !== true; dieAfter += outcomes.length < 2 ? 1 : 13) {
      expect(dieAfter).toBeLessThan(200)
      const user = `user${Object.values((await content()).rows).join('-')}-${dieAfter}`
      await world.user(user, { roles: ['dev'] })
      const deed = await prepare(world, user)
      const before = await content()
      const order: VoterOrder = { store: place, deed, dieAfter }
      const done = await run(process.execPath, [ACTOR, JSON.stringify(order)])
      const after = await content()
      const whole = after.events.length > before.events.length
      const added = Object.entries(after.rows).map(([table, rows]) => [
        table,
        rows - before.rows[table as keyof Kind['adds']],
      ])
      expect(Object.fromEntries(added), done.stderr).toEqual(
        whole ? adds : Object.fromEntries(added.map(([table]) => [table, 0])),
      )
      expect(after.events.slice(before.events.length).toSorted()).toEqual(whole ? events : [])
      if (adds.grants === 0) expect(after.ends - before.ends).toBe(whole ? moves : 0)
      // Killed behind the commit, it was stored all the same.
      if (done.signal !== 'SIGKILL') expect(whole, done.stderr).toBe(true)
      outcomes.push(whole)
    }
    expect(outcomes.filter((whole) => !whole).length).toBeGreaterThan(2)
  })
})
