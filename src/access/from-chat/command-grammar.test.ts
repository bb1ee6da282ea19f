import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readCommand, type ChatCommand } from './command-grammar.ts'

const HOUR = 3_600_000
const ID = 'req_019aa3c4-0000-7000-8000-000000000001'
const request = (roles: string[], durationMs: number | null, reason: string) =>
  ({ kind: 'request', roles, durationMs, reason }) as const

describe('what is typed behind /access', () => {
  test.each<[string, ChatCommand]>([
    ['', { kind: 'form' }],
    ['   ', { kind: 'form' }],
    ['help', { kind: 'help' }],
    ['MINE', { kind: 'mine' }],
    ['link', { kind: 'link' }],
    ['unlink', { kind: 'unlink' }],
    ['request dba', request(['dba'], null, '')],
    ['request dba: ticket 7', request(['dba'], null, 'ticket 7')],
    ['request dba for 1h: ticket 7', request(['dba'], HOUR, 'ticket 7')],
    ['request dba,ops  for 1h 30m: a: b', request(['dba', 'ops'], 1.5 * HOUR, 'a: b')],
    ['ask dba ops For 2H', request(['dba', 'ops'], 2 * HOUR, '')],
    ['request dba for 1h:\n  two\n  lines ', request(['dba'], HOUR, 'two\n  lines')],
    ['extend 30m', { kind: 'extend', id: null, durationMs: HOUR / 2, reason: '' }],
    ['extend by 30m: not done', { kind: 'extend', id: null, durationMs: HOUR / 2, reason: 'not done' }],
    [`extend ${ID} for 1h`, { kind: 'extend', id: ID, durationMs: HOUR, reason: '' }],
    ['return', { kind: 'return', id: null }],
    [`cancel ${ID}`, { kind: 'cancel', id: ID }],
  ])('%j', (text, command) => {
    expect(readCommand(text)).toEqual({ ok: true, command })
  })
  test.each([
    ...['approve', `approve ${ID}`, 'deny', 'request', 'request for 1h', 'request dba for', 'request dba for ever'],
    ...['extend', 'extend dba', 'return dba', 'cancel: why', 'help me', 'link now', ': reason', 'request dba for -1h'],
    ...['__proto__', 'constructor', 'toString', 'x'.repeat(9000)],
  ])('%j is none, and says so', (text) => {
    expect(readCommand(text)).toEqual({ ok: false, message: expect.stringMatching(/./) as string })
  })
  test('nothing that is typed throws, is a decision, or asks for what was not named', () => {
    const words = fc.array(
      fc.constantFrom('request', 'dba', 'for', '1h', ':', ',', 'extend', 'approve', ID, '\u202e', '*', ' '),
      { maxLength: 12 },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          words.map((parts) => parts.join(' ')),
        ),
        (text) => {
          const read = readCommand(text)
          if (!read.ok || read.command.kind !== 'request') return true
          const { roles, durationMs, reason } = read.command
          return (
            roles.length > 0 &&
            roles.every((role) => text.includes(role) && !/[\s,:]/u.test(role)) &&
            text.includes(reason) &&
            (durationMs === null || durationMs > 0)
          )
        },
      ),
      { numRuns: 1000 },
    )
  })
})
