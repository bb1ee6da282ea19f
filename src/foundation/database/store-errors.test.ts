import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { isUniqueViolation, storeTrouble } from './store-errors.ts'

function errorOf(work: () => void): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('it did not throw')
}

it('a refused row is no trouble of the store, and a unique one is told apart', () => {
  const database = new DatabaseSync(':memory:')
  database.exec('create table t (id text primary key, n integer check (n > 0), u text unique) strict')
  database.exec("insert into t values ('a', 1, 'x')")
  const [key, unique, check] = ["('a', 1, 'y')", "('b', 1, 'x')", "('c', 0, 'z')"].map((row) =>
    errorOf(() => database.exec(`insert into t values ${row}`)),
  )
  expect([key, unique, check].map(storeTrouble)).toEqual([null, null, null])
  expect([key, unique, check].map(isUniqueViolation)).toEqual([true, true, false])
})

it('a read-only, missing, foreign or closed file is trouble, with a sentence', () => {
  const database = new DatabaseSync(':memory:')
  database.exec('create table t (id text); pragma query_only = on')
  expect(storeTrouble(errorOf(() => database.exec("insert into t values ('a')")))).toBe('the file is read-only')
  database.close()
  expect(storeTrouble(errorOf(() => database.exec('select 1')))).toBe('the database is closed')
  expect(storeTrouble(errorOf(() => new DatabaseSync('/nonexistent/file')))).toBe('the file cannot be opened')
})

it('other errors are about something else', () => {
  for (const error of [new Error('x'), 'x', null, undefined, { errcode: 13 }]) {
    expect(storeTrouble(error)).toBeNull()
    expect(isUniqueViolation(error)).toBe(false)
  }
})
