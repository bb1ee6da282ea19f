// Texts of people must not do anything in Slack: no mention, no link, no markup, no character that moves or hides others.
// They go into plain_text objects, where Slack parses nothing, and what is written here is left to do.

/** C0, C1, bidi and zero-width characters, private use, lone surrogates, Unicode line ends; not the joiner inside emoji. */
const UNSAFE =
  /(?<![\p{Extended_Pictographic}\p{Emoji_Modifier}\ufe0f])\u200d|(?!\u200d)[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu

const escapeOf = (char: string): string => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`

const visible = (text: string): string => text.replaceAll(UNSAFE, (char) => (char === '\n' ? char : escapeOf(char)))

/** Line ends stay, at most one empty line in a row; tabs become blanks; what is unsafe is shown by its number. */
export function inertLines(text: string): string {
  const plain = text.replaceAll(/\r\n?/g, '\n').replaceAll('\t', ' ')
  return visible(plain)
    .replaceAll(/\n{3,}/g, '\n\n')
    .trim()
}

export const inertLine = (text: string): string => visible(text.replaceAll(/\s+/g, ' ')).trim()

export interface Cut {
  readonly text: string
  readonly cut: boolean
}

/** At most `limit` UTF-16 units, however Slack counts; never half a character. What is left out is marked by `…`. */
export function cutTo(text: string, limit: number): Cut {
  if (text.length <= limit) return { text, cut: false }
  let kept = ''
  for (const char of text) {
    if (kept.length + char.length > limit - 1) break
    kept += char
  }
  return { text: `${kept}…`, cut: true }
}

/** Slack asks for these three and no others: https://docs.slack.dev, "Formatting message text". */
export const escapeMrkdwn = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/**
 * For the `text` beside the blocks, which notifications and screen readers show and which Slack does parse: nothing in it may become
 * a link or a mention, so what would begin one stands between invisible word joiners.
 */
export function fallbackText(text: string): string {
  const line = cutTo(inertLine(text), 1000).text
  return escapeMrkdwn(line.replaceAll(/[@#]|(?<=\S)[.:/](?=\S)/gu, '\u2060$&\u2060')) || '·'
}
