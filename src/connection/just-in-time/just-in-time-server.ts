import type { DbProtocol } from '../../contract/database.ts'
import type { DatabasesTable } from '../../foundation/database/tables.ts'
import { Bug } from '../../foundation/errors.ts'
import { splitAddress } from '../../resources/address.ts'
import { justInTimeOf, serverName } from '../../resources/database-facts.ts'
import type { UpstreamTls } from '../authorization.ts'

/** How the admin of a server's users gets there: what must be known to lock a user after its database's document has changed. */
export interface JustInTimeServer {
  readonly databaseId: string
  readonly databaseName: string
  readonly protocol: DbProtocol
  readonly host: string
  readonly port: number
  readonly tls: UpstreamTls
  readonly credential: 'certificate' | 'password'
  readonly adminUser: string
  readonly adminDatabase: string
}

export function justInTimeServer(row: Omit<DatabasesTable, 'labels_json'>): JustInTimeServer {
  const made = justInTimeOf(row)
  if (!made) throw new Bug(`no users are made on ${row.name}`)
  const [host, port] = splitAddress(row.address)
  return {
    databaseId: row.id,
    databaseName: row.name,
    protocol: row.protocol,
    host,
    port,
    tls: { mode: row.tls_mode, authorities: row.tls_authorities, serverName: serverName(row) },
    credential: row.auth_kind === 'certificate' ? 'certificate' : 'password',
    adminUser: made.admin_user,
    adminDatabase: made.admin_database,
  }
}
