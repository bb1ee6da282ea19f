import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { cutText, unlinked, visibleLine, visibleText } from './inert-text.ts'

test('what turns, hides or moves text is seen as a replacement character', () => {
  expect(visibleText('a\u202eb\u200bc\u0000d\u{e0041}e\ud800f\u2028g')).toBe(
    'a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg',
  )
})

test('line ends stay, tabs become blanks, a line is one line', () => {
  expect(visibleText('a\r\nb\rc\td')).toBe('a\nb\nc d')
  expect(visibleLine('  a\r\n\n b ')).toBe('a b')
})

test('a cut never splits a character and never exceeds the limit', () => {
  fc.assert(
    fc.property(anyText({ maxLength: 40 }), fc.integer({ min: 1, max: 30 }), (text, limit) => {
      const cut = cutText(text, limit)
      expect(cut.length).toBeLessThanOrEqual(limit)
      expect(cut.isWellFormed()).toBe(true)
      if (text.length <= limit) expect(cut).toBe(text)
    }),
  )
  expect(cutText('\u{1f600}\u{1f600}', 3)).toBe('\u{1f600}…')
})

test('nothing of a text looks like an address to press, and each character is still there', () => {
  for (const text of [
    'https://evil.example/x',
    'www.evil.example',
    'ada@evil.example',
    'data:text/html,x',
    'ftp://x',
  ]) {
    expect(unlinked(text)).not.toMatch(/:\/\/|\w\.\w|@\w|data:\w/)
    expect(unlinked(text).replaceAll('\u200b', '')).toBe(text)
  }
})
