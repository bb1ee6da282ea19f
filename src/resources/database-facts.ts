import type { JustInTime } from '../contract/database.ts'
import type { DatabasesTable } from '../foundation/database/tables.ts'
import { splitAddress } from './address.ts'
import type { ResourceFacts } from './resource.ts'

type ServerColumns = Pick<DatabasesTable, 'protocol' | 'address' | 'tls_mode' | 'tls_authorities' | 'tls_server_name'>

export function databaseFacts(
  row: Pick<DatabasesTable, 'id' | 'name' | 'labels_json' | 'just_in_time_json'> & ServerColumns,
): ResourceFacts {
  const labels = JSON.parse(row.labels_json) as Record<string, string>
  const made = row.just_in_time_json === null ? {} : { isJustInTime: true as const }
  return { kind: 'database', id: row.id, name: row.name, labels, identity: databaseIdentity(row), ...made }
}

/** Null: people use the db users that their roles name. */
export function justInTimeOf({
  just_in_time_json: json,
}: Pick<DatabasesTable, 'just_in_time_json'>): JustInTime | null {
  return json === null ? null : (JSON.parse(json) as JustInTime)
}

/**
 * What the server must show us. One whose certificate is checked by name may move to another address and stay what it is;
 * of any other the address is part of what it is.
 */
export function databaseIdentity(row: ServerColumns): string {
  const { protocol, address, tls_mode: mode, tls_authorities: authorities } = row
  const shown = mode === 'verify-full' ? serverName(row) : address
  return JSON.stringify([protocol, mode, authorities, shown])
}

/** Name expected in the server's certificate, and sent as SNI. */
export function serverName({
  address,
  tls_server_name: name,
}: Pick<ServerColumns, 'address' | 'tls_server_name'>): string {
  return name ?? splitAddress(address)[0]
}
