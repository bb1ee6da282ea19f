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

export interface StoredRequest extends Omit<AccessRequestsTable, Json | 'event_id'> {
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

/** Texts that come again and again: a request is read ten times while it is decided. */
const parsed = new Map<string, unknown>()
const MOST_PARSED = 2000
const LONGEST_KEPT = 4096

/** What it gives is shared: nobody changes it. */
function parseShared<T>(json: string): T {
  if (json.length > LONGEST_KEPT) return JSON.parse(json) as T
  let value = parsed.get(json)
  if (value === undefined) {
    value = JSON.parse(json)
    if (parsed.size >= MOST_PARSED) parsed.clear()
    parsed.set(json, value)
  }
  return value as T
}

// Column by column: taking the rest of a row costs more than all of its JSON.
export function storedRequest(row: AccessRequestsTable): StoredRequest {
  const asked = parseShared<AskedFacts>(row.facts_json)
  return {
    id: row.id,
    kind: row.kind,
    user_id: row.user_id,
    reason: row.reason,
    duration_ms: row.duration_ms,
    created_at: row.created_at,
    pending_until: row.pending_until,
    state: row.state,
    decided_at: row.decided_at,
    resolution: row.resolution,
    login_id: row.login_id,
    facts_digest: row.facts_digest,
    request_digest: row.request_digest,
    identity_hash: row.identity_hash,
    version: row.version,
    extends_grant: row.extends_grant,
    settled_at: row.settled_at,
    roles: parseShared(row.roles_json),
    resources: pinnedResources(row.resources_json),
    narrowing: storedNarrowing(row.narrowing_json),
    start: row.start_json === null ? { at: 'approval' } : parseShared(row.start_json),
    asked,
    automation: row.automation_json === null ? (asked.automation ?? null) : parseShared(row.automation_json),
    annotations: parseShared(row.annotations_json),
    suggested: parseShared(row.suggested_json),
  }
}

export interface Vote extends Omit<ReviewsTable, 'roles_json' | 'event_id'> {
  /** Ids of the requested roles that the voter could review when voting */
  readonly roleIds: readonly string[]
}

export function storedVote(row: ReviewsTable): Vote {
  return {
    id: row.id,
    request_id: row.request_id,
    reviewer_id: row.reviewer_id,
    reviewer_kind: row.reviewer_kind,
    decision: row.decision,
    reason: row.reason,
    roleIds: parseShared<readonly string[]>(row.roles_json),
    duration_ms: row.duration_ms,
    request_digest: row.request_digest,
    facts_digest: row.facts_digest,
    created_at: row.created_at,
    ordinal: row.ordinal,
    superseded_at: row.superseded_at,
    start_at: row.start_at,
    on_behalf_of: row.on_behalf_of,
  }
}

/** Cast by a rule or policy. */
export const isAutomatic = (vote: Pick<Vote, 'reviewer_kind'>): boolean => vote.reviewer_kind !== 'user'

const seenByConditions = new WeakMap<StoredRequest, ConditionFacts['request']>()

/** The request as conditions see it. */
export function requestForConditions(request: StoredRequest, requesterName: string): ConditionFacts['request'] {
  const known = seenByConditions.get(request)
  if (known?.user === requesterName) return known
  const seen = {
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
  seenByConditions.set(request, seen)
  return seen
}

const startText = (start: Start): string => (start.at === 'instant' ? new Date(start.instant).toISOString() : start.at)
