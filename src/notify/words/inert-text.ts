// Texts of people on their way to a vendor: what moves the cursor, turns the reading direction or hides is made visible here.
// What a vendor reads as markup, mention or link is its connector's business.

/** Line ends stay; of the rest: C0, DEL, C1, bidi controls, zero width, tags, private use, lone surrogates, Unicode line ends. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu

/** Several lines. What is replaced stays seen as U+FFFD, so that nobody takes two texts for the same. */
export function visibleText(text: string): string {
  return text.replace(/\r\n?/g, '\n').replace(UNSEEN, (char) => (char === '\n' ? char : char === '\t' ? ' ' : '\ufffd'))
}

/** One line of it, blanks in a row as one. */
export function visibleLine(text: string): string {
  return visibleText(text).replace(/\s+/g, ' ').trim()
}

/** At most `limit` UTF-16 units, never half a character; what was cut ends in `…`. */
export function cutText(text: string, limit: number): string {
  if (text.length <= limit) return text
  let end = Math.max(0, limit - 1)
  const unit = text.charCodeAt(end - 1)
  if (unit >= 0xd800 && unit <= 0xdbff) end--
  return `${text.slice(0, end)}…`.slice(0, limit)
}

const GAP = '\u200b'

/**
 * For vendors that make links of whatever looks like one and have no way to write it otherwise: an unseen gap behind `://`, the
 * `@` of an address and the dots of names, so that there is nothing to press.
 */
export function unlinked(text: string): string {
  return text
    .replace(/:(?=\/\/)/g, `:${GAP}`)
    .replace(/@(?=\S)/g, `@${GAP}`)
    .replace(/\.(?=[\p{L}\p{N}_-])/gu, `.${GAP}`)
    .replace(/\b(mailto|tel|sms|data|javascript):/gi, `$1:${GAP}`)
}
