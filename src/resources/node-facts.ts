import type { NodesTable } from '../foundation/database/tables.ts'
import type { ResourceFacts } from './resource.ts'

type HostColumns = Pick<NodesTable, 'address' | 'host_key' | 'host_authority' | 'host_principal'>

export function nodeFacts(row: Pick<NodesTable, 'id' | 'name' | 'labels_json'> & HostColumns): ResourceFacts {
  const labels = JSON.parse(row.labels_json) as Record<string, string>
  return { kind: 'node', id: row.id, name: row.name, labels, identity: nodeIdentity(row) }
}

/**
 * What the host must show us. A node may move to another address and stay what it is, unless its address is all that its
 * certificate names.
 */
export function nodeIdentity({ address, host_key, host_authority, host_principal }: HostColumns): string {
  const principal = host_authority === null ? null : (host_principal ?? address.slice(0, address.lastIndexOf(':')))
  return JSON.stringify([host_key, host_authority, principal])
}
