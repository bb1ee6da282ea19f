import type { Kysely } from 'kysely'
import type { Credentials } from '../connection/credentials.ts'
import type { Tables } from '../foundation/database/tables.ts'
import type { Authorities } from '../identity/authorities.ts'
import type { Sealer } from '../identity/sealing.ts'
import { databasePassword } from '../resources/database-passwords.ts'

/** What targets are shown, made by the installation's authorities or taken from its store. */
export function credentialsOf(parts: {
  readonly authorities: Authorities
  readonly sealer: Sealer
  readonly reads: Kysely<Tables>
}): Credentials {
  const { authorities, sealer, reads } = parts
  return {
    onwardCertificate: (order) => Promise.resolve(authorities.onwardCertificate(order).blob),
    databaseCertificate: (order) => Promise.resolve(authorities.databaseX509Certificate(order)),
    databasePassword: (id, dbUser) => databasePassword({ sealer, reads }, id, dbUser),
  }
}
