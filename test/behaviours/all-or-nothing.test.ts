// A process is killed between the statements of a deciding vote: vote, decision, grant, events and notices are all there, or none.
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import { openDatabase, type Database } from '../../src/foundation/database/open-database.ts'
import { openPostgresSnapshot } from '../../src/foundation/database/postgres/open-postgres-snapshot.ts'
import { AccessWorld } from '../support/access-world.ts'
import type { VoterOrder } from '../support/deciding-voter.ts'
import { withStrikes } from '../support/failing-database.ts'
import { PostgresServer } from '../support/postgres.ts'
import { run } from '../support/run.ts'
import { openOn, STORES } from '../support/stores.ts'
import { tempFolder, type TempFolder } from '../support/temp-folder.ts'

const VOTER = fileURLToPath(new URL('../support/deciding-voter.ts', import.meta.url))

describe.each(STORES)('on %s', (kind) => {
  let server: PostgresServer | null = null
  let folder: TempFolder
  let world: AccessWorld<typeof systemClock>
  let store: VoterOrder['store']
  let name = ''

  beforeAll(async () => {
    folder = tempFolder('killed')
    if (kind === 'postgres') server = await PostgresServer.start()
    name = (await server?.database()) ?? folder.file('data/store.db')
    store = server ? { settings: server.settings(name) } : { path: name }
    world = await AccessWorld.open(systemClock, await openHere())
    await world.role('prod', { allow: { logins: ['deploy'] } })
    await world.role('dev', { allow: { request: { roles: ['prod'] } } })
    await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('bob', { roles: ['lead'] })
  })
  afterAll(async () => {
    await world.close()
    await server?.stop()
    folder[Symbol.dispose]()
  })

  const openHere = async (): Promise<Database> =>
    server ? openOn(server, undefined, name) : openDatabase(name, { lock: false, durable: false })

  async function asked(user: string): Promise<string> {
    await world.user(user, { roles: ['dev'] })
    return (await world.ask(user, ['prod'])).id
  }

  /** What is there of the decision; all of it or nothing. */
  async function decided(id: string): Promise<boolean> {
    const { reads } = world.database
    const of = (table: 'reviews' | 'grants') =>
      reads.selectFrom(table).select('id').where('request_id', '=', id).execute()
    const request = await reads.selectFrom('access_requests').select('state').where('id', '=', id).executeTakeFirst()
    const events = await reads.selectFrom('audit_events').select('type').where('request_id', '=', id).execute()
    const told = await reads.selectFrom('outbox').select('topic').where('body_json', 'like', `%${id}%`).execute()
    const found = {
      state: request?.state,
      votes: (await of('reviews')).length,
      grants: (await of('grants')).length,
      events: events.map(({ type }) => type).toSorted(),
      told: told.map(({ topic }) => topic).toSorted(),
    }
    const nothing = {
      state: 'pending',
      votes: 0,
      grants: 0,
      events: ['access_request.create'],
      told: ['request.created'],
    }
    const everything = {
      ...{ state: 'approved', votes: 1, grants: 1 },
      events: ['access_request.approve', 'access_request.create', 'access_request.review', 'grant.start'],
      told: ['request.created', 'request.decided', 'request.reviewed'],
    }
    const whole = found.state === 'approved'
    expect(found).toEqual(whole ? everything : nothing)
    return whole
  }

  const isWhole = async (): Promise<void> => {
    const open = server ? { open: () => openPostgresSnapshot((server as PostgresServer).settings(name)) } : {}
    expect((await verifyAudit({ database: name, ...open })).problems).toEqual([])
  }

  it('a killed process leaves all of a decision or nothing, and the next vote decides', async () => {
    const outcomes: boolean[] = []
    for (let dieAfter = 1, step = 0; step < 12; step++, dieAfter += 7) {
      const request = await asked(`ann${dieAfter}`)
      const order: VoterOrder = { store, deed: { approve: request }, dieAfter }
      const voter = await run(process.execPath, [VOTER, JSON.stringify(order)])
      const done = await decided(request)
      outcomes.push(done)
      expect(voter.signal === 'SIGKILL' ? done : !done, voter.stderr).toBe(false)
      if (done) break
      await world.approve('bob', request)
      expect(await decided(request)).toBe(true)
    }
    expect(outcomes.filter((done) => !done).length).toBeGreaterThan(3)
    await isWhole()
  })

  it('a store that breaks at any one statement gives a refusal and keeps nothing of it', async () => {
    for (let breakAfter = 1; ; breakAfter++) {
      const request = await asked(`bea${breakAfter}`)
      const inner = await openHere()
      let broken = false
      const database = withStrikes(inner, (statement) => {
        if (statement !== breakAfter) return
        broken = true
        throw Object.assign(new Error('injected'), { code: 'ERR_SQLITE_ERROR', errcode: 10 })
      })
      const other = new AccessWorld(database, systemClock)
      const vote = await other.approve('bob', request).then(
        () => 'stored',
        (error: unknown) => String((error as { code?: unknown }).code),
      )
      await other.close()
      expect(vote).toBe(broken ? 'store_unavailable' : 'stored')
      expect(await decided(request)).toBe(!broken)
      if (!broken) {
        expect(breakAfter).toBeGreaterThan(20)
        break
      }
      // Every fourth is enough once the first ones have shown that each is taken back.
      if (breakAfter > 6) breakAfter += 3
    }
    await isWhole()
  })
})

describe('a PostgreSQL server that drops the connection', () => {
  it('at any one statement of a decision keeps nothing; in the very commit, all or nothing as it says', async () => {
    await using server = await PostgresServer.start()
    const name = await server.database()
    const world = await AccessWorld.open(systemClock, await openOn(server, undefined, name))
    await world.role('prod', { allow: { logins: ['deploy'] } })
    await world.role('dev', { allow: { request: { roles: ['prod'] } } })
    await world.role('lead', { allow: { review_requests: { roles: ['*'] } } })
    await world.user('bob', { roles: ['lead'] })
    for (const dropAfter of [1, 9, 17, 25, 33]) {
      await world.user(`ann${dropAfter}`, { roles: ['dev'] })
      const { id } = await world.ask(`ann${dropAfter}`, ['prod'])
      const inner = await openOn(server, undefined, name)
      let dropping: Promise<unknown> = Promise.resolve()
      const database = withStrikes(inner, (statement) => {
        if (statement !== dropAfter) return
        dropping = server.query(
          name,
          "select pg_terminate_backend(pid) from pg_stat_activity where state = 'idle in transaction'",
        )
      })
      const other = new AccessWorld(database, systemClock)
      const vote = await other.approve('bob', id).then(
        () => 'stored',
        (error: unknown) => String((error as { code?: unknown }).code),
      )
      await dropping
      const shown = await world.show(id)
      expect(['stored', 'store_unavailable']).toContain(vote)
      expect(shown.state).toBe(vote === 'stored' ? 'approved' : 'pending')
      expect(shown.grant !== null).toBe(vote === 'stored')
      if (vote !== 'stored') expect((await other.approve('bob', id)).state).toBe('approved')
      await other.close()
    }
    await world.close()
  })
})
