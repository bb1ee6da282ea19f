// What stands in a text of SQL outside of strings, quoted names and comments, as the scanners of MySQL and MariaDB read it.

/** How the server may take quotes: it depends on its sql_mode, which is not seen from here. */
export interface Reading {
  /** In '...' a backslash hides what follows (without NO_BACKSLASH_ESCAPES) */
  readonly escapesInSingle: boolean
  /** In "..." too (without ANSI_QUOTES, where that is a name) */
  readonly escapesInDouble: boolean
}

export const READINGS: readonly Reading[] = [
  { escapesInSingle: true, escapesInDouble: true },
  { escapesInSingle: true, escapesInDouble: false },
  { escapesInSingle: false, escapesInDouble: false },
]

export interface SqlText {
  /** Words in upper case and opening brackets, one list for each statement; one that has no end is not among them */
  readonly statements: readonly (readonly string[])[]
  /** Parts of it run on some versions alone (comments that begin with `!` and a number): each word may be the first */
  readonly isVersioned: boolean
}

const WORD = /[\w$\u0080-\uffff]+/y
const VERSION = /M?!\d*/y
/** White space in latin1, the second half of letters in UTF-8 */
const MAYBE_BLANK = '\u00a0'

/** `text`: a character for each byte. Null: where a statement ends cannot be told. */
// oxlint-disable-next-line complexity -- one case for each way in which a word can begin: apart they would be harder to compare
export function readSql(text: string, reading: Reading): SqlText | null {
  const statements: string[][] = []
  let words: string[] = []
  let isVersioned = false
  /** Where the comment of a version that is being read ends for a server that skips it; -1: in none */
  let versionEnd = -1
  for (let at = 0; at < text.length;) {
    const character = text[at] ?? ''
    switch (character) {
      case "'":
      case '"':
      case '`': {
        const end = endOfQuoted(text, at, hidesByBackslash(character, reading))
        // Nobody runs a statement that breaks off.
        if (end < 0) return { statements, isVersioned }
        at = end
        continue
      }
      case '#':
        at = endOfLine(text, at)
        continue
      case '-':
        if (text[at + 1] === '-') {
          const kind = dashComment(text, at + 2)
          if (kind === 'unclear') return null
          if (kind === 'comment') {
            at = endOfLine(text, at)
            continue
          }
        }
        break
      case '/':
        if (text[at + 1] === '*') {
          const version = matchAt(VERSION, text, at + 2)
          if (version === null) {
            const end = text.indexOf('*/', at + 2)
            if (end < 0) return { statements, isVersioned }
            at = end + 2
            continue
          }
          if (versionEnd >= 0) return null
          isVersioned = true
          versionEnd = text.indexOf('*/', at + 2)
          if (versionEnd < 0) return null
          at += 2 + version.length
          continue
        }
        break
      case '*':
        if (versionEnd >= 0 && text[at + 1] === '/') {
          // One that runs it and one that skips it must go on at the same place.
          if (at !== versionEnd) return null
          versionEnd = -1
          at += 2
          continue
        }
        break
      case ';':
        if (versionEnd >= 0) return null
        statements.push(words)
        words = []
        break
      case '(':
        words.push('(')
    }
    if (versionEnd >= 0 && at > versionEnd) return null
    const word = matchAt(WORD, text, at)
    if (word === null) at++
    else if (word.includes(MAYBE_BLANK)) return null
    else {
      words.push(word.toUpperCase())
      at += word.length
    }
  }
  if (versionEnd >= 0) return null
  return { statements: [...statements, words].filter((one) => one.length > 0), isVersioned }
}

const hidesByBackslash = (quote: string, { escapesInSingle, escapesInDouble }: Reading): boolean =>
  (quote === "'" && escapesInSingle) || (quote === '"' && escapesInDouble)

function matchAt(pattern: RegExp, text: string, at: number): string | null {
  pattern.lastIndex = at
  return pattern.exec(text)?.[0] ?? null
}

/** Behind the closing quote; a doubled one stands for itself. -1: there is none. */
function endOfQuoted(text: string, from: number, hasEscapes: boolean): number {
  const quote = text[from]
  for (let at = from + 1; at < text.length; at++) {
    if (hasEscapes && text[at] === '\\') at++
    else if (text[at] === quote) {
      if (text[at + 1] !== quote) return at + 1
      at++
    }
  }
  return -1
}

/** Two dashes begin a comment before white space, a control character and the end. What counts as such above ASCII depends on the character set. */
function dashComment(text: string, behind: number): 'comment' | 'none' | 'unclear' {
  const next = text.charCodeAt(behind)
  if (Number.isNaN(next) || next <= 0x20 || next === 0x7f) return 'comment'
  return next < 0x80 ? 'none' : 'unclear'
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end < 0 ? text.length : end + 1
}
