import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anyText } from '../../../test/support/any-text.ts'
import { adfOf, inertWiki, wikiOf, type Paper } from './paper.ts'

const HOSTILE = [
  '[~admin] and [click|https://evil.test] and !https://evil.test/pixel.png!',
  '{noformat}x{noformat} {html}<b>{html} {color:red}red{color} h1. big',
  'https://evil.test www.evil.test mailto:a@b.test OPS-1',
  '\\[~admin] * list\n# list\n|| table || \u202e reversed',
]
const paper = (text: string): Paper => [
  { kind: 'text', label: 'Reason', text },
  { kind: 'link', text: 'Open the request', url: 'https://us.test/r/1' },
]

test.each(HOSTILE)('trap 15: in wiki markup a person’s text has no markup, link, mention or picture: %s', (text) => {
  const [said = '', link] = wikiOf(paper(text)).split(/\n\n(?=\[)/)
  expect(link).toBe('[Open the request|https://us.test/r/1]')
  expect(said.replace('*Reason*&#58; ', '').replace('*Reason*: ', '')).toMatch(
    /^(?:[\p{L}\p{N}\p{Zs}\n,\ufffd]|&#\d+;)*$/u,
  )
})

test('trap 15: whatever is typed, its wiki markup is letters, digits, blanks and entities, and reads as it was', () => {
  fc.assert(
    fc.property(anyText({ maxLength: 60 }), (text) => {
      const written = inertWiki(text)
      expect(written.replace(/&#\d+;/g, '')).not.toMatch(/[!-+\--/:-@[-`{-~]/)
      expect(written.replace(/&#(\d+);/g, (_all, code: string) => String.fromCharCode(Number(code)))).toBe(text)
    }),
  )
})

test('trap 15: in ADF a person’s text is text: the one link is ours', () => {
  fc.assert(
    fc.property(fc.oneof(anyText({ maxLength: 60 }), fc.constantFrom(...HOSTILE)), (text) => {
      const written = JSON.stringify(adfOf(paper(text)))
      expect(written.match(/"link"/g)).toHaveLength(1)
      expect(JSON.parse(written)).toEqual(adfOf(paper(text)))
      // Jira refuses a node of text without any.
      expect(written).not.toContain('"text":""')
      expect([...written.matchAll(/"type":"(\w+)"/g)].map(([, type]) => type)).toSatisfy((types: string[]) =>
        types.every((type) => ['doc', 'paragraph', 'text', 'hardBreak', 'strong', 'link'].includes(type)),
      )
    }),
  )
})
