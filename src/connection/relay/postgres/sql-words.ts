// What stands in a text of SQL outside of strings and comments, read as the server's own scanner does with
// standard_conforming_strings on.

const WORD = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y
const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y
/** A number takes letters along: `1e5`, `0x1f` */
const NUMBER = /[0-9][\w.]*/y

/** Words in upper case, one list for each statement. A quoted name is no word; `U&` in front of one is. */
export function sqlWords(text: string): readonly (readonly string[])[] {
  const statements: string[][] = []
  let words: string[] = []
  for (let at = 0; at < text.length;) {
    const skipped = skip(text, at)
    if (skipped > at) {
      at = skipped
      continue
    }
    const word = matchAt(WORD, text, at)
    if (word !== null) {
      const next = text[at + word.length]
      if (/^e$/i.test(word) && next === "'") at = endOfEscaped(text, at + 2)
      else if (/^u$/i.test(word) && next === '&') {
        words.push('U&')
        at += 2
      } else {
        words.push(word.toUpperCase())
        at += word.length
      }
      continue
    }
    if (text[at] === ';') {
      statements.push(words)
      words = []
    }
    at++
  }
  return [...statements, words].filter((statement) => statement.length > 0)
}

/** The end of the string, comment, quoted name or number that begins here; `at` where none does. */
function skip(text: string, at: number): number {
  switch (text[at]) {
    case "'":
      return endOfQuoted(text, at + 1, "'")
    case '"':
      return endOfQuoted(text, at + 1, '"')
    case '-':
      return text[at + 1] === '-' ? endOfLine(text, at + 2) : at
    case '/':
      return text[at + 1] === '*' ? endOfComment(text, at + 2) : at
    case '$': {
      const tag = matchAt(DOLLAR_TAG, text, at)
      if (tag === null) return at
      const end = text.indexOf(tag, at + tag.length)
      return end < 0 ? text.length : end + tag.length
    }
    default:
      return at + (matchAt(NUMBER, text, at)?.length ?? 0)
  }
}

function matchAt(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? null
}

/** A doubled quote stands for one. */
function endOfQuoted(text: string, from: number, quote: string): number {
  for (let at = from; ; at += 2) {
    at = text.indexOf(quote, at)
    if (at < 0) return text.length
    if (text[at + 1] !== quote) return at + 1
  }
}

/** E'...': a backslash hides what follows. */
function endOfEscaped(text: string, from: number): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === "'") {
      if (text[at + 1] !== "'") return at + 1
      at++
    }
  }
  return text.length
}

function endOfLine(text: string, from: number): number {
  const end = text.slice(from).search(/[\r\n]/)
  return end < 0 ? text.length : from + end + 1
}

/** Comments nest. */
function endOfComment(text: string, from: number): number {
  let depth = 1
  for (let at = from; at < text.length; at++) {
    if (text[at] === '*' && text[at + 1] === '/') {
      depth--
      at++
      if (depth === 0) return at + 1
    } else if (text[at] === '/' && text[at + 1] === '*') {
      depth++
      at++
    }
  }
  return text.length
}
