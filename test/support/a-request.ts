import type { z } from 'zod'
import type { AccessRequest } from '../../src/contract/request.ts'

const CREATED = Date.UTC(2026, 0, 1, 11, 55)
const HOUR = 3_600_000

/** A pending request as the API tells it; override what matters. */
export function aRequest(
  overrides: Partial<AccessRequest> = {},
): z.input<typeof import('../../src/contract/request.ts').AccessRequest> {
  return {
    id: 'req_1',
    kind: 'role',
    user: 'alice',
    roles: ['dba'],
    resources: [],
    narrowing: null,
    reason: 'ticket #1234',
    start: { at: 'approval' },
    extends: null,
    duration: HOUR,
    grantedDuration: HOUR,
    grantedStart: null,
    state: 'pending',
    createdAt: CREATED,
    pendingUntil: CREATED + 24 * HOUR,
    decidedAt: null,
    resolution: null,
    requestDigest: 'a'.repeat(64),
    factsDigest: 'b'.repeat(64),
    suggestedReviewers: [],
    annotations: {},
    reviews: [],
    progress: [{ role: 'dba', name: 'dba team', approvals: 0, approve: 2, denials: 0, deny: 1, met: false }],
    reviewers: ['bob', 'carol'],
    notNow: [],
    delegates: [],
    warnings: [],
    grant: null,
    can: [],
    version: 1,
    ...overrides,
  }
}

export function aReview(
  reviewer: string,
  decision: 'approve' | 'deny' = 'approve',
  reason = '',
): AccessRequest['reviews'][number] {
  return {
    id: `rvw_${reviewer}`,
    reviewer,
    onBehalfOf: null,
    decision,
    reason,
    roles: ['dba'],
    duration: null,
    startAt: null,
    at: CREATED,
    counts: true,
    why: null,
  }
}

export function aGrant(
  overrides: Partial<NonNullable<AccessRequest['grant']>> = {},
): NonNullable<AccessRequest['grant']> {
  return {
    id: 'grt_1',
    requestId: 'req_1',
    user: 'alice',
    roles: ['dba'],
    resources: [],
    narrowing: null,
    state: 'active',
    startsAt: CREATED,
    endsAt: CREATED + HOUR,
    useBy: null,
    endedAt: null,
    endReason: null,
    endedBy: null,
    endComment: null,
    ...overrides,
  }
}
