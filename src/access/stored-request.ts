import type { AccessRequestsTable, GrantsTable, ReviewsTable } from '../foundation/database/tables.ts'
import type { ConditionFacts } from '../identity/conditions.ts'
import type { RequestFacts } from './route/route-request.ts'

export interface PinnedRole {
  readonly id: string
  readonly name: string
  readonly revision: number
  readonly contentHash: string
}

export interface StoredRequest extends Omit<
  AccessRequestsTable,
  'roles_json' | 'facts_json' | 'annotations_json' | 'suggested_json'
> {
  readonly roles: readonly PinnedRole[]
  readonly asked: AskedFacts
  readonly annotations: Readonly<Record<string, readonly string[]>>
  readonly suggested: readonly string[]
}

/** What the rules saw when the request was made, kept for later proof. */
export interface AskedFacts {
  readonly facts: RequestFacts
  /** The same had been denied shortly before: shown to reviewers */
  readonly earlierDenial: boolean
}

export function storedRequest(row: AccessRequestsTable): StoredRequest {
  const { roles_json, facts_json, annotations_json, suggested_json, ...rest } = row
  return {
    ...rest,
    roles: JSON.parse(roles_json) as PinnedRole[],
    asked: JSON.parse(facts_json) as AskedFacts,
    annotations: JSON.parse(annotations_json) as Record<string, string[]>,
    suggested: JSON.parse(suggested_json) as string[],
  }
}

export interface Vote extends Omit<ReviewsTable, 'roles_json'> {
  /** Ids of the requested roles that the voter could review when voting */
  readonly roleIds: readonly string[]
}

export function storedVote(row: ReviewsTable): Vote {
  const { roles_json, ...rest } = row
  return { ...rest, roleIds: JSON.parse(roles_json) as string[] }
}

export interface StoredGrant extends Omit<GrantsTable, 'roles_json'> {
  readonly roles: readonly PinnedRole[]
}

export function storedGrant(row: GrantsTable): StoredGrant {
  const { roles_json, ...rest } = row
  return { ...rest, roles: JSON.parse(roles_json) as PinnedRole[] }
}

/** The request as conditions see it. */
export function requestForConditions(request: StoredRequest, requesterName: string): ConditionFacts['request'] {
  return {
    user: requesterName,
    roles: request.roles.map((role) => role.name),
    resources: [],
    reason: request.reason,
    durationMs: request.duration_ms,
    annotations: request.annotations,
    createdAt: request.created_at,
  }
}
