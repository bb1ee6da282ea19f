import type { Narrowing, Start } from '../contract/request.ts'
import type { AccessRequestsTable, ReviewsTable } from '../foundation/database/tables.ts'
import { pinnedResources, storedNarrowing, type PinnedResource, type PinnedRole } from '../grants/stored-grant.ts'
import type { ConditionFacts } from '../identity/conditions.ts'
import type { Automation } from './automate/automation.ts'
import type { RequestFacts } from './route/route-request.ts'

type Json =
  | 'roles_json'
  | 'facts_json'
  | 'annotations_json'
  | 'suggested_json'
  | 'resources_json'
  | 'narrowing_json'
  | 'start_json'
  | 'automation_json'

export interface StoredRequest extends Omit<AccessRequestsTable, Json> {
  readonly roles: readonly PinnedRole[]
  readonly resources: readonly PinnedResource[]
  readonly narrowing: Narrowing | null
  readonly start: Start
  readonly asked: AskedFacts
  /** What rules and policies said last; null = they were never asked */
  readonly automation: Automation | null
  readonly annotations: Readonly<Record<string, readonly string[]>>
  readonly suggested: readonly string[]
}

/** What the rules saw when the request was made, kept for later proof. */
export interface AskedFacts {
  readonly facts: RequestFacts
  /** What rules and policies said when it was made; absent from rows older than they are */
  readonly automation?: Automation
  /** The same had been denied shortly before: shown to reviewers */
  readonly earlierDenial: boolean
}

export function storedRequest(row: AccessRequestsTable): StoredRequest {
  const {
    roles_json,
    facts_json,
    annotations_json,
    suggested_json,
    resources_json,
    narrowing_json,
    start_json,
    automation_json,
    ...rest
  } = row
  const asked = JSON.parse(facts_json) as AskedFacts
  return {
    ...rest,
    roles: JSON.parse(roles_json) as PinnedRole[],
    resources: pinnedResources(resources_json),
    narrowing: storedNarrowing(narrowing_json),
    start: start_json === null ? { at: 'approval' } : (JSON.parse(start_json) as Start),
    asked,
    automation: automation_json === null ? (asked.automation ?? null) : (JSON.parse(automation_json) as Automation),
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

/** Cast by a rule or policy. */
export const isAutomatic = (vote: Pick<Vote, 'reviewer_kind'>): boolean => vote.reviewer_kind !== 'user'

/** The request as conditions see it. */
export function requestForConditions(request: StoredRequest, requesterName: string): ConditionFacts['request'] {
  return {
    kind: request.kind,
    user: requesterName,
    roles: request.roles.map((role) => role.name),
    resources: request.resources.map(({ kind, name }) => `${kind}/${name}`),
    reason: request.reason,
    durationMs: request.duration_ms,
    annotations: request.annotations,
    createdAt: request.created_at,
    start: startText(request.start),
  }
}

const startText = (start: Start): string => (start.at === 'instant' ? new Date(start.instant).toISOString() : start.at)
