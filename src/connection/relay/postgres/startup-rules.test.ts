import { describe, expect, test } from 'vitest'
import { judgeStartup } from './startup-rules.ts'

const startup = (parameters: Readonly<Record<string, string>>) => ({
  minor: 0,
  extensions: [],
  parameters: new Map(Object.entries(parameters)),
})
const wanted = (parameters: Readonly<Record<string, string>>, route: string | null = 'orders') => {
  const verdict = judgeStartup(startup(parameters), route)
  if (!verdict.ok) throw new Error(verdict.message)
  return verdict.wanted
}

describe('what a startup message asks for', () => {
  test.each([
    ['the route of the certificate', { user: 'app', database: 'shop' }, 'orders', ['orders', 'app', 'shop']],
    [
      'another resource named by the user',
      { user: 'app+legacy', database: 'shop' },
      'orders',
      ['legacy', 'app', 'shop'],
    ],
    ['a resource and no user', { user: '+legacy', database: 'shop' }, null, ['legacy', null, 'shop']],
    [
      'no database: libpq names it as the user',
      { user: 'app+legacy', database: 'app+legacy' },
      null,
      ['legacy', 'app', 'app'],
    ],
    ['no database at all', { user: 'app' }, 'orders', ['orders', 'app', null]],
  ] as const)('%s', (_name, parameters, route, expected) => {
    const { database, dbUser, dbName } = wanted(parameters, route)
    expect([database, dbUser, dbName]).toEqual(expected)
  })

  test('harmless settings are passed on, also in options', () => {
    const { parameters } = wanted({
      user: 'app',
      application_name: 'psql',
      DateStyle: 'ISO',
      options: '-c search_path=a\\ b -cjit=off --lock-timeout=5',
    })
    expect(Object.fromEntries(parameters)).toEqual({
      application_name: 'psql',
      DateStyle: 'ISO',
      search_path: 'a b',
      jit: 'off',
      lock_timeout: '5',
    })
  })

  test.each([
    { role: 'postgres' },
    { ROLE: 'postgres' },
    { session_authorization: 'postgres' },
    { options: '-c role=postgres' },
    { options: '-c' },
    { options: '-c x' },
    { options: '-F' },
    { options: '--role=postgres' },
    { unknown: 'x' },
    { search_path: 'x'.repeat(1025) },
  ])('%j is refused', (parameters) => {
    expect(judgeStartup(startup({ user: 'app', ...parameters }), 'orders').ok).toBe(false)
  })

  test('replication is known as such, and only where it is asked for', () => {
    expect(wanted({ user: 'app', replication: 'database' }).isReplication).toBe(true)
    expect(wanted({ user: 'app', replication: 'off' }).isReplication).toBe(false)
    const of = (replication: string) => wanted({ user: 'app', database: 'shop', replication })
    // A server that is asked for all of its changes looks at no name: whoever may use one database may not have that.
    expect(['database', 'true', 'on', '1', 'DATABASE', 'off'].map((value) => of(value).dbName)).toEqual([
      ...['shop', 'replication', 'replication', 'replication', 'replication', 'shop'],
    ])
    expect(wanted({ user: 'app' }).isReplication).toBe(false)
  })

  test('without a resource there is nothing to go to', () => {
    expect(judgeStartup(startup({ user: 'app' }), null).ok).toBe(false)
    expect(judgeStartup(startup({ user: 'app+' }), 'orders').ok).toBe(false)
  })
})
