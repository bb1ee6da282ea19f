import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { displayWidth, fitTo } from './display-width.ts'
import { escapeInQuotes, harmless, harmlessLines } from './harmless.ts'

test.each([
  ['red \x1b[31mtext', 'red \\x1b[31mtext'],
  ['two\nlines\r', 'two\\nlines\\r'],
  ['8-bit \u009b31m', '8-bit \\x9b31m'],
  ['title \x1b]0;x\x07', 'title \\x1b]0;x\\x07'],
  ['turned \u202e round', 'turned \\u202e round'],
  ['isolated \u2066x\u2069', 'isolated \\u2066x\\u2069'],
  ['zero\u200bwidth', 'zero\\u200bwidth'],
  ['line\u2028end', 'line\\u2028end'],
  ['half \ud800 pair', 'half \\ud800 pair'],
  ['tag \u{e0041}', 'tag \\u{e0041}'],
  ['null\0', 'null\\x00'],
  ['schön 漢字 🙂', 'schön 漢字 🙂'],
])('%j is printed as %j', (given, printed) => {
  expect(harmless(given)).toBe(printed)
})

test('nothing that moves a cursor is left of any text', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      expect(harmless(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u)
      expect(harmless(harmless(text))).toBe(harmless(text))
    }),
  )
})

test('line ends of several lines stay, and nothing else does', () => {
  expect(harmlessLines('a\r\nb\x1b\nc')).toEqual(['a', 'b\\x1b', 'c'])
})

test('JSON for programs keeps every value and holds no unsafe character', () => {
  fc.assert(
    fc.property(anyText(), (text) => {
      const printed = escapeInQuotes(JSON.stringify({ text }, null, 2))
      expect(JSON.parse(printed)).toEqual({ text })
      expect(printed.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    }),
  )
})

test('a cut cell never takes more room than it was given', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.integer({ min: 1, max: 20 }), (text, width) => {
      expect(displayWidth(fitTo(harmless(text), width))).toBeLessThanOrEqual(width)
    }),
  )
})
