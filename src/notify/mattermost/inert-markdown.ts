import { visibleLine } from '../words/inert-text.ts'

// Texts of people for Mattermost's markdown: they are shown as they were typed, and are no mention, link, image or markup.

/** Unseen, and no part of what Mattermost takes for a name, an address or a tag. */
const GAP = '\u200b'

/** What a backslash makes plain. */
const ESCAPED = new Set('\\`*_{}[]()#+-.!~|')
const ENTITIES: Readonly<Record<string, string>> = { '<': '&lt;', '>': '&gt;', '&': '&amp;' }
/** Mentions, channels, tags, emoji, formulas; addresses begin with `scheme:`, `www.` or a name before `@`. */
const SIGNS = new Set('@~#:$.')

export interface Inert {
  readonly text: string
  /** True: there was more than fitted */
  readonly cut: boolean
}

/** One line, at most `limit` UTF-16 units once it is escaped; never half a character or half an escape. */
export function inertLine(text: string, limit: number): Inert {
  let made = ''
  /** Of what was made so far, the longest that leaves room for the sign that something was cut */
  let kept = ''
  for (const [char, next] of withNext(visibleLine(text))) {
    made += inertCharacter(char, next)
    if (made.length > limit) return { text: `${kept}…`, cut: true }
    if (made.length < limit) kept = made
  }
  return { text: made, cut: false }
}

/** For texts that are short by themselves: names, our own sentences with names in them. */
export const inert = (text: string): string => inertLine(text, 1000).text

/** Several lines; for our own sentences, which hold names. */
export const inertLines = (text: string): string =>
  text
    .split('\n')
    .slice(0, 60)
    .map((line) => inert(line))
    .join('\n')

function* withNext(text: string): Generator<[string, string]> {
  const chars = [...text]
  for (const [index, char] of chars.entries()) yield [char, chars[index + 1] ?? '']
}

function inertCharacter(char: string, next: string): string {
  const entity = ENTITIES[char]
  if (entity !== undefined) return entity
  const plain = ESCAPED.has(char) ? `\\${char}` : char
  // A colon before a blank begins nothing, and ends no emoji whose first one has its gap.
  return SIGNS.has(char) && !(char === ':' && next === ' ') ? plain + GAP : plain
}
