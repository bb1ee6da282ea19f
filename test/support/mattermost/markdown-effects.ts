// What Mattermost would make of a text besides showing it. Coarser than its parser: it finds too much rather than too little.

const EFFECTS: Readonly<Record<string, RegExp>> = {
  mention: /@[\w.-]/,
  channel: /~[a-z0-9]/i,
  tag: /#\p{L}/u,
  emoji: /:[\w+-]+:/,
  address: /[a-z][a-z0-9+.-]*:\/\/|www\.[^\s\u200b]|(?:mailto|tel|javascript|data):[^\s\u200b]/i,
  mail: /[^\s\u200b]@[^\s\u200b]+\.[a-z]/i,
  html: /<[^\s]/,
  formula: /\$[^\u200b]/,
}

/** With a backslash before it, a sign is itself. */
const MARKUP: Readonly<Record<string, RegExp>> = {
  link: /\[[^\]]*\]\(|\]\[|\]:/,
  image: /!\[/,
  code: /`/,
  emphasis: /[*_]/,
  struck: /~~/,
  heading: /^\s*#/m,
  quote: /^\s*>/m,
  list: /^\s*(?:[-+*]|\d+[.)])\s/m,
  table: /\|/,
  line: /^\s*(?:---|===)/m,
}

/** Names of what it does; empty: it is only shown. */
export function markdownEffects(text: string): string[] {
  const found = Object.entries(EFFECTS).filter(([, pattern]) => pattern.test(text))
  const bare = text.replace(/\\[\\`*_{}[\]()#+\-.!~|>]/g, 'x')
  const markup = Object.entries(MARKUP).filter(([, pattern]) => pattern.test(bare))
  return [...found, ...markup].map(([name]) => name)
}
