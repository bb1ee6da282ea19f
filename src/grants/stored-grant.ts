import type { NamedResource, Narrowing } from '../contract/request.ts'
import type { GrantsTable } from '../foundation/database/tables.ts'
import type { Confinement } from '../identity/node-access.ts'
import type { Asking } from '../identity/role-rules.ts'
import type { ResourceFacts } from '../resources/resource.ts'

export interface PinnedRole {
  readonly id: string
  readonly name: string
  readonly revision: number
  readonly contentHash: string
}

/** Rights follow the id; the name is for people. */
export interface PinnedResource extends NamedResource {
  readonly id: string
}

export interface StoredGrant extends Omit<GrantsTable, 'roles_json' | 'resources_json' | 'narrowing_json'> {
  readonly roles: readonly PinnedRole[]
  /** As they were at approval. Empty: whatever the roles give */
  readonly resources: readonly ResourceFacts[]
  readonly narrowing: Narrowing | null
}

export function storedGrant(row: GrantsTable): StoredGrant {
  const { roles_json, resources_json, narrowing_json, ...rest } = row
  const roles = JSON.parse(roles_json) as PinnedRole[]
  const resources = resources_json === null ? [] : (JSON.parse(resources_json) as Pin[]).map(wholePin)
  return { ...rest, roles, resources, narrowing: storedNarrowing(narrowing_json) }
}

type Pin = PinnedResource & Partial<Pick<ResourceFacts, 'labels' | 'identity'>>

/** A pin that lacks something is a pin of nothing. */
const wholePin = ({ labels, identity, ...pin }: Pin): ResourceFacts =>
  labels && identity !== undefined ? { ...pin, labels, identity } : { ...pin, labels: {}, identity: '' }

/** What its roles are confined to. A resource grant that names no resource gives nothing, rather than everything. */
export function confinementOf({ kind, resources, narrowing }: StoredGrant): Confinement | null {
  const pinned = kind === 'resource' || resources.length > 0
  return pinned || narrowing !== null ? { resources: pinned ? resources : null, narrowing } : null
}

/** How its roles were asked for: they give something only while they may still be asked for in that way. */
export const askedAs = ({
  kind,
  resources,
}: {
  readonly kind?: string
  readonly resources: readonly unknown[]
}): Asking => (kind === 'break_glass' ? 'break_glass' : resources.length > 0 ? 'resource' : 'role')

export const pinnedResources = (json: string | null): PinnedResource[] =>
  json === null ? [] : (JSON.parse(json) as PinnedResource[])

export const storedNarrowing = (json: string | null): Narrowing | null =>
  json === null ? null : (JSON.parse(json) as Narrowing)
