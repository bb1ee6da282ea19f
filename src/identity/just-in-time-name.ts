import { createHash } from 'node:crypto'
import type { DbProtocol } from '../contract/database.ts'

/** Characters of a name on the server: PostgreSQL cuts longer ones off in silence, MySQL refuses them. */
const LONGEST: Readonly<Record<DbProtocol, number>> = { postgres: 63, mysql: 32 }
const HASH = 12

export interface JustInTimeOwner {
  readonly databaseId: string
  readonly protocol: DbProtocol
  readonly user: { readonly id: string; readonly name: string }
  readonly dbRoles: readonly string[]
}

/**
 * What a person is called on a server where users are made on connect: readable in front, and behind it a digest of who it is
 * and of the roles. Another set of roles is another user of the server, so no session ever lends another one what it was given;
 * a person who comes later under an old name is another one, too, and owns nothing of the first.
 */
export function justInTimeName({ databaseId, protocol, user, dbRoles }: JustInTimeOwner): string {
  const about = JSON.stringify(['sallyport just-in-time user', databaseId, user.id, [...dbRoles].sort()])
  const digest = createHash('sha256').update(about).digest('hex').slice(0, HASH)
  // PostgreSQL keeps names that begin so for itself.
  const readable = user.name.replace(/^pg_/, 'pg-').slice(0, LONGEST[protocol] - HASH - 1)
  return `${readable}_${digest}`
}
