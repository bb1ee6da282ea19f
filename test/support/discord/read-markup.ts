// What Discord's clients make of a text: first escapes (a backslash before a sign is that sign), then mentions, links and markup.

const ESCAPE = /\\[^0-9A-Za-z\s]/g
const MARKUP: readonly RegExp[] = [
  /<[@#][!&]?\d+>/,
  /<a?:\w+:\d+>/,
  /<t:-?\d+(?::\w)?>/,
  /<\/[^>]+>/,
  /<id:\w+>/,
  /@(?:everyone|here)/,
  /(?:https?|steam|discord):\/\/\S/i,
  /\[[^\]]*\]\(/,
  /<[^\s>]+[@:][^\s>]+>/,
  /[*_~|`]/,
  /(?:^|\n)\s*(?:>|#{1,3} |-# |[-*+] |\d+\. )/,
]

/** Each thing of it that is more than text. */
export function markupIn(text: string): string[] {
  const plain = text.replace(ESCAPE, '\u0001')
  return MARKUP.flatMap((rule) => rule.exec(plain)?.[0] ?? [])
}

export const shownText = (text: string): string => text.replace(ESCAPE, (pair) => pair.slice(1))
