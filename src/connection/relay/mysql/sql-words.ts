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

const TOKEN = /[\w$\u0080-\uffff]+|[(;]/y
const VERSION = /M?!\d*/y
/** White space in latin1, the second half of letters in UTF-8 */
const MAYBE_BLANK = '\u00a0'

/** `text`: a character for each byte. Null: where a statement ends cannot be told. */
export function readSql(text: string, reading: Reading): SqlText | null {
  const statements: string[][] = []
  let words: string[] = []
  let isVersioned = false
  const told = (): SqlText => ({ statements: statements.filter((one) => one.length > 0), isVersioned })
  /** Where the comment of a version that is being read ends for a server that skips it; -1: in none */
  let versionEnd = -1
  for (let at = 0; at < text.length;) {
    const inside = skip(text, at, reading)
    if (inside === 'unclear') return null
    // Nobody runs a statement that breaks off.
    if (inside === 'breaks_off') return versionEnd < 0 ? told() : null
    if (inside > at) at = inside
    else if (text.startsWith('/*', at)) {
      if (versionEnd >= 0) return null
      isVersioned = true
      versionEnd = text.indexOf('*/', at + 2)
      if (versionEnd < 0) return null
      at += 2 + (matchAt(VERSION, text, at + 2)?.length ?? 0)
    } else if (versionEnd >= 0 && text.startsWith('*/', at)) {
      // One that runs it and one that skips it must go on at the same place.
      if (at !== versionEnd) return null
      versionEnd = -1
      at += 2
    } else {
      const word = matchAt(TOKEN, text, at) ?? ''
      if (word.includes(MAYBE_BLANK) || (word === ';' && versionEnd >= 0)) return null
      if (word === ';') {
        statements.push(words)
        words = []
      } else if (word !== '') words.push(word.toUpperCase())
      at += word.length || 1
    }
    if (versionEnd >= 0 && at > versionEnd) return null
  }
  statements.push(words)
  return versionEnd < 0 ? told() : null
}

/** Behind the string, quoted name or comment that begins here; `at` where none does, or one whose inside some servers run. */
function skip(text: string, at: number, reading: Reading): number | 'breaks_off' | 'unclear' {
  const character = text[at] ?? ''
  switch (character) {
    case "'":
    case '"':
    case '`':
      return orBreaksOff(endOfQuoted(text, at, hidesByBackslash(character, reading)))
    case '#':
      return endOfLine(text, at)
    case '-': {
      const kind = text[at + 1] === '-' ? dashComment(text, at + 2) : 'none'
      if (kind === 'unclear') return kind
      return kind === 'comment' ? endOfLine(text, at) : at
    }
    case '/': {
      if (text[at + 1] !== '*' || matchAt(VERSION, text, at + 2) !== null) return at
      const end = text.indexOf('*/', at + 2)
      return orBreaksOff(end < 0 ? end : end + 2)
    }
    default:
      return at
  }
}

const orBreaksOff = (end: number): number | 'breaks_off' => (end < 0 ? 'breaks_off' : end)

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
