import { expect, test } from 'vitest'
import { whatCannotBeKept } from './session-options.ts'
import { digestOfThread, ThreadNames } from './thread-names.ts'
import { userAndDatabase } from './user-and-database.ts'

const OPTIONS = {
  readOnly: false,
  statementTimeoutMs: 1000,
  deniedStatements: [],
  recordParameters: true,
  replication: false,
}

test('an option of a role that MySQL cannot keep refuses the session, saying what would do', () => {
  const [utf8mb4, gbk] = [45, 28]
  expect(whatCannotBeKept({ options: OPTIONS }, gbk)).toBeNull()
  expect(whatCannotBeKept({ options: { ...OPTIONS, readOnly: true } }, utf8mb4)).toMatch(
    /read-only.*use a db user that may only read/,
  )
  expect(whatCannotBeKept({ options: { ...OPTIONS, deniedStatements: ['ddl'] } }, utf8mb4)).toBeNull()
  expect(whatCannotBeKept({ options: { ...OPTIONS, deniedStatements: ['ddl'] } }, gbk)).toMatch(
    /denies statements \(ddl\).*utf8mb4/,
  )
  const justInTime = { id: 'jit_1', dbRoles: ['reader'] }
  expect(whatCannotBeKept({ options: { ...OPTIONS, readOnly: true }, justInTime }, utf8mb4)).toBeNull()
})

test('only the same person in the same account resolves a thread id of ours, and only while its session lives', () => {
  const threads = new ThreadNames()
  const alice = { userId: 'usr_a', databaseId: 'dtb_1', dbUser: 'app' }
  const id = threads.give()
  expect(threads.resolve(id, alice)).toBeNull()
  threads.bind(id, { ...alice, threadId: 42 })
  expect(threads.resolve(id, alice)).toBe(42)
  expect(threads.find(digestOfThread(id, alice))).toBe(42)
  for (const other of [{ userId: 'usr_b' }, { databaseId: 'dtb_2' }, { dbUser: 'root' }])
    for (const found of [
      threads.resolve(id, { ...alice, ...other }),
      threads.find(digestOfThread(id, { ...alice, ...other })),
    ])
      expect(found).toBeNull()
  threads.takeBack(id)
  expect(threads.resolve(id, alice)).toBeNull()
  expect(threads.find(digestOfThread(id, alice))).toBeNull()
})

test.each([
  ['app', 'app', 'orders'],
  ['app+billing', 'app', 'billing'],
  ['a+b+billing', 'a+b', 'billing'],
  ['', null, 'orders'],
  ['+billing', null, 'billing'],
  ['app+', 'app', 'orders'],
])('the user name %j means the db user %j of %j', (given, dbUser, database) => {
  expect(userAndDatabase(given, 'orders')).toEqual({ dbUser, database })
})
