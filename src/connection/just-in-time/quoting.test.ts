import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Refused } from '../../foundation/errors.ts'
import * as mariadb from './quote-mariadb.ts'
import * as postgres from './quote-postgres.ts'
import { writingGrant } from './read-only-grants.ts'

const HOSTILE = [
  `a"b`,
  `"; drop role postgres; --`,
  `a'b`,
  `a''b`,
  `a\\'; drop table x; --`,
  'a`b',
  '``',
  'a`@`%` identified by `x',
  '\\',
  '\\"',
  'tab\there',
  'line\nend',
  '-- comment',
  '/* comment */',
  '$$',
  '$1',
  '%',
  'ä',
  '\u2028',
  `'||pg_sleep(5)||'`,
]

/** What PostgreSQL reads of a quoted name, after its rules: two quotes are one. */
function readName(quoted: string, quote: string): string | null {
  if (quoted.length < 2 || !quoted.startsWith(quote) || !quoted.endsWith(quote)) return null
  const inside = quoted.slice(1, -1)
  return inside.replaceAll(quote + quote, '').includes(quote) ? null : inside.replaceAll(quote + quote, quote)
}

/** What PostgreSQL reads of a quoted text with standard_conforming_strings on. */
function readText(quoted: string): string | null {
  const isEscaped = quoted.startsWith(' E')
  const inside = readName(isEscaped ? quoted.slice(2) : quoted, "'")
  if (inside === null) return null
  return isEscaped ? inside.replaceAll('\\\\', '\\') : inside.includes('\\') ? null : inside
}

test.each(HOSTILE)('%j is one name and one text to either server, and nothing behind it', (text) => {
  expect(readName(postgres.quotedName(text), '"')).toBe(text)
  expect(readText(postgres.quotedText(text))).toBe(text)
  expect(readName(mariadb.quotedName(text), '`')).toBe(text)
  expect(mariadb.quotedText(text)).toMatch(/^_utf8mb4 x'(?:[0-9a-f]{2})+'$/)
})

test.each([
  ['nothing', ''],
  ['a NUL', 'a\0b'],
  ['more than a server keeps', 'x'.repeat(65)],
  ['half a character', 'a\ud800b'],
])('%s is no name', (_what, text) => {
  expect(() => postgres.quotedName(text)).toThrow(Refused)
  expect(() => mariadb.quotedName(text)).toThrow(Refused)
})

test('a name that PostgreSQL would cut off, or MariaDB trim or not keep, is none', () => {
  expect(() => postgres.quotedName('ä'.repeat(32))).toThrow(Refused)
  expect(() => mariadb.quotedName('root ')).toThrow(Refused)
  expect(() => mariadb.quotedName('a😀')).toThrow(Refused)
  expect(() => mariadb.quotedAccount('a', '')).toThrow(Refused)
})

test('whatever is quoted is read back as it was, or refused', () => {
  const anything = fc.string({
    unit: fc.constantFrom('"', "'", '`', '\\', ';', '-', ' ', 'a', 'é', '\n'),
    maxLength: 30,
  })
  const orRefused = (work: () => unknown): unknown => {
    try {
      return work()
    } catch (error) {
      expect(error).toBeInstanceOf(Refused)
      return 'refused'
    }
  }
  fc.assert(
    fc.property(anything, (text) => {
      expect([text, 'refused']).toContain(orRefused(() => readName(postgres.quotedName(text), '"')))
      expect(readText(postgres.quotedText(text))).toBe(text)
      expect([text, 'refused']).toContain(orRefused(() => readName(mariadb.quotedName(text), '`')))
    }),
    { numRuns: 300 },
  )
})

const READING = [
  "GRANT USAGE ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*857E' REQUIRE SSL",
  'GRANT SELECT ON `shop`.* TO `reader`',
  'GRANT SELECT (`a`, `b`), SHOW VIEW ON `shop`.`orders` TO `reader`',
  'GRANT `reader` TO `alice_x`',
  'GRANT `alice_x` TO `alice_x`@`127.0.0.1`',
  'SET DEFAULT ROLE `alice_x` FOR `alice_x`@`127.0.0.1`',
]

test('roles that permit reading alone are told from those that permit more', () => {
  expect(writingGrant(READING)).toBeNull()
})

test.each([
  'GRANT ALL PRIVILEGES ON `shop`.* TO `a`',
  'GRANT SELECT, INSERT ON `shop`.* TO `a`',
  'GRANT SELECT (`a`), INSERT (`b`) ON `shop`.`t` TO `a`',
  'GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `a`',
  'GRANT SELECT ON `shop`.* TO `a` WITH GRANT OPTION',
  'GRANT `writer` TO `a` WITH ADMIN OPTION',
  'GRANT FILE ON *.* TO `a`',
  'GRANT SELECT ON `x`.* TO `a`, INSERT',
  'GRANT PROXY ON `root`@`%` TO `a`@`%`',
  'something else',
])('%s permits more than reading, or is not understood', (line) => {
  expect(writingGrant([...READING, line])).toBe(line)
})
