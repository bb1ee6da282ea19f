import type { Kysely } from 'kysely'
import type { ResourceKind } from '../contract/common.ts'
import type { Tables } from '../foundation/database/tables.ts'
import { databaseFacts } from './database-facts.ts'
import { nodeFacts } from './node-facts.ts'
import { resourceKey, type ResourceFacts } from './resource.ts'

type Reader = Kysely<Tables>
type Lookup = (reader: Reader, by: 'id' | 'name', values: readonly string[] | null) => Promise<ResourceFacts[]>

/** One entry a kind; without values all of it. A kind without one has no resources: whoever asks for one is told what is said of any absent name. */
const LOOKUPS: Readonly<Record<ResourceKind, Lookup | null>> = {
  node: async (reader, by, values) => {
    const rows = await reader
      .selectFrom('nodes')
      .select(['id', 'name', 'labels_json', 'address', 'host_key', 'host_authority', 'host_principal'])
      .$if(values !== null, (some) => some.where(by, 'in', values ?? []))
      .where('deleted_at', 'is', null)
      .execute()
    return rows.map(nodeFacts)
  },
  database: async (reader, by, values) => {
    const rows = await reader
      .selectFrom('databases')
      .select(['id', 'name', 'labels_json', 'protocol', 'address'])
      .select(['tls_mode', 'tls_authorities', 'tls_server_name', 'just_in_time_json'])
      .$if(values !== null, (some) => some.where(by, 'in', values ?? []))
      .where('deleted_at', 'is', null)
      .execute()
    return rows.map(databaseFacts)
  },
  kube_cluster: null,
  app: null,
}

/** Those that exist, by `kind/name`. */
export async function findResources(
  reader: Reader,
  wanted: readonly Pick<ResourceFacts, 'kind' | 'name'>[],
): Promise<ReadonlyMap<string, ResourceFacts>> {
  const found = await look(reader, 'name', wanted)
  return new Map(found.map((resource) => [resourceKey(resource), resource]))
}

/** Those that still exist, by id. A new one under an old name is not the old one. */
export async function resourcesById(
  reader: Reader,
  wanted: readonly Pick<ResourceFacts, 'kind' | 'id'>[],
): Promise<ReadonlyMap<string, ResourceFacts>> {
  const found = await look(reader, 'id', wanted)
  return new Map(found.map((resource) => [resource.id, resource]))
}

/** All that exist. */
export async function allResources(reader: Reader): Promise<ResourceFacts[]> {
  const all = await Promise.all(Object.values(LOOKUPS).map((lookup) => lookup?.(reader, 'name', null) ?? []))
  return all.flat()
}

async function look<By extends 'id' | 'name'>(
  reader: Reader,
  by: By,
  wanted: readonly Pick<ResourceFacts, 'kind' | By>[],
): Promise<ResourceFacts[]> {
  const values = new Map<ResourceKind, Set<string>>()
  for (const each of wanted) values.set(each.kind, (values.get(each.kind) ?? new Set()).add(each[by]))
  const found: ResourceFacts[] = []
  for (const [kind, some] of values) found.push(...((await LOOKUPS[kind]?.(reader, by, [...some])) ?? []))
  return found
}
