// Two instances of the engine on one PostgreSQL database, each with connections of its own: every race has one outcome, and one event.
import { createSecretKey, randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { StoredDeedLog } from '../../src/audit/commit-deed.ts'
import type { RowRef, Tx } from '../../src/audit/deed.ts'
import { spillInMemory } from '../../src/audit/spill-file.ts'
import { verifyAudit } from '../../src/audit/verify/verify-audit.ts'
import { RoleDocument } from '../../src/contract/role.ts'
import { LocalControlPlane } from '../../src/connection/local-control-plane.ts'
import { systemClock } from '../../src/foundation/clock.ts'
import type { Database } from '../../src/foundation/database/open-database.ts'
import { openPostgresSnapshot } from '../../src/foundation/database/postgres/open-postgres-snapshot.ts'
import { silentLog } from '../../src/foundation/log.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { AttemptLimiter } from '../../src/identity/attempt-limiter.ts'
import { createSealer } from '../../src/identity/sealing.ts'
import { SYSTEM } from '../../src/identity/doer.ts'
import { putRole } from '../../src/identity/roles.ts'
import { acceptInvitation } from '../../src/identity/sign-in.ts'
import { checkStepUp, stepUp } from '../../src/identity/step-up.ts'
import { addUser } from '../../src/identity/users.ts'
import { AccessWorld, callerNamed, HOUR } from '../support/access-world.ts'
import { identityStore } from '../support/identity-store.ts'
import { deviceKey, identityWorld, PASSWORD } from '../support/identity-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { PostgresServer } from '../support/postgres.ts'
import { openOn } from '../support/stores.ts'
import { until } from '../support/until.ts'

let server: PostgresServer
let name: string
const opened: Database[] = []

beforeAll(async () => {
  server = await PostgresServer.start()
})
afterAll(() => server?.stop())
beforeEach(async () => {
  name = await server.database()
})
afterEach(async () => {
  for (const database of opened.splice(0)) await database.close()
  const found = await verifyAudit({ database: name, open: () => openPostgresSnapshot(server.settings(name)) })
  if (found.problems.length > 0) throw new Error(`the store is not whole: ${JSON.stringify(found.problems)}`)
})

async function open(clock?: ManualClock): Promise<Database> {
  const database = await openOn(server, clock, name)
  opened.push(database)
  return database
}

const REVIEWERS = Array.from({ length: 50 }, (_, index) => `rev${String(index)}`)

async function twoWorlds(approve: number): Promise<[AccessWorld<typeof systemClock>, AccessWorld<typeof systemClock>]> {
  const a = await AccessWorld.open(systemClock, await open())
  await a.role('prod', { allow: { logins: ['deploy'], node_labels: { env: 'prod' } } })
  const thresholds = [{ name: 'some', approve, deny: 1 }]
  await a.role('dev', { allow: { request: { roles: ['prod'], max_duration: '4h', thresholds } } })
  await a.role('lead', { allow: { review_requests: { roles: ['*'] } } })
  await a.user('alice', { roles: ['dev'] })
  for (const each of REVIEWERS) await a.user(each, { roles: ['lead'] })
  return [a, new AccessWorld(await open(), systemClock)]
}

const refusals = (results: readonly PromiseSettledResult<unknown>[]): string[] =>
  results.flatMap((each) => (each.status === 'rejected' ? [String((each.reason as { code?: unknown }).code)] : []))

const count = (types: readonly string[], type: string): number => types.filter((each) => each === type).length

describe('one request', () => {
  it('fifty reviews at once on two instances decide it once', async () => {
    const worlds = await twoWorlds(3)
    const { id } = await worlds[0].ask('alice', ['prod'])
    const seen = await worlds[0].show(id)
    const votes = await Promise.allSettled(
      REVIEWERS.map((each, index) => (worlds[index % 2] ?? worlds[0]).approve(each, id, { seen })),
    )
    expect(votes.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
    expect(new Set(refusals(votes))).toEqual(new Set(['already_resolved']))
    const types = await worlds[1].eventTypes()
    expect(count(types, 'access_request.approve')).toBe(1)
    expect(count(types, 'grant.start')).toBe(1)
    expect(count(types, 'access_request.review')).toBe(3)
    expect((await worlds[1].show(id)).reviews).toHaveLength(3)
  })

  it('one reviewer, fifty times at once on two instances, is one vote', async () => {
    const worlds = await twoWorlds(2)
    const { id } = await worlds[0].ask('alice', ['prod'])
    const seen = await worlds[0].show(id)
    await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => (worlds[index % 2] ?? worlds[0]).approve('rev0', id, { seen })),
    )
    const shown = await worlds[1].show(id)
    expect(shown.state).toBe('pending')
    expect(shown.reviews.filter(({ counts }) => counts)).toHaveLength(1)
  })

  it('approve against deny, the same request asked twice, cancel against approve: one outcome each', async () => {
    const [a, b] = await twoWorlds(1)
    for (let round = 0; round < 10; round++) {
      // Somebody else each time: a denial of the same cools down.
      const user = `asker${round}`
      await a.user(user, { roles: ['dev'] })
      const asked = await Promise.all([a, b].map((world) => world.ask(user, ['prod'])))
      expect(asked[0]?.id).toBe(asked[1]?.id)
      const id = asked[0]?.id ?? ''
      const seen = await a.show(id)
      const other = round % 2 === 0 ? b.deny('rev1', id, { seen }) : b.requests.cancel(callerNamed(user), id)
      const results = await Promise.allSettled([a.approve('rev0', id, { seen }), other])
      expect(refusals(results)).toEqual(['already_resolved'])
      const shown = await b.show(id)
      const ends = await a.database.reads
        .selectFrom('audit_events')
        .select('type')
        .where('request_id', '=', id)
        .where('type', 'in', ['access_request.approve', 'access_request.deny', 'access_request.cancel'])
        .execute()
      expect(ends).toHaveLength(1)
      expect(shown.grant !== null).toBe(shown.state === 'approved')
      if (shown.grant) await b.requests.revoke(callerNamed('rev1'), id, 'next round')
    }
  })
})

describe('what works once', () => {
  async function twoIdentities() {
    const clock = new ManualClock()
    const world = await identityWorld(identityStore(clock, await open(clock)))
    const database = await open(clock)
    const deeds = new StoredDeedLog({ database, clock, log: silentLog, spill: spillInMemory() })
    const patient = (): AttemptLimiter => new AttemptLimiter(clock, 10_000)
    const here = { ...world.services, limiter: patient() }
    return { world, both: [here, { ...here, database, deeds, limiter: patient() }] as const }
  }

  const fifty = <T>(work: (index: 0 | 1, taker: number) => Promise<T>): Promise<PromiseSettledResult<T>[]> =>
    Promise.allSettled(Array.from({ length: 50 }, (_, index) => work(index % 2 === 0 ? 0 : 1, index)))

  const oneTakes = (results: readonly PromiseSettledResult<unknown>[], ...codes: readonly string[]): void => {
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    expect(refusals(results).filter((code) => !codes.includes(code))).toEqual([])
  }

  it('an invitation against fifty takers', async () => {
    const { world, both } = await twoIdentities()
    const { invitation } = await addUser(world.services, SYSTEM, { name: 'carl', roles: [], traits: {} })
    const accept = { device: 'laptop', code: invitation.code, password: PASSWORD }
    oneTakes(
      await fifty((index, taker) =>
        acceptInvitation(both[index], { ...accept, address: `10.${taker}.0.1`, sshPublicKey: deviceKey() }),
      ),
      // So many passwords at once are not all hashed.
      ...['invitation_invalid', 'too_many_attempts'],
    )
    expect(count(await world.eventTypes(), 'user.login')).toBe(1)
  })

  it('a code of an authenticator and a step-up token against fifty takers', async () => {
    const { world, both } = await twoIdentities()
    const person = await world.person('dora')
    const doer = { actor: { kind: 'user', id: person.id, name: 'dora' }, loginId: person.loginId } as const
    const who = { userId: person.id, userName: 'dora', loginId: person.loginId, address: '192.0.2.1' }
    const code = person.freshCode()
    const codes = await fifty((index) => stepUp(both[index], doer, who, { action: 'review', code }))
    oneTakes(codes, 'code_already_used')
    const token = codes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))[0] ?? ''
    // All see it unused before the first of them writes.
    const seen = await Promise.all(both.map((each) => checkStepUp(each, person.loginId, 'review', token)))
    const role = RoleDocument.parse({ kind: 'role', metadata: { name: 'dba' }, spec: {} })
    oneTakes(
      await fifty((index) => putRole(both[index], { ...doer, confirmation: seen[index] ?? null }, role, true)),
      'step_up_required',
    )
    const types = await world.eventTypes()
    expect(count(types, 'role.create') + count(types, 'role.update')).toBe(1)
    await expect(checkStepUp(both[1], person.loginId, 'review', token)).rejects.toMatchObject({
      code: 'step_up_required',
    })
  })
})

describe('a revoke on one instance against connections on the other', () => {
  it('no session begins after it, and what began before is closed', async () => {
    const [a, b] = await twoWorlds(1)
    const write = (rows: RowRef[], work: (tx: Tx, now: number) => Promise<unknown>): Promise<null> =>
      a.deeds.commitDeed(async (tx, now) => {
        await work(tx, now)
        const actor = { kind: 'system', id: null, name: 'test' } as const
        return { result: null, events: [{ type: 'resource.update', actor, outcome: 'success', rows }] }
      })
    await write([{ table: 'nodes', id: 'nod_box' }], (tx, now) =>
      tx
        .insertInto('nodes')
        .values({
          id: 'nod_box',
          event_id: '',
          name: 'box',
          address: '127.0.0.1:22',
          labels_json: '{"env":"prod"}',
          created_at: now,
        })
        .execute(),
    )
    const device = { device: 'd', factors_json: '[]', key_fingerprint: 'SHA256:a', address: '127.0.0.1' }
    await write([{ table: 'login_sessions', id: 'lgn_alice' }], (tx, now) =>
      tx
        .insertInto('login_sessions')
        .values({
          id: 'lgn_alice',
          event_id: '',
          user_id: 'usr_alice',
          token_hash: 'h',
          ...device,
          created_at: now,
          expires_at: now + HOUR,
        })
        .execute(),
    )
    const clock = a.database.storeClock(systemClock)
    const snapshot = await Snapshot.load(a.database.reads)
    const control = new LocalControlPlane({
      ...{ deeds: a.deeds, snapshot, clock, log: silentLog, instanceId: 'ist_a', catchUp: () => a.deeds.catchUp() },
      sealer: createSealer({ id: '0123456789abcdef', key: createSecretKey(randomBytes(32)) }),
      credentials: {
        onwardCertificate: () => Promise.resolve(new Uint8Array([1])),
        databaseCertificate: () => Promise.resolve(new Uint8Array([2])),
        databasePassword: () => Promise.resolve('secret'),
      },
      reportAuthFailure: () => {},
      recordingsDir: '/nowhere',
      offlineGraceMs: 60_000,
      checkSignIn: () => null,
      checkRow: async () => null,
    })
    a.deeds.onCommitted(async (committed) => {
      await snapshot.apply(committed)
      if (committed.rows.length > 0) control.live.recheckAll()
    })
    a.deeds.follow(snapshot.position)
    const proof = { sessionId: new Uint8Array(), request: new Uint8Array(), signature: new Uint8Array() }
    const ask = {
      protocol: 'ssh',
      loginSessionId: 'lgn_alice',
      userId: 'usr_alice',
      keyFingerprint: 'SHA256:a',
      proof,
    } as const
    const connect = () =>
      control.authorize({ ...ask, certificateSerial: '7', node: 'box', login: null, address: '127.0.0.1' })
    for (let round = 0; round < 5; round++) {
      const { id } = await a.ask('alice', ['prod'], { reason: `round ${round}` })
      await b.approve('rev0', id)
      const connecting = Array.from({ length: 12 }, () => connect())
      const revoked = b.requests.revoke(callerNamed('rev1'), id, 'stop')
      const answers = await Promise.all([...connecting, ...Array.from({ length: 12 }, () => connect())])
      await revoked
      const late = await connect()
      expect(late.ok).toBe(false)
      await until('every session to be told of its end', () =>
        control.live.all().every(({ endText }) => endText !== null),
      )
      for (const answer of answers) {
        if (!answer.ok) continue
        expect(await control.startUse(answer.facts.sessionId)).toMatchObject({ ok: false })
        control.live.remove(answer.facts.sessionId)
      }
      const order = await a.database.reads
        .selectFrom('audit_events')
        .select(['seq', 'type'])
        .where('request_id', '=', id)
        .where('type', 'in', ['grant.revoke', 'session.start'])
        .orderBy('seq')
        .execute()
      expect(order.map(({ type }) => type).indexOf('grant.revoke')).toBe(order.length - 1)
    }
    await a.deeds.close()
  })
})
