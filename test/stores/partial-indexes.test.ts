// Indexes that hold only what lives are of use only to a statement that says so in its text: SQLite does not look at parameters.
// Each promise runs the real code, takes the statements that it ran and asks the store how it answers them.
import { DatabaseSync } from 'node:sqlite'
import { CompiledQuery, sql } from 'kysely'
import { Client } from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { overdueRequests } from '../../src/access/end/due-requests.ts'
import { acceptRollback } from '../../src/audit/accept-rollback.ts'
import type { Database } from '../../src/foundation/database/open-database.ts'
import { openGrants } from '../../src/http-api/logins.ts'
import { Snapshot } from '../../src/grants/snapshot.ts'
import { AccessWorld, callerNamed } from '../support/access-world.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { STORES, useStores } from '../support/stores.ts'

const HOUR = 3_600_000
const alice = callerNamed('alice')

interface Statement {
  readonly text: string
  readonly parameters: readonly unknown[]
}

/** What `work` has the store do. */
async function statementsOf(kind: Database['kind'], work: () => Promise<unknown>): Promise<Statement[]> {
  if (kind === 'sqlite') {
    const prepared = vi.spyOn(DatabaseSync.prototype, 'prepare')
    await work()
    const texts = [...new Set(prepared.mock.calls.map(([text]) => text))]
    prepared.mockRestore()
    return texts.map((text) => ({ text, parameters: [] }))
  }
  const asked = vi.spyOn(Client.prototype, 'query')
  await work()
  const calls = asked.mock.calls.map((call: readonly unknown[]) => call)
  asked.mockRestore()
  return calls.flatMap(([text, parameters]) =>
    typeof text === 'string' ? [{ text, parameters: Array.isArray(parameters) ? parameters : [] }] : [],
  )
}

/** How the store answers it, in one line. PostgreSQL knows how few rows there are here: what it does with many is asked for. */
async function planOf(database: Database, { text, parameters }: Statement): Promise<string> {
  if (database.kind === 'sqlite') {
    using file = new DatabaseSync(database.path, { readOnly: true })
    const steps = file.prepare(`explain query plan ${text}`).all()
    return steps.map(({ detail }) => String(detail)).join('; ')
  }
  return database.reads.connection().execute(async (connection) => {
    for (const other of ['seqscan', 'bitmapscan', 'sort'])
      await sql`set enable_${sql.raw(other)} = off`.execute(connection)
    try {
      const query = CompiledQuery.raw(`explain ${text}`, [...parameters])
      const { rows } = await connection.executeQuery<Record<string, unknown>>(query)
      return rows.map((row) => String(row['QUERY PLAN'])).join('; ')
    } finally {
      await sql`reset all`.execute(connection)
    }
  })
}

/** All that hold only what lives: PostgreSQL, which knows how little that is, takes any of them. */
const LIVE =
  /(grants_live\w*|access_requests_(due|pending\w*|extension|one_break_glass)|login_sessions_live|locks_target|delegations_in_force)/
    .source

/** A past: what is over, and enough of it that looking at all would be dear. */
async function fillPast(database: Database): Promise<void> {
  const n = sql`with recursive n as (select 1 as i union all select i + 1 from n where i < 2000)`
  await database.transact(async (tx) => {
    await sql`insert into access_requests (id, event_id, kind, user_id, roles_json, reason, duration_ms, created_at,
        pending_until, state, facts_json, facts_digest, request_digest, annotations_json, suggested_json, identity_hash,
        version)
      ${n} select 'req_' || i, '', 'role', 'usr_alice', '[]', 'because', 1, i * 100,
        i * 100 + 50, 'approved', '{}', '', '', '{}', '[]', 'hash ' || i, 1 from n`.execute(tx)
    await sql`insert into grants (id, event_id, request_id, user_id, kind, roles_json, state, starts_at, ends_at)
      ${n} select 'grt_' || i, '', 'req_' || i, 'usr_alice', 'role', '[]', 'ended', i, i + 1 from n`.execute(tx)
    await sql`insert into login_sessions (id, event_id, user_id, token_hash, device, factors_json, key_fingerprint, address,
        created_at, expires_at, ended_at)
      ${n} select 'lgn_' || i, '', 'usr_alice', 'hash ' || i, 'laptop', '[]', 'SHA256:' || i, '127.0.0.1', i, i + 1, i
      from n`.execute(tx)
    await sql`insert into locks (id, event_id, target_kind, target_id, target_name, message, created_by, created_at,
        removed_at)
      ${n} select 'lck_' || i, '', 'user', 'usr_' || i, 'user', 'held', 'admin', i, i + 1 from n`.execute(tx)
    await database.forgetTouched(tx)
    if (database.kind === 'postgres') await sql`analyze`.execute(tx)
  })
}

describe.each(STORES)('on %s', (kind) => {
  const stores = useStores(kind)
  let world: AccessWorld
  /** By this index, in its order. */
  const by = (index: string): unknown =>
    expect.stringMatching(
      kind === 'sqlite' ? `^(?!.*TEMP B-TREE).*INDEX ${index}\\b` : `^(?!.*Seq Scan).*using ${LIVE}\\b`,
    )

  beforeEach(async () => {
    const clock = new ManualClock()
    world = await AccessWorld.open(clock, await stores.open(clock))
    await world.role('dba', { allow: { logins: ['postgres'], node_labels: { env: 'prod' } } })
    await world.role('engineer', { allow: { request: { roles: ['dba'], break_glass: { roles: ['dba'] } } } })
    await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
    await world.user('alice', { roles: ['engineer'] })
    await world.user('bob', { roles: ['lead'] })
    await fillPast(world.database)
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await world.stop()
  })

  /** Of the statements that `work` runs on a table: how the store answers those that match. */
  async function plansOf(work: () => Promise<unknown>, wanted: readonly (readonly [string, RegExp])[]) {
    const statements = await statementsOf(kind, work)
    const plans: string[][] = []
    for (const [table, matching] of wanted) {
      const about = new RegExp(`^(?:select .* from|update) "?${table}"?\\b`, 's')
      const texts = statements.filter(({ text }) => about.test(text) && matching.test(text))
      const found = new Set<string>()
      for (const statement of texts) found.add(await planOf(world.database, statement))
      plans.push([...found])
    }
    return plans
  }
  const granted = async (): Promise<string> => {
    const { id } = await world.ask('alice', ['dba'])
    await world.approve('bob', id)
    return id
  }

  test('a snapshot is loaded from the grants, login sessions and locks that live, not from all that ever were', async () => {
    const plans = await plansOf(
      () => Snapshot.load(world.database.reads),
      [
        ['grants', /"state"/],
        ['login_sessions', /"ended_at" is null/],
        ['locks', /"removed_at" is null/],
      ],
    )
    expect(plans).toEqual([[by('grants_live(_of)?')], [by('login_sessions_live')], [by('locks_target')]])
  })

  test('what a user is shown of own grants comes from those that live', async () => {
    await granted()
    const plans = await plansOf(
      () => openGrants(world.database, 'usr_alice', 'alice', world.clock.now()),
      [['grants', /"state"/]],
    )
    expect(plans).toEqual([[by('grants_live_of')]])
  })

  test('who takes access in an emergency is looked up among what lives and what nobody has looked at', async () => {
    const plans = await plansOf(
      () => world.requests.breakGlass(alice, { roles: ['dba'], reason: 'down', durationMs: HOUR, confirm: 'dba' }),
      [
        ['grants', /"kind"/],
        ['access_requests', /"settled_at" is null/],
      ],
    )
    expect(plans).toEqual([[by('grants_live_of')], [by('access_requests_one_break_glass')]])
  })

  test('the extension that waits is found by its grant among what is pending', async () => {
    const id = await granted()
    const plans = await plansOf(
      () => world.requests.extend(alice, id, { durationMs: HOUR, reason: 'more', reviewers: [], pendingForMs: null }),
      [['access_requests', /"extends_grant" = .* and "state" = /]],
    )
    expect(plans).toEqual([[by('access_requests_extension')]])
  })

  test('what somebody waits for already is found among what is pending, the newest first', async () => {
    const wanted = { place: { kind: 'node', name: 'db-box' }, account: null, ways: [] } as const
    const plans = await plansOf(
      () => world.requests.pendingFor(alice, wanted),
      [['access_requests', /"pending_until" >/]],
    )
    expect(plans).toEqual([[by('access_requests_pending_of')]])
  })

  test('a denial is remembered without a look at all that was ever asked', async () => {
    const plans = await plansOf(() => world.ask('alice', ['dba']), [['access_requests', /= 'denied'/]])
    expect(plans).toEqual([
      [
        expect.stringMatching(
          kind === 'sqlite' ? /access_requests_by_user.*created_at>/ : /access_requests_by_(user|time).*created_at >/,
        ),
      ],
    ])
  })

  test('what the clock has ended is found by when it ends, each second', async () => {
    const plans = await plansOf(
      () => overdueRequests(world.database.reads, world.clock.now()),
      [
        ['access_requests', /pending_until <=/],
        ['grants', /ends_at <=/],
      ],
    )
    expect(plans).toEqual([[by('access_requests_due')], [by('grants_live')]])
  })

  test('an accepted rollback ends what lives, and looks at nothing else', async () => {
    const accept = (): Promise<void> =>
      acceptRollback(world.deeds, {
        actor: { kind: 'local-admin', id: null, name: 'local-admin' },
        reason: 'restored',
        lost: null,
        sign: () => new Uint8Array(),
      })
    world.deeds.becomeReadOnly('the store went back')
    const plans = await plansOf(accept, [
      ['grants', /"state"/],
      ['access_requests', /"state"/],
      ['login_sessions', /"ended_at"/],
      ['delegations', /"removed_at"/],
    ])
    const pending = by('access_requests_(by_state|due|pending|pending_of)')
    expect(plans).toEqual([
      [by('grants_live(_of)?')],
      [pending],
      [by('login_sessions_live')],
      [by('delegations_in_force')],
    ])
  })
})
