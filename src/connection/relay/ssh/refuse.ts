import type { SshLeg } from './ssh-leg.ts'
import { banner } from './wire/auth-messages.ts'
import { DISCONNECT_REASON } from './wire/messages.ts'

const MOST_LINES = 10
const LONGEST_LINE = 400

/** What a terminal may be shown: no control characters, no line breaks, nothing that turns the writing direction. */
export function plainLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '').slice(0, LONGEST_LINE)
}

/** At most ten plain lines. */
export function plainLines(lines: readonly string[]): readonly string[] {
  const plain = lines.flatMap((line) => line.split(/\r\n|\r|\n/)).map(plainLine)
  return plain.slice(0, MOST_LINES)
}

/**
 * Tells somebody who has proven who they are why there is no access: one banner (RFC 4252 section 5.4), then DISCONNECT.
 * Before the proof nobody is told anything but USERAUTH_FAILURE.
 */
export function refuse(leg: SshLeg, lines: readonly string[]): void {
  const shown = plainLines(lines)
  if (shown.length > 0) leg.send(banner(`${shown.join('\r\n')}\r\n`))
  leg.disconnect(DISCONNECT_REASON.NO_MORE_AUTH_METHODS_AVAILABLE, shown[0] ?? 'access denied')
}
