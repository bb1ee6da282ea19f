import type { DatabaseFacts } from '../../authorization.ts'
import { canBeJudged } from './statement-rules.ts'

/** Which option of a role cannot be kept with MySQL and MariaDB, in words for the client; null: all can. Better none than half. */
export function whatCannotBeKept(
  { options, justInTime }: Pick<DatabaseFacts, 'options' | 'justInTime'>,
  collation: number,
): string | null {
  const { readOnly, deniedStatements } = options
  // Of a user that is made for it the control side has seen that its roles permit nothing else.
  if (readOnly && !justInTime)
    return 'your access is read-only, and MySQL has no means to keep a session so: use a db user that may only read, in a role without db.read_only'
  if (deniedStatements.length > 0 && !canBeJudged(collation))
    return `your role denies statements (${deniedStatements.join(', ')}), which cannot be told in this character set: connect with utf8mb4`
  return null
}
