import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HOSTILE_TEXTS } from '../../../test/support/a-request-view.ts'
import { anyText } from '../../../test/support/any-text.ts'
import { markdownEffects } from '../../../test/support/mattermost/markdown-effects.ts'
import { inertLine } from './inert-markdown.ts'

const HOSTILE = [
  '@all @channel @here @bob please',
  '[Open request](https://evil.example) ![x](https://evil.example/pixel.png)',
  '<https://evil.example> <bob@evil.example> www.evil.example ftp://evil.example mailto:bob@evil.example',
  '~town-square #tag :tada: $x^2$ ```js``` **bold** _it_ ~~no~~',
  '# head',
  '> quote',
  '- list',
  '1. list',
  '| a | b |\n|---|---|',
  '\\[not escaped](https://evil.example)',
  '&lt;b&gt; &#64;all &#x40;here',
]

test('trap 15: what people typed is shown, and mentions, links, images and markup in it are not there', () => {
  for (const text of [...HOSTILE, ...HOSTILE_TEXTS])
    expect(markdownEffects(inertLine(text, 5000).text), text).toEqual([])
})

test('the finder of effects finds them in these texts as they were typed', () => {
  for (const text of HOSTILE.slice(0, 9)) expect(markdownEffects(text), text).not.toEqual([])
})

test('trap 15: no text whatever does anything', () => {
  const signs = fc.string({ unit: fc.constantFrom(...'@~#:$.<>[]()!`*_\\/ab1 \n-|+=&w'), maxLength: 40 })
  const any = fc.oneof(anyText({ maxLength: 60 }), signs)
  fc.assert(
    fc.property(any, (text) => {
      expect(markdownEffects(inertLine(text, 1000).text)).toEqual([])
    }),
    { numRuns: 1500 },
  )
})

test('a text is cut to the limit after escaping, between characters, and says so', () => {
  expect(inertLine('abc', 3)).toEqual({ text: 'abc', cut: false })
  expect(inertLine('abcd', 3)).toEqual({ text: 'ab…', cut: true })
  expect(inertLine('a**', 5)).toEqual({ text: 'a\\*\\*', cut: false })
  expect(inertLine('a***', 5)).toEqual({ text: 'a\\*…', cut: true })
  expect(inertLine('😀😀', 3)).toEqual({ text: '😀…', cut: true })
  fc.assert(
    fc.property(anyText({ maxLength: 50 }), fc.integer({ min: 3, max: 60 }), (text, limit) => {
      const made = inertLine(text, limit).text
      expect(made.length).toBeLessThanOrEqual(limit)
      expect(made.isWellFormed()).toBe(true)
    }),
    { numRuns: 500 },
  )
})
