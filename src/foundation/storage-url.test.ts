import { expect, it } from 'vitest'
import { parseStorageUrl, staysOnMachine } from './storage-url.ts'

it('a URL names user, server and database', () => {
  const cases: [string, object][] = [
    ['postgres://s@db.internal/sallyport', { host: 'db.internal', port: 5432, user: 's', database: 'sallyport' }],
    ['postgresql://s@10.0.0.7:6432/x', { host: '10.0.0.7', port: 6432, user: 's', database: 'x' }],
    ['postgres://s@[::1]:1/x', { host: '::1', port: 1, user: 's', database: 'x' }],
    ['postgres://s@/x?host=/run/postgresql', { host: '/run/postgresql', port: 5432, user: 's', database: 'x' }],
    [
      'postgres://s@/x?host=/run/postgresql&port=5433',
      { host: '/run/postgresql', port: 5433, user: 's', database: 'x' },
    ],
  ]
  for (const [text, url] of cases) expect(parseStorageUrl(text), text).toEqual({ ok: true, url })
})

it.each([
  ['a password', 'postgres://s:secret@db/x', /password does not belong/],
  ['an empty password', 'postgres://s:@db/x', /password does not belong/],
  ['another scheme', 'mysql://s@db/x', /postgres:\/\//],
  ['a file', '/var/lib/sallyport', /postgres:\/\//],
  ['no user', 'postgres://db/x', /name the user/],
  ['no database', 'postgres://s@db', /name the database/],
  ['more than a database', 'postgres://s@db/x/y', /name the database/],
  ['an option', 'postgres://s@db/x?sslmode=disable', /unknown sslmode/],
  ['a socket without its folder', 'postgres://s@/x', /Unix socket/],
  ['a folder beside a host', 'postgres://s@db/x?host=/run', /Unix socket/],
  ['port 0', 'postgres://s@db:0/x', /port/],
])('refused: %s', (_, text, message) => {
  const result = parseStorageUrl(text)
  expect(result.ok ? '' : result.message).toMatch(message)
})

it('only sockets and the loopback stay on the machine', () => {
  for (const host of ['/run/postgresql', 'localhost', '127.0.0.1', '127.8.8.8', '::1']) {
    expect(staysOnMachine({ host }), host).toBe(true)
  }
  for (const host of ['db', '10.0.0.1', 'localhost.example', '127.0.0.1.example', '::2']) {
    expect(staysOnMachine({ host }), host).toBe(false)
  }
})
