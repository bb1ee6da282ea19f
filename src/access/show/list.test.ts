import { sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { AccessWorld, callerNamed, HOUR, LOCAL_ADMIN, MINUTE } from '../../../test/support/access-world.ts'
import type { AccessRequest } from '../../contract/request.ts'
import type { Database } from '../../foundation/database/open-database.ts'
import { fillSearchIndex } from '../search-index.ts'
import { cursorOf } from './list-cursor.ts'
import type { ListQuery } from './list-requests.ts'

let world: AccessWorld

beforeEach(async () => {
  world = await AccessWorld.open()
  for (const role of ['dba', 'web']) await world.role(role)
  await world.role('dev', { allow: { request: { roles: ['dba', 'web'] } } })
  await world.role('lead', { allow: { review_requests: { roles: ['dba'] } } })
  await world.role('reader', { allow: { rules: [{ resources: ['request'], verbs: ['list'] }] } })
  for (const name of ['ada', 'alan']) await world.user(name, { roles: ['dev'] })
  await world.user('bob', { roles: ['lead'] })
  await world.user('rita', { roles: ['reader'] })
  await world.user('eve', {})
})
afterEach(() => world.close())

const as = (who: string) => (who === 'admin' ? LOCAL_ADMIN : callerNamed(who))

/** All pages. */
async function list(who: string, query: Partial<ListQuery> = {}): Promise<AccessRequest[]> {
  const items: AccessRequest[] = []
  let cursor: string | undefined
  do {
    const page = await world.requests.list(as(who), { scope: 'all', ...query, cursor })
    items.push(...page.items)
    cursor = page.next ?? undefined
  } while (cursor !== undefined)
  return items
}

const reasons = async (who: string, query: Partial<ListQuery> = {}): Promise<string[]> =>
  (await list(who, query)).map((item) => item.reason)

async function ask(user: string, role: string, reason: string): Promise<AccessRequest> {
  world.clock.advance(MINUTE)
  return world.ask(user, [role], { reason })
}

describe('filters', () => {
  beforeEach(async () => {
    await ask('ada', 'dba', 'Ticket 1')
    const second = await ask('alan', 'dba', 'ticket 2: Übung')
    await ask('ada', 'web', 'ticket 3, 100% sure_')
    await world.approve('bob', second.id)
  })
  const start = Date.UTC(2026, 0, 1)
  test.each<[Partial<ListQuery>, string[]]>([
    [{}, ['3', '2', '1']],
    [{ order: 'asc' }, ['1', '2', '3']],
    [{ sort: 'state' }, ['3', '1', '2']],
    [{ sort: 'state', order: 'asc' }, ['2', '1', '3']],
    [{ sort: 'state', state: 'pending' }, ['3', '1']],
    [{ state: 'approved' }, ['2']],
    [{ user: 'ada' }, ['3', '1']],
    [{ user: 'nobody' }, []],
    [{ role: 'dba' }, ['2', '1']],
    [{ role: 'dba', user: 'alan' }, ['2']],
    [{ reviewer: 'bob' }, ['2']],
    [{ reviewer: 'ada' }, []],
    [{ reviewer: 'bob', role: 'web' }, []],
    [{ reviewer: 'bob', role: 'dba' }, ['2']],
    [{ resource: 'node/db-box' }, []],
    [{ since: start + 2 * MINUTE }, ['3', '2']],
    [{ until: start + 2 * MINUTE }, ['1']],
    [{ since: start + MINUTE, until: start + 3 * MINUTE }, ['2', '1']],
    [{ text: 'TICKET' }, ['3', '2', '1']],
    [{ text: 'übung' }, ['2']],
    [{ text: '100%' }, ['3']],
    [{ text: '_' }, ['3']],
    [{ text: 'alan' }, ['2']],
    [{ text: 'web' }, ['3']],
    [{ text: 'nowhere' }, []],
  ])('%j', async (query, found) => {
    expect((await reasons('rita', query)).map((reason) => reason[7])).toEqual(found)
    expect(await reasons('admin', query)).toEqual(await reasons('rita', query))
  })
  test('one by one, every page of one gives the same list', async () => {
    for (const query of [{}, { order: 'asc' }, { sort: 'state' }, { role: 'dba' }, { text: 'ticket' }] as const)
      expect(await reasons('rita', { ...query, limit: 1 })).toEqual(await reasons('rita', query))
  })
  test('[84] reviewed: what I have voted on, whatever became of it', async () => {
    expect(await reasons('bob', { scope: 'reviewed' })).toEqual(['ticket 2: Übung'])
    expect(await reasons('rita', { scope: 'reviewed' })).toEqual([])
    expect(await reasons('admin', { scope: 'reviewed' })).toEqual([])
  })
  test('nobody finds by any filter what they may not see', async () => {
    for (const query of [{}, { text: 'ticket' }, { role: 'web' }, { reviewer: 'bob' }, { user: 'ada' }])
      expect(await reasons('eve', query)).toEqual([])
    // His right speaks of dba alone.
    expect(await reasons('bob', { text: 'ticket' })).toEqual(['ticket 2: Übung', 'Ticket 1'])
    expect(await reasons('ada', { role: 'dba' })).toEqual(['Ticket 1'])
  })
  test('people who are gone are found under their names, with everybody who ever had them', async () => {
    await world.deleteUser('usr_alan')
    await world.user('alan', { roles: ['dev'] }, 'usr_alan2')
    world.clock.advance(MINUTE)
    await world.requests.ask(callerNamed('alan', 'usr_alan2'), askedFor('dba', 'ticket 4'))
    expect(await reasons('rita', { user: 'alan' })).toEqual(['ticket 4', 'ticket 2: Übung'])
  })
})

const askedFor = (role: string, reason: string) => ({
  roles: [role],
  resources: [],
  narrowing: null,
  reason,
  durationMs: null,
  start: { at: 'approval' } as const,
  pendingForMs: null,
  reviewers: [],
})

describe('[86] pages', () => {
  test.each([
    ['created', 'desc'],
    ['created', 'asc'],
    ['state', 'desc'],
    ['state', 'asc'],
  ] as const)('by %s, %s: under concurrent inserts nothing is skipped or doubled', async (sort, order) => {
    for (let index = 0; index < 9; index++) {
      const { id } = await world.ask(index % 2 ? 'ada' : 'alan', ['dba'], { reason: String(index) })
      if (index % 4 === 0) await world.approve('bob', id)
      if (index % 3 === 0) world.clock.advance(1)
    }
    const stable = (await list('rita', { sort, order })).map((item) => item.id)
    const seen: string[] = []
    let cursor: string | undefined
    let more = 0
    do {
      const page = await world.requests.list(callerNamed('rita'), { scope: 'all', sort, order, limit: 2, cursor })
      seen.push(...page.items.map((item) => item.id))
      cursor = page.next ?? undefined
      // At the very instant of the last ones, and later.
      if (more % 2) world.clock.advance(1)
      if (more < 8) await world.ask('ada', ['web'], { reason: `new ${more}` })
      more++
    } while (cursor !== undefined)
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((id) => stable.includes(id))).toEqual(stable)
  })

  test('somebody who may see little of much gets empty pages, each with a way on, and no id of anything hidden', async () => {
    for (let index = 0; index < 3; index++) await ask('alan', 'web', String(index))
    await copyRequests(world.database, 12_000)
    const ids = new Set<string>()
    const found: string[] = []
    let cursor: string | undefined
    let pages = 0
    do {
      const page = await world.requests.list(callerNamed('bob'), { scope: 'all', cursor, order: 'asc' })
      found.push(...page.items.map((item) => item.id))
      cursor = page.next ?? undefined
      if (cursor !== undefined)
        ids.add(String((JSON.parse(Buffer.from(cursor, 'base64url').toString()) as unknown[])[4]))
      pages++
    } while (cursor !== undefined)
    expect(found).toEqual([])
    expect(pages).toBeGreaterThan(2)
    expect([...ids]).toEqual(['null'])
  })

  test('what the clock has expired stands among the expired, in the order of time', async () => {
    await world.ask('ada', ['dba'], { reason: 'a', pendingFor: MINUTE })
    world.clock.advance(2 * MINUTE)
    await world.sweeper.sweep()
    await world.ask('ada', ['dba'], { reason: 'b', pendingFor: MINUTE })
    world.clock.advance(2 * MINUTE)
    await world.ask('ada', ['dba'], { reason: 'c' })
    expect(await reasons('rita', { state: 'expired' })).toEqual(['b', 'a'])
    expect(await reasons('rita', { state: 'expired', limit: 1, order: 'asc' })).toEqual(['a', 'b'])
  })
})

const order = { sort: 'created', order: 'desc' } as const
const place = { state: null, createdAt: 5, id: `req_${'0'.repeat(36)}` } as const
const json = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

test.each([
  ['nothing', ''],
  ['a word', 'x'],
  ['no list', json({ sort: 'created' })],
  ['too short', json(['created', 'desc', null, 5])],
  ['too long', json(['created', 'desc', null, 5, place.id, 1])],
  ['another order', cursorOf({ sort: 'created', order: 'asc' }, place)],
  ['another list', cursorOf({ sort: 'state', order: 'desc' }, { ...place, state: 'pending' })],
  ['a state where none belongs', json(['created', 'desc', 'pending', 5, place.id])],
  ['a state that is none', json(['created', 'desc', 'open', 5, place.id])],
  ['a fraction', json(['created', 'desc', null, 1.5, place.id])],
  ['an instant before all', json(['created', 'desc', null, -1, place.id])],
  ['a number that is none', json(['created', 'desc', null, 1e300, place.id])],
  ['text for an instant', json(['created', 'desc', null, '5', place.id])],
  ['an id of another kind', json(['created', 'desc', null, 5, `usr_${'0'.repeat(36)}`])],
  ['SQL', json(['created', 'desc', null, 5, "req_' or 1=1 --"])],
  ['an object for an id', json(['created', 'desc', null, 5, { like: '%' }])],
  ['prototype', json(['created', 'desc', null, 5, { __proto__: null }])],
  ['bytes', Buffer.from([0xff, 0xfe, 0]).toString('base64url')],
  ['deep nesting', Buffer.from('['.repeat(300)).toString('base64url')],
])('a cursor that is %s is refused', async (_, cursor) => {
  await expect(world.requests.list(callerNamed('rita'), { scope: 'all', cursor })).rejects.toMatchObject({
    code: 'malformed',
  })
})

test('a cursor of ours for a place where nothing is any more goes on from there', async () => {
  await ask('ada', 'dba', 'a')
  const cursor = cursorOf(order, { ...place, createdAt: world.clock.now() + HOUR })
  expect((await world.requests.list(callerNamed('rita'), { scope: 'all', cursor })).items).toHaveLength(1)
})

test('a store from before there was an index is filled at start, votes included', async () => {
  const { id } = await ask('ada', 'dba', 'Old Ticket')
  await world.approve('bob', id)
  await world.database.transact(async (tx) => {
    await tx.deleteFrom('request_terms').execute()
    await tx.deleteFrom('request_texts').execute()
  })
  expect(await reasons('rita', { reviewer: 'bob' })).toEqual([])
  await fillSearchIndex(world.database)
  for (const query of [{ reviewer: 'bob' }, { role: 'dba' }, { text: 'old t' }])
    expect(await reasons('rita', query)).toEqual(['Old Ticket'])
})

/** Copies the newest request into as many more, an instant each, without events: only for reading lists. */
async function copyRequests(database: Database, count: number): Promise<void> {
  const columns = (
    await sql<{ name: string }>`select name from pragma_table_info('access_requests')`.execute(database.reads)
  ).rows
    .map(({ name }) => name)
    .filter((name) => !['id', 'created_at', 'identity_hash'].includes(name))
    .join(', ')
  await database.transact(async (tx) => {
    await sql`
      with recursive n(i) as (select 1 union all select i + 1 from n where i < ${count})
      insert into access_requests (id, created_at, identity_hash, ${sql.raw(columns)})
      select 'req_' || printf('%036d', i), created_at + i / 3, 'copy ' || i, ${sql.raw(columns)}
      from n, (select * from access_requests order by created_at desc limit 1)`.execute(tx)
    await database.forgetTouched(tx)
  })
}
