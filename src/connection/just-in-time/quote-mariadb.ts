import { Refused } from '../../foundation/errors.ts'

// The only way in which a name gets into a statement for MariaDB. Names stand within backticks, which no sql_mode reads in
// another way; texts are never written, but as hexadecimal digits.

/** What MySQL keeps of a user's name; MariaDB keeps more. */
const LONGEST_NAME = 64
const LONGEST_HOST = 255

/** `name` within backticks. Errors: Refused('malformed') for what cannot be a name. */
export function quotedName(name: string): string {
  return quoted(name, LONGEST_NAME)
}

/** `user`@`host`. An empty host would be a role. */
export function quotedAccount(user: string, host: string): string {
  return `${quotedName(user)}@${quoted(host, LONGEST_HOST)}`
}

/** A text as the server reads it whatever its mode and the connection's character set: `_utf8mb4 x'...'`. */
export function quotedText(text: string): string {
  refuseUnfit(text)
  return text === '' ? "''" : `_utf8mb4 x'${Buffer.from(text, 'utf8').toString('hex')}'`
}

function quoted(name: string, longest: number): string {
  refuseUnfit(name)
  if (name === '' || [...name].length > longest || Buffer.byteLength(name) > LONGEST_HOST)
    throw new Refused('malformed', `a name of the server is 1 to ${longest} characters long`)
  // The server cuts blanks off at the end of a name: it would be another one.
  if (name.endsWith(' ')) throw new Refused('malformed', 'a name of the server does not end with a blank')
  // Names are stored in three bytes a character at most.
  if (/[\u{10000}-\u{10ffff}]/u.test(name))
    throw new Refused('malformed', 'a name of the server holds a character it cannot keep')
  return `\`${name.replaceAll('`', '``')}\``
}

function refuseUnfit(text: string): void {
  if (text.includes('\0') || !text.isWellFormed())
    throw new Refused('malformed', 'a text for the server holds no NUL and only whole characters')
}
