import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { readCommand, type ChatCommand } from './command-grammar.ts'
import type { RequestWords } from './request-grammar.ts'

const HOUR = 3_600_000
const ID = 'req_019aa3c4-0000-7000-8000-000000000001'
const request = (roles: string[], durationMs: number | null, reason: string, more: Partial<RequestWords> = {}) =>
  ({ kind: 'request', roles, durationMs, reason, resources: [], account: null, start: null, ...more }) as const

describe('what is typed behind /access', () => {
  test.each<[string, ChatCommand]>([
    ['', { kind: 'form' }],
    ['   ', { kind: 'form' }],
    ['help', { kind: 'help' }],
    ['MINE', { kind: 'mine' }],
    ['link', { kind: 'link', user: null }],
    ['link Ada', { kind: 'link', user: 'ada' }],
    ['unlink', { kind: 'unlink' }],
    ['request dba', request(['dba'], null, '')],
    ['request dba: ticket 7', request(['dba'], null, 'ticket 7')],
    ['request dba for 1h: ticket 7', request(['dba'], HOUR, 'ticket 7')],
    ['request dba,ops  for 1h 30m: a: b', request(['dba', 'ops'], 1.5 * HOUR, 'a: b')],
    ['ask dba ops For 2H', request(['dba', 'ops'], 2 * HOUR, '')],
    ['request dba for 1h:\n  two\n  lines ', request(['dba'], HOUR, 'two\n  lines')],
    ['request on node/db-1', request([], null, '', { resources: ['node/db-1'] })],
    ['request node/db-1, dba for 1h: x', request(['dba'], HOUR, 'x', { resources: ['node/db-1'] })],
    [
      'request dba ON db-1,db-2 as root For 1h: x',
      request(['dba'], HOUR, 'x', { resources: ['db-1', 'db-2'], account: 'root' }),
    ],
    ['request dba from 18:00 for 1h: at 9:30 it ends', request(['dba'], HOUR, 'at 9:30 it ends', { start: '18:00' })],
    ['request dba at 18:00: 30 tickets', request(['dba'], null, '30 tickets', { start: '18:00' })],
    ['request dba from 18:00+01:00: x', request(['dba'], null, 'x', { start: '18:00+01:00' })],
    ['request dba from 2026-11-23T18:00Z:x', request(['dba'], null, 'x', { start: '2026-11-23T18:00Z' })],
    ['request dba from 2026-11-23 18:00 UTC: x', request(['dba'], null, 'x', { start: '2026-11-23 18:00 UTC' })],
    ['request dba for 1h from +2h: x', request(['dba'], HOUR, 'x', { start: '+2h' })],
    ['request role7:15 tickets', request(['role7'], null, '15 tickets')],
    ['roles', { kind: 'roles' }],
    ['resources prod DB', { kind: 'resources', words: ['prod', 'DB'] }],
    ['extend 30m', { kind: 'extend', id: null, durationMs: HOUR / 2, reason: '' }],
    ['extend by 30m: not done', { kind: 'extend', id: null, durationMs: HOUR / 2, reason: 'not done' }],
    [`extend ${ID} for 1h`, { kind: 'extend', id: ID, durationMs: HOUR, reason: '' }],
    ['return', { kind: 'return', id: null }],
    ['return DBA', { kind: 'return', id: 'dba' }],
    ['cancel node/db-1', { kind: 'cancel', id: 'node/db-1' }],
    ['extend dba 30m: x', { kind: 'extend', id: 'dba', durationMs: HOUR / 2, reason: 'x' }],
    ['extend dba by 1h 30m', { kind: 'extend', id: 'dba', durationMs: 1.5 * HOUR, reason: '' }],
    ['extend 1h 30m', { kind: 'extend', id: null, durationMs: 1.5 * HOUR, reason: '' }],
    [`cancel ${ID}`, { kind: 'cancel', id: ID }],
  ])('%j', (text, command) => {
    expect(readCommand(text)).toEqual({ ok: true, command })
  })
  test.each([
    ...['approve', `approve ${ID}`, 'deny', 'request', 'request for 1h', 'request dba for', 'request dba for ever'],
    ...[
      'extend',
      'extend dba',
      'return a b',
      'return @x',
      'cancel: why',
      'help me',
      'link me now',
      'link ádá',
      ': reason',
      'request dba for -1h',
    ],
    ...['request dba on', 'request dba as', 'request dba from', 'request dba on a on b', 'request dba as root app'],
    ...['request as root', 'roles now', 'resources: x', 'request for 1h for 2h', 'request , for 1h'],
    ...['__proto__', 'constructor', 'toString', 'x'.repeat(9000)],
  ])('%j is none, and says so', (text) => {
    expect(readCommand(text)).toEqual({ ok: false, message: expect.stringMatching(/./) as string })
  })
  test('nothing that is typed throws, is a decision, or asks for what was not named', () => {
    const words = fc.array(
      fc.constantFrom(
        'request',
        'dba',
        'on',
        'node/a',
        'as',
        'from',
        '18:00',
        'for',
        '1h',
        ':',
        ',',
        'extend',
        'approve',
        ID,
        '\u202e',
        '*',
        ' ',
      ),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          anyText(),
          words.map((parts) => parts.join(' ')),
        ),
        (text) => {
          const read = readCommand(text)
          if (!read.ok || read.command.kind !== 'request') return true
          const { roles, resources, durationMs, reason } = read.command
          const named = [...roles, ...resources]
          return (
            named.length > 0 &&
            named.every((name) => text.includes(name) && !/[\s,:]/u.test(name)) &&
            text.includes(reason) &&
            (durationMs === null || durationMs > 0)
          )
        },
      ),
      { numRuns: 1000 },
    )
  })
})
