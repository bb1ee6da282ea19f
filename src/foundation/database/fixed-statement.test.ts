import { expect, test } from 'vitest'
import { fixedList, fixedStatement, insertRow, withNumbers } from './fixed-statement.ts'
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

test('a row is inserted by its own columns, and a list finds as many as it names', async () => {
  const database = openTemporaryDatabase()
  const named = fixedList<{ login_id: string }>(
    (ids) => `select login_id from login_seen where login_id in ${ids} order by 1`,
  )
  await database.transact(async (tx) => {
    for (const login_id of ['a', 'b', 'c']) await insertRow(tx, 'login_seen', { login_id, last_seen_at: 1 })
  })
  expect(await named(database.reads, ['a', 'c', 'x'])).toEqual([{ login_id: 'a' }, { login_id: 'c' }])
  expect(await named(database.reads, ['b'])).toEqual([{ login_id: 'b' }])
  expect(await named(database.reads, [])).toEqual([])
  await database.close()
})

test('a statement of a transaction that is over stores nothing', async () => {
  const database = openTemporaryDatabase()
  const put = fixedStatement('insert into login_seen (login_id, last_seen_at) values (?, ?)')
  const seen = fixedStatement('select login_id from login_seen')
  let late: Promise<unknown> = Promise.resolve()
  await database.transact(async (tx) => {
    late = new Promise((resolve) => setTimeout(resolve, 20)).then(() => put(tx, 'late', 1))
    late.catch(() => {})
  })
  await expect(late).rejects.toThrow('a transaction that is over')
  expect(await seen(database.reads)).toEqual([])
  await database.close()
})
