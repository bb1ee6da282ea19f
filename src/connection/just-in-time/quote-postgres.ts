import { Refused } from '../../foundation/errors.ts'

// The only way in which a name or a text gets into a statement for PostgreSQL's catalogue: CREATE ROLE and its like take no
// parameters.

/** What the server keeps of a name; it cuts longer ones off in silence, and they would be somebody else's. */
const LONGEST_NAME = 63

/** `"name"`. Errors: Refused('malformed') for what cannot be a name. */
export function quotedName(name: string): string {
  refuseUnfit(name)
  if (name === '' || Buffer.byteLength(name) > LONGEST_NAME)
    throw new Refused('malformed', `a name of the server is 1 to ${LONGEST_NAME} bytes long`)
  return `"${name.replaceAll('"', '""')}"`
}

/** `'text'`, read alike with and without standard_conforming_strings. Errors: Refused('malformed') with a NUL in it. */
export function quotedText(text: string): string {
  refuseUnfit(text)
  const quoted = `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`
  return text.includes('\\') ? ` E${quoted}` : quoted
}

/** A lone half of a character would be written as another one. */
function refuseUnfit(text: string): void {
  if (text.includes('\0') || !text.isWellFormed())
    throw new Refused('malformed', 'a text for the server holds no NUL and only whole characters')
}
