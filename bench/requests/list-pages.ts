import { sql } from 'kysely'
import { fillSearchIndex } from '../../src/access/search-index.ts'
import type { ListQuery } from '../../src/access/show/list-requests.ts'
import { callerNamed, LOCAL_ADMIN } from '../../test/support/access-world.ts'
import { openStoryHouse } from './story-house.ts'
import { wholeStories } from './whole-stories.ts'

const QUERIES: readonly Partial<ListQuery>[] = [
  {},
  { order: 'asc' },
  { sort: 'state' },
  { state: 'approved' },
  { role: 'role-7' },
  { user: 'user-3' },
  { reviewer: 'lead-2' },
  { text: 'ticket 3' },
]

/** Milliseconds of each page of 50, over lists of `size` requests, walked by several filters. */
export async function pageTimes(size: number, pages: number): Promise<number[]> {
  await using house = await openStoryHouse({ people: 50, reviewers: 10, roles: 20 })
  const { world } = house
  await wholeStories(house, 200, 16, 0)
  const { rows } = await sql<{ name: string }>`select name from pragma_table_info('access_requests')`.execute(
    world.database.reads,
  )
  const columns = sql.raw(
    rows
      .map(({ name }) => name)
      .filter((name) => !['id', 'created_at', 'identity_hash'].includes(name))
      .join(', '),
  )
  await world.database.transact(async (tx) => {
    await sql`
      with recursive n(i) as (select 1 union all select i + 1 from n where i < ${size / 200})
      insert into access_requests (id, created_at, identity_hash, ${columns})
      select substr(id, 1, 24) || printf('%016x', abs(random())), created_at - i * 60000, identity_hash || i, ${columns}
      from n, access_requests`.execute(tx)
    await world.database.forgetTouched(tx)
  })
  await fillSearchIndex(world.database)
  const times: number[] = []
  for (const caller of [LOCAL_ADMIN, callerNamed('lead-1')])
    for (const query of QUERIES) {
      let cursor: string | undefined
      for (let page = 0; page < pages; page++) {
        const started = performance.now()
        const { next } = await world.requests.list(caller, { scope: 'all', ...query, cursor })
        times.push(performance.now() - started)
        if (next === null) break
        cursor = next
      }
    }
  return times
}
