import { expect, test } from 'vitest'
import { fixedStatement, withNumbers } from './fixed-statement.ts'
import { openTemporaryDatabase } from './open-database.ts'

test('parameters are numbered in their order', () => {
  expect(withNumbers('select a from b where c = ? and d in (?, ?)')).toBe(
    'select a from b where c = $1 and d in ($2, $3)',
  )
})

test('rows come back, inside and outside of a transaction', async () => {
  const database = openTemporaryDatabase()
  const put = fixedStatement('insert into login_seen (login_id, last_seen_at) values (?, ?)')
  const seen = fixedStatement<{ login_id: string }>('select login_id from login_seen where last_seen_at > ? order by 1')
  await database.transact(async (tx) => {
    for (const [index, id] of ['a', 'b', 'c'].entries()) expect(await put(tx, id, index)).toEqual([])
    expect(await seen(tx, 1)).toEqual([{ login_id: 'c' }])
  })
  expect(await seen(database.reads, 0)).toEqual([{ login_id: 'b' }, { login_id: 'c' }])
  await database.close()
})
