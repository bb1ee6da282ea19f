import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { captureGroups, matchesAny, matchesPattern, patternProblem } from './patterns.ts'

describe('patterns', () => {
  test.each([
    ['dba', 'dba', true],
    ['dba', 'dbas', false],
    ['dba', 'a-dba', false],
    ['prod-*', 'prod-', true],
    ['prod-*', 'prod-db', true],
    ['prod-*', 'preprod-db', false],
    ['*', 'anything', true],
    ['*-db-*', 'a-db-b', true],
    ['a.b', 'axb', false],
    ['a.b*', 'axbc', false],
    ['a*a', 'a', false],
    ['ab*ba', 'aba', false],
    ['*b*b*', 'ab', false],
    ['*', 'two\nlines', true],
    ['^dev-.*$', 'dev-a', true],
    ['^dev-.*$', 'xdev-a', false],
    ['^dev|ops$', 'devil', false],
    ['^dev|ops$', 'dev', true],
    ['^dev|ops$', 'xops', false],
    ['^dev$', 'dev\n', false],
    ['^dev$', 'DEV', false],
  ])('%s and the name %j: %s', (pattern, name, expected) => {
    expect(matchesPattern(pattern, name)).toBe(expected)
  })

  test('unanchored, broken or impossible patterns are refused when they are written', () => {
    for (const pattern of [
      '',
      '^dev',
      'dev$',
      '^dev\\$',
      'dev|ops',
      '^(dev$',
      '^(?=a)b$',
      '^(a)\\1$',
      'Dev',
      'a b',
      'ａlice',
    ]) {
      expect(patternProblem(pattern), pattern).toEqual(expect.any(String))
    }
    for (const pattern of ['dev', 'dev-*', '*', '^dev|ops$', '^a{1,3}$', '^a\\\\$'])
      expect(patternProblem(pattern)).toBeNull()
  })

  test('a pattern built to make a backtracking engine explode answers at once', () => {
    expect(matchesPattern('^(a+)+$', `${'a'.repeat(5000)}!`)).toBe(false)
  })

  test('capture groups come from a match of the whole text', () => {
    expect(captureGroups('^team-(.*)-(x)?$', 'team-db-')).toEqual(['team-db-', 'db', ''])
    expect(captureGroups('^team-(.*)$', 'my-team-db')).toBeNull()
    expect(captureGroups('plain', 'plain')).toEqual(['plain'])
  })

  test('globs agree with an own reference for any names', () => {
    const word = fc.stringMatching(/^[ab.-]{0,4}$/)
    fc.assert(
      fc.property(
        fc.array(word, { minLength: 1, maxLength: 4 }),
        fc.stringMatching(/^[ab.-]{0,10}$/),
        (parts, name) => {
          expect(matchesPattern(parts.join('*'), name)).toBe(globReference(parts, name))
        },
      ),
    )
  })

  test('nothing matches an empty list', () => {
    expect(matchesAny([], 'dba')).toBe(false)
  })
})

function globReference(parts: readonly string[], name: string): boolean {
  const [first = '', ...rest] = parts
  if (rest.length === 0) return name === first
  if (!name.startsWith(first)) return false
  const left = name.slice(first.length)
  return Array.from({ length: left.length + 1 }, (_, skip) => left.slice(skip)).some((tail) =>
    globReference(rest, tail),
  )
}
