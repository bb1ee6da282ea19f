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
  return {
    id: row.id,
    event_id: row.event_id,
    request_id: row.request_id,
    user_id: row.user_id,
    kind: row.kind,
    state: row.state,
    starts_at: row.starts_at,
    ends_at: row.ends_at,
    ended_at: row.ended_at,
    end_reason: row.end_reason,
    ended_by: row.ended_by,
    end_comment: row.end_comment,
    suspended: row.suspended,
    login_id: row.login_id,
    use_by: row.use_by,
    use_length_ms: row.use_length_ms,
    approved_at: row.approved_at,
    moved_at: row.moved_at,
    roles: JSON.parse(row.roles_json) as PinnedRole[],
    resources: row.resources_json === null ? [] : (JSON.parse(row.resources_json) as Pin[]).map(wholePin),
    narrowing: storedNarrowing(row.narrowing_json),
  }
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
