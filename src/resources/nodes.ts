import { confirmed } from '../audit/confirmation.ts'
import type { DeedLog } from '../audit/deed.ts'
import type { NodeDocument } from '../contract/node.ts'
import { FormatError } from '../formats/format-error.ts'
import { formatPublicKeyLine, parsePublicKey, parsePublicKeyLine } from '../formats/openssh/public-key.ts'
import type { Database } from '../foundation/database/open-database.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import { checkAddress } from './address.ts'
import { alreadyThere, notThere, resourceEvent, type ResourceDoer } from './resource-deed.ts'

interface Parts {
  readonly database: Database
  readonly deeds: DeedLog
}

/**
 * Writes a node. Keys are kept as `type base64`, without comments. Throws Refused: malformed, exists. `created` false: it
 * was there before.
 */
export async function putNode(
  parts: Parts,
  doer: ResourceDoer,
  document: NodeDocument,
  replace: boolean,
): Promise<{ id: string; created: boolean }> {
  const columns = columnsOf(document)
  return await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const before = await tx
        .selectFrom('nodes')
        .select('id')
        .where('name', '=', columns.name)
        .where('deleted_at', 'is', null)
        .executeTakeFirst()
      if (before && !replace) throw alreadyThere('node', columns.name)
      const id = before?.id ?? newId('node', now)
      if (before) await tx.updateTable('nodes').set(columns).where('id', '=', id).execute()
      else
        await tx
          .insertInto('nodes')
          .values({ id, event_id: '', ...columns, created_at: now, deleted_at: null })
          .execute()
      const type = before ? 'resource.update' : 'resource.create'
      const event = resourceEvent(type, doer, { kind: 'node', id, name: columns.name }, { ...columns })
      return { result: { id, created: !before }, events: [event] }
    }),
  )
}

/** The id never comes back. Throws Refused('not_found'). */
export async function removeNode(parts: Parts, doer: ResourceDoer, name: string): Promise<void> {
  await parts.deeds.commitDeed(
    confirmed(doer, async (tx, now) => {
      const node = await tx
        .selectFrom('nodes')
        .select(['id', 'name'])
        .where('name', '=', name)
        .where('deleted_at', 'is', null)
        .executeTakeFirst()
      if (!node) throw notThere('node', name)
      await tx.updateTable('nodes').set({ deleted_at: now }).where('id', '=', node.id).execute()
      return {
        result: null,
        events: [resourceEvent('resource.delete', doer, { kind: 'node', ...node }, {})],
        evenIfAltered: true,
      }
    }),
  )
}

export async function listNodeDocuments(database: Database): Promise<NodeDocument[]> {
  const rows = await database.reads
    .selectFrom('nodes')
    .selectAll()
    .where('deleted_at', 'is', null)
    .orderBy('name')
    .execute()
  return rows.map((row) => ({
    kind: 'node',
    version: 'v1',
    metadata: { name: row.name, labels: JSON.parse(row.labels_json) as Record<string, string> },
    spec: {
      address: row.address,
      ...(row.host_key === null ? {} : { host_key: row.host_key }),
      ...(row.host_authority === null ? {} : { host_authority: row.host_authority }),
      ...(row.host_principal === null ? {} : { host_principal: row.host_principal }),
    },
  }))
}

function columnsOf({ metadata, spec }: NodeDocument) {
  return {
    name: metadata.name,
    address: checkAddress(spec.address),
    labels_json: JSON.stringify(metadata.labels),
    host_key: spec.host_key === undefined ? null : keyLine('spec.host_key', spec.host_key),
    host_authority: spec.host_authority === undefined ? null : keyLine('spec.host_authority', spec.host_authority),
    host_principal: spec.host_principal ?? null,
  }
}

function keyLine(field: string, line: string): string {
  try {
    return formatPublicKeyLine(parsePublicKey(parsePublicKeyLine(line).blob).blob)
  } catch (error) {
    if (!(error instanceof FormatError)) throw error
    throw new Refused('malformed', `${field}: ${error.message}`, 'give a line like: ssh-ed25519 AAAA...')
  }
}
