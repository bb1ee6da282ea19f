import fc from 'fast-check'
import { expect, test } from 'vitest'
import { DbUser, NAME_PATTERN } from '../contract/common.ts'
import { justInTimeName, type JustInTimeOwner } from './just-in-time-name.ts'

const alice: JustInTimeOwner = {
  databaseId: 'dtb_1',
  protocol: 'postgres',
  user: { id: 'usr_1', name: 'alice' },
  dbRoles: ['reader', 'writer'],
}

test('a name begins as the person is called and is the same whatever the order of the roles', () => {
  expect(justInTimeName(alice)).toMatch(/^alice_[0-9a-f]{12}$/)
  expect(justInTimeName({ ...alice, dbRoles: ['writer', 'reader'] })).toBe(justInTimeName(alice))
})

test('another set of roles, another person of the same name and another database are another user of the server', () => {
  const names = [
    alice,
    { ...alice, dbRoles: ['reader'] },
    { ...alice, dbRoles: ['reader,writer'] },
    { ...alice, user: { id: 'usr_2', name: 'alice' } },
    { ...alice, databaseId: 'dtb_2' },
  ].map(justInTimeName)
  expect(new Set(names).size).toBe(names.length)
})

test('no name is longer than its protocol takes, begins with what PostgreSQL keeps for itself, or is no db user', () => {
  const name = fc.oneof(fc.stringMatching(NAME_PATTERN), fc.constantFrom('pg_monitor', 'pg_', 'x'.repeat(63)))
  fc.assert(
    fc.property(name, fc.constantFrom('postgres' as const, 'mysql' as const), (given, protocol) => {
      const made = justInTimeName({ ...alice, protocol, user: { id: 'usr_1', name: given } })
      expect(Buffer.byteLength(made)).toBeLessThanOrEqual(protocol === 'postgres' ? 63 : 32)
      expect(made.startsWith('pg_')).toBe(false)
      expect(DbUser.safeParse(made).success).toBe(true)
    }),
    { numRuns: 100 },
  )
})
