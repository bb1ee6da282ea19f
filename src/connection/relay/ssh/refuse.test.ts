import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../../test/support/any-text.ts'
import { FakeLeg } from '../../../../test/support/fake-ssh-leg.ts'
import { plainLines, refuse } from './refuse.ts'
import { readBanner } from './wire/auth-messages.ts'

test('a refusal is one banner and then a disconnect with its first line', () => {
  const leg = new FakeLeg()
  refuse(leg, ['no access to db-box as root', 'ask: sally request create --roles=dba'])
  expect(leg.sent.map((message) => message[0])).toEqual([53])
  expect(readBanner(leg.sent[0]!)).toBe('no access to db-box as root\r\nask: sally request create --roles=dba\r\n')
  expect(leg.disconnected).toEqual({ reason: 14, text: 'no access to db-box as root' })
})

test('a refusal has ten lines at most, however the text is broken up', () => {
  expect(plainLines(Array.from({ length: 12 }, (_, i) => `line ${i}`))).toHaveLength(10)
  expect(plainLines(['a\nb\r\nc\rd'])).toEqual(['a', 'b', 'c', 'd'])
  expect(plainLines(['x\n'.repeat(100)])).toHaveLength(10)
})

test('no text can do anything to the terminal that shows it', () => {
  expect(plainLines(['\u001b[2J\u001b]0;owned\u0007hello\u202eevil\u2028\u0000'])).toEqual(['[2J]0;ownedhelloevil'])
  fc.assert(
    fc.property(fc.array(anyText()), (lines) => {
      for (const line of plainLines(lines)) expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
    }),
  )
})
