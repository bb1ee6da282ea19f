import type { NamedResource, Narrowing } from '../contract/request.ts'
import type { GrantsTable } from '../foundation/database/tables.ts'

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
  /** Empty: whatever the roles give */
  readonly resources: readonly PinnedResource[]
  readonly narrowing: Narrowing | null
}

export function storedGrant(row: GrantsTable): StoredGrant {
  const { roles_json, resources_json, narrowing_json, ...rest } = row
  const roles = JSON.parse(roles_json) as PinnedRole[]
  return { ...rest, roles, resources: pinnedResources(resources_json), narrowing: storedNarrowing(narrowing_json) }
}

export const pinnedResources = (json: string | null): PinnedResource[] =>
  json === null ? [] : (JSON.parse(json) as PinnedResource[])

export const storedNarrowing = (json: string | null): Narrowing | null =>
  json === null ? null : (JSON.parse(json) as Narrowing)
