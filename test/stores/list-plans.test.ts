// How both stores find the requests of a list: by an index that gives them in their order, never by looking at all of them.
import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { pageStatement, type Source } from '../../src/access/show/list-source.ts'
import type { Database } from '../../src/foundation/database/open-database.ts'
import { STORES, useStores } from '../support/stores.ts'

const NOTHING: Source = {
  ...{ state: null, users: null, notUser: null, terms: [], since: null, until: null, withWords: false },
}
const role = { kind: 'role', names: ['role-3'] } as const
const resource = { kind: 'resource', names: ['node/box-7'] } as const
const reviewer = { kind: 'reviewer', names: ['usr_5'] } as const

/** What people look for, and the index that leads to it. */
const LISTS: readonly (readonly [what: string, source: Partial<Source>, index: string])[] = [
  ['everything', {}, 'access_requests_by_time'],
  ['a span of time', { since: 500_000, until: 900_000 }, 'access_requests_by_time'],
  ['words', { withWords: true }, 'access_requests_by_time'],
  ['a state', { state: 'denied' }, 'access_requests_by_state'],
  ['what may be reviewed', { state: 'pending', notUser: 'usr_3' }, 'access_requests_by_state'],
  ['a requester', { users: ['usr_3'] }, 'access_requests_by_user'],
  ['a requester in a state', { users: ['usr_3'], state: 'approved' }, 'access_requests_by_user'],
  ['a role', { terms: [role] }, 'request_terms'],
  ['a role in a state', { terms: [role], state: 'pending' }, 'request_terms'],
  ['a resource', { terms: [resource] }, 'request_terms'],
  ['a reviewer', { terms: [reviewer] }, 'request_terms'],
  ['a reviewer and a role, with words', { terms: [reviewer, role], withWords: true }, 'request_terms'],
]
const CASES = LISTS.flatMap(([what, source, index]) =>
  (['desc', 'asc'] as const).flatMap((order) =>
    [null, { state: null, createdAt: 700_000, id: 'req_7000' }].map((place) => {
      const from = place ? 'from a place on' : 'from its start'
      return [`${what}, ${order}, ${from}`, { ...NOTHING, ...source }, index, order, place] as const
    }),
  ),
)

const REQUESTS = 10_000

/** Enough that looking at all of them would be dear. */
async function fill(database: Database): Promise<void> {
  const n = sql`with recursive n as (select 1 as i union all select i + 1 from n where i < ${sql.lit(REQUESTS)})`
  await database.transact(async (tx) => {
    await sql`insert into users (id, event_id, name, role_ids_json, traits_json, disabled, created_at)
      ${n} select 'usr_' || (i - 1), '', 'user-' || i, '[]', '{}', 0, 0 from n where i <= 100`.execute(tx)
    await sql`insert into access_requests (id, event_id, kind, user_id, roles_json, reason, duration_ms, created_at,
        pending_until, state, facts_json, facts_digest, request_digest, annotations_json, suggested_json, identity_hash,
        version)
      ${n} select 'req_' || i, '', 'role', 'usr_' || (i % 100), '[]', 'because', 1, i * 100,
        i * 100 + 50, case i % 50 when 0 then 'pending' when 1 then 'denied' when 2 then 'expired' else 'approved' end,
        ${sql.lit('x'.repeat(1000))}, '', '', '{}', '[]', 'hash ' || i, 1 from n`.execute(tx)
    await sql`insert into request_texts (request_id, created_at, words)
      ${n} select 'req_' || i, i * 100, 'because' from n`.execute(tx)
    for (const [kind, name] of [
      ['role', sql`'role-' || (i % 20)`],
      ['resource', sql`'node/box-' || (i % 50)`],
      ['reviewer', sql`'usr_' || (i % 10)`],
    ] as const)
      await sql`insert into request_terms (kind, name, created_at, request_id)
        ${n} select ${sql.lit(kind)}, ${name}, i * 100, 'req_' || i from n`.execute(tx)
    await database.forgetTouched(tx)
    // A daemon never asks for statistics; PostgreSQL gathers them by itself.
    if (database.kind === 'postgres') await sql`analyze`.execute(tx)
  })
}

/**
 * The plan as the store tells it, line by line. PostgreSQL knows how many rows there are, and may rather sort a few; `inOrder`
 * forbids that: then it sorts only what no index gives in its order.
 */
async function planOf(
  database: Database,
  inOrder: boolean,
  ...asked: Parameters<typeof pageStatement>
): Promise<string> {
  const postgres = database.kind === 'postgres'
  return database.transact(async (tx) => {
    const others = ['sort', 'seqscan', 'bitmapscan', 'hashjoin', 'mergejoin']
    if (inOrder && postgres)
      for (const other of others) await sql`set local ${sql.raw(`enable_${other}`)} = off`.execute(tx)
    const explain = postgres ? sql`explain ` : sql`explain query plan `
    const { rows } = await sql<Record<string, unknown>>`${explain}${pageStatement(...asked)}`.execute(tx)
    return rows.map((row) => String(row['detail'] ?? row['QUERY PLAN'])).join('\n')
  })
}

describe.each(STORES)('the lists on %s', (kind) => {
  const stores = useStores(kind)
  const plans = new Map<string, { readonly inOrder: string; readonly chosen: string }>()

  // All in one store: it is closed after the first test.
  beforeAll(async () => {
    const database = await stores.open()
    await fill(database)
    for (const [title, source, , order, place] of CASES) {
      const inOrder = await planOf(database, true, source, order, place, 50)
      plans.set(title, { inOrder, chosen: await planOf(database, false, source, order, place, 50) })
    }
  })

  test.each(CASES)('%s', (title, _source, index) => {
    const { inOrder = '', chosen = '' } = plans.get(title) ?? {}
    expect(inOrder).toContain(index === 'request_terms' && kind === 'sqlite' ? 'autoindex_request_terms_1' : index)
    expect(inOrder).not.toMatch(/Seq Scan|Sort|TEMP B-TREE|AUTOMATIC/)
    // SQLite also calls walking along an index a scan.
    expect(inOrder).not.toMatch(/SCAN \w+(?! USING (COVERING )?INDEX)$/m)
    expect(chosen).not.toMatch(/Seq Scan on access_requests/)
  })
})
