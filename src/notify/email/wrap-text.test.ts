import fc from 'fast-check'
import { expect, test } from 'vitest'
import { wrapText } from './wrap-text.ts'

test('lines break at blanks, later ones are indented, and a long word stays whole', () => {
  expect(wrapText('one two three', 7)).toBe('one two\nthree')
  expect(wrapText('one two three', 9, '  ')).toBe('one two\n  three')
  expect(wrapText('a averyverylongword b', 5)).toBe('a\naveryverylongword\nb')
  expect(wrapText('a\nb', 5, '> ')).toBe('a\n> b')
})

test('no word is lost, and no line is too long unless a word is', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'grapheme-ascii', maxLength: 12 })), (words) => {
      const text = words.join(' ').replaceAll('\n', ' ')
      const wrapped = wrapText(text, 20)
      expect(wrapped.split(/[ \n]/).filter(Boolean)).toEqual(text.split(' ').filter(Boolean))
      for (const line of wrapped.split('\n')) expect(line.length <= 20 || !line.includes(' ')).toBe(true)
    }),
  )
})
