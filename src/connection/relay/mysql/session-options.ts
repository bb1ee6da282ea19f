import type { DatabaseSessionOptions } from '../../authorization.ts'

/** Which option of a role cannot be kept with MySQL and MariaDB, in words for the client; null: all can. Better none than half. */
export function whatCannotBeKept(options: DatabaseSessionOptions): string | null {
  const { readOnly, deniedStatements } = options
  if (readOnly)
    return 'your access is read-only, and MySQL has no means to keep a session so: use a db user that may only read, in a role without db.read_only'
  if (deniedStatements.length > 0)
    return `your role denies statements (${deniedStatements.join(', ')}), which is not judged for MySQL: use a db user without these rights, in a role without db.deny_statements`
  return null
}
