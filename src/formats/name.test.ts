import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../test/support/any-text.ts'
import { Name } from '../contract/common.ts'
import { normaliseName } from './name.ts'

test('a name is lowercased once and stays as it is after that', () => {
  expect(normaliseName('Alice')).toEqual({ ok: true, name: 'alice' })
  expect(normaliseName('db-1.eu_x')).toEqual({ ok: true, name: 'db-1.eu_x' })
})

test.each([
  ['empty', ''],
  ['a trailing blank', 'alice '],
  ['a leading blank', ' alice'],
  ['full width', '\uff41lice'],
  ['Cyrillic', '\u0430lice'],
  ['the Kelvin sign', '\u212aate'],
  ['a dotted capital I', '\u0130da'],
  ['a zero width joiner', 'ali\u200dce'],
  ['a combining accent', 'alice\u0301'],
  ['a leading dot', '.alice'],
  ['a leading dash, which programs take for an option', '-alice'],
  ['too long', 'a'.repeat(64)],
  ['a plus', 'a+b'],
  ['a line break', 'alice\n'],
  ['a NUL', 'alice\0'],
  ['a slash', 'a/b'],
])('a name with %s is refused', (_what, text) => {
  expect(normaliseName(text).ok).toBe(false)
  expect(Name.safeParse(text).success).toBe(false)
})

test('the contract and the grammar agree on every text', () => {
  fc.assert(
    fc.property(fc.oneof(anyText({ maxLength: 70 }), fc.stringMatching(/^[A-Za-z0-9._ -]{0,70}$/)), (text) => {
      const ours = normaliseName(text)
      const theirs = Name.safeParse(text)
      expect(theirs.success).toBe(ours.ok)
      if (ours.ok) expect(theirs.data).toBe(ours.name)
    }),
  )
})
