// Text that other people wrote (reasons, device names, messages) must not move the cursor, colour the screen, forge a
// line or turn the reading direction. \p{Cc}: C0, DEL, C1. \p{Cf}: bidi controls, zero width, tags. Also lone surrogates,
// private use and the two Unicode line ends.
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu
const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

/** One line, every unsafe character written as an escape: `\n`, `\x1b`, `\u202e`. Never drops anything. */
export function harmless(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT[char] ?? escapeOf(char))
}

/** Several lines: line ends stay line ends, everything else as `harmless`. */
export function harmlessLines(text: string): string[] {
  return text.split(/\r\n|\n|\r/).map(harmless)
}

function escapeOf(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code <= 0xff) return `\\x${code.toString(16).padStart(2, '0')}`
  if (code <= 0xffff) return unicodeEscape(code)
  return `\\u{${code.toString(16)}}`
}

function unicodeEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}

/** Inside a JSON or double-quoted YAML string: the same value, written without the unsafe characters. */
export function escapeInQuotes(serialised: string): string {
  return serialised.replace(UNSAFE, (char) => {
    // The line ends and indentation of the document itself; those within strings are escaped already.
    if (char === '\n') return char
    return Array.from({ length: char.length }, (_, index) => unicodeEscape(char.charCodeAt(index))).join('')
  })
}

export function isHarmless(text: string): boolean {
  return text.search(UNSAFE) === -1
}
