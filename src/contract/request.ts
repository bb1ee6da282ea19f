import { z } from 'zod'
import { DbUser, DurationMs, Instant, Login, Name, PageQuery, ResourceKind, ResourceName } from './common.ts'
import { RequestNote } from './request-note.ts'

export const REQUEST_STATES = ['pending', 'approved', 'denied', 'cancelled', 'expired'] as const
export const RequestState = z.enum(REQUEST_STATES)
export type RequestState = z.infer<typeof RequestState>

export const GRANT_STATES = ['scheduled', 'active', 'ended'] as const
export const GRANT_END_REASONS = [
  'expired',
  'revoked',
  'returned',
  'lapsed',
  'user_removed',
  'role_deleted',
  'resource_deleted',
  'locked',
] as const

export const NamedResource = z.object({ kind: ResourceKind, name: Name })
export type NamedResource = z.infer<typeof NamedResource>

/** What a request is narrowed to besides its roles and resources. */
export const Narrowing = z.strictObject({ login: Login.optional(), dbUser: DbUser.optional() })
export type Narrowing = z.infer<typeof Narrowing>

/** When the clock of a grant starts. */
export const Start = z.union([
  z.strictObject({ at: z.enum(['approval', 'first-use']) }),
  z.strictObject({ at: z.literal('instant'), instant: Instant }),
])
export type Start = z.infer<typeof Start>

export const REQUEST_KINDS = ['role', 'resource', 'extension', 'break_glass'] as const

export const Grant = z.object({
  id: z.string(),
  requestId: z.string(),
  user: Name,
  roles: z.array(Name),
  /** Empty: whatever the roles give */
  resources: z.array(NamedResource),
  narrowing: Narrowing.nullable(),
  state: z.enum(GRANT_STATES),
  startsAt: Instant,
  endsAt: Instant,
  /** Starts at its first use, until this instant; null: does not wait for one */
  useBy: Instant.nullable(),
  endedAt: Instant.nullable(),
  endReason: z.enum(GRANT_END_REASONS).nullable(),
  endedBy: z.string().nullable(),
  endComment: z.string().nullable(),
})
export type Grant = z.infer<typeof Grant>

export const Review = z.object({
  id: z.string(),
  /** A user, or `rule:NAME` or `policy:NAME` */
  reviewer: z.string(),
  /** The absent one for whom the reviewer's vote counts */
  onBehalfOf: Name.nullable().default(null),
  decision: z.enum(['approve', 'deny']),
  reason: z.string(),
  roles: z.array(Name),
  duration: DurationMs.nullable(),
  /** Moves the start to this instant; null leaves it */
  startAt: Instant.nullable(),
  at: Instant,
  /** False: replaced by a later vote, facts changed since, or the reviewer lost the right; `why` says which. */
  counts: z.boolean(),
  why: z.string().nullable(),
})
export type Review = z.infer<typeof Review>

/** `policy:freeze` limits it to 1h. */
export const Saying = z.object({ by: z.string(), says: z.string() })

/** Progress of one threshold set, for showing "1 of 2". */
export const ThresholdProgress = z.object({
  role: Name,
  name: z.string(),
  approvals: z.int(),
  approve: z.int(),
  denials: z.int(),
  deny: z.int(),
  met: z.boolean(),
})
export type ThresholdProgress = z.infer<typeof ThresholdProgress>

export const AccessRequest = z.object({
  id: z.string(),
  kind: z.enum(REQUEST_KINDS),
  user: Name,
  roles: z.array(Name),
  resources: z.array(NamedResource),
  narrowing: Narrowing.nullable(),
  reason: z.string(),
  duration: DurationMs,
  start: Start,
  /** Id of the grant that it would extend */
  extends: z.string().nullable(),
  /** The duration that approvals so far would give. */
  grantedDuration: DurationMs,
  /** The start that approvals so far would give; null: at approval or first use */
  grantedStart: Instant.nullable(),
  state: RequestState,
  createdAt: Instant,
  pendingUntil: Instant,
  decidedAt: Instant.nullable(),
  /** Who or what ended it and why, in one line. */
  resolution: z.string().nullable(),
  requestDigest: z.string(),
  factsDigest: z.string(),
  suggestedReviewers: z.array(Name),
  annotations: z.record(z.string(), z.array(z.string())),
  reviews: z.array(Review),
  progress: z.array(ThresholdProgress),
  /** Users who could still vote towards a decision, at most 50 names. */
  reviewers: z.array(Name),
  /** Those among `reviewers` whose review window is closed now, with its next opening */
  notNow: z.array(z.object({ name: Name, opensAt: Instant })).default([]),
  /** Who may vote for some of `reviewers`, and until when */
  delegates: z.array(z.object({ name: Name, onBehalfOf: Name, until: Instant })).default([]),
  warnings: z.array(z.enum(['nobody_can_approve', 'earlier_denial'])),
  /** What review rules and policies said last, in words */
  automatic: z.array(Saying).default([]),
  /** What service accounts say about it: no part of what is voted on */
  notes: z.array(RequestNote).default([]),
  /** Whom to tell when nobody has answered for `after`; `at` and `told`: when and who was */
  escalation: z
    .array(
      z.object({ after: DurationMs, notify: z.array(z.string()), at: Instant.nullable(), told: z.array(z.string()) }),
    )
    .default([]),
  /** Of break-glass access: who else has looked at it, and how many must before its user may take access that way again */
  acknowledged: z.array(z.object({ name: Name, at: Instant, comment: z.string() })).default([]),
  acknowledgementsNeeded: z.int().default(0),
  /** Of an extension: the grant that it would move the end of */
  grant: Grant.nullable(),
  /** What the viewer may do now: buttons and hints come from here. */
  can: z.array(z.enum(['review', 'cancel', 'return', 'revoke', 'extend', 'acknowledge'])),
  /** Grows with each change of the request itself; for waiting. */
  version: z.int(),
  /** Digest of all the above as this viewer is shown it; for waiting, because edits elsewhere raise no version. */
  look: z.string().optional(),
})
export type AccessRequest = z.infer<typeof AccessRequest>

export const AskBody = z.strictObject({
  /** With resources: roles that shall give them, or none, and they are worked out. Without: `*` is all that may be asked for. */
  roles: z.array(z.string().min(1).max(63)).max(50).default([]),
  /** `node/db-box`; 300 different ones at most */
  resources: z.array(ResourceName).max(1000).default([]),
  /** Narrows a request for resources */
  narrowing: Narrowing.optional(),
  reason: z.string().max(4096).default(''),
  duration: DurationMs.optional(),
  pendingFor: DurationMs.optional(),
  start: Start.default({ at: 'approval' }),
  reviewers: z.array(Name).max(50).default([]),
  dryRun: z.boolean().default(false),
})
export type AskBody = z.input<typeof AskBody>

/** Taking roles in an emergency, without asking anybody. */
export const BreakGlassBody = z.strictObject({
  roles: z.array(Name).min(1).max(50),
  reason: z.string().max(4096),
  duration: DurationMs.optional(),
  /** The names of the roles, typed again: `dba`, or `dba,web` */
  confirm: z.string().max(4096),
})
export type BreakGlassBody = z.input<typeof BreakGlassBody>

/** What a request would be; also the answer of a dry run. */
export const AskPreview = z.object({
  roles: z.array(Name),
  resources: z.array(NamedResource),
  narrowing: Narrowing.nullable(),
  duration: DurationMs,
  longest: DurationMs,
  reviewers: z.array(Name),
  notNow: z.array(z.object({ name: Name, opensAt: Instant })).default([]),
  delegates: z.array(z.object({ name: Name, onBehalfOf: Name, until: Instant })).default([]),
  escalation: z.array(z.object({ after: DurationMs, notify: z.array(z.string()) })).default([]),
  approvalsNeeded: z.array(z.object({ role: Name, name: z.string(), approve: z.int() })),
  warnings: z.array(z.enum(['nobody_can_approve', 'earlier_denial'])),
  /** What review rules and policies would say, and what would come of it at once */
  automatic: z.array(Saying).default([]),
  outcome: z.enum(['pending', 'approved', 'denied']).default('pending'),
})
export type AskPreview = z.infer<typeof AskPreview>

/** More time for a grant: counted from its end. */
export const ExtendBody = z.strictObject({
  duration: DurationMs,
  reason: z.string().max(4096).default(''),
  pendingFor: DurationMs.optional(),
  reviewers: z.array(Name).max(50).default([]),
})
export type ExtendBody = z.input<typeof ExtendBody>

export const ReviewBody = z.strictObject({
  decision: z.enum(['approve', 'deny']),
  reason: z.string().max(4096).default(''),
  /** Shortens what is granted; never lengthens. */
  duration: DurationMs.optional(),
  /** Moves the start later; never earlier. */
  startAt: Instant.optional(),
  /**
   * What the reviewer was shown that approvals so far would give (grantedDuration, grantedStart). An approval is refused when it
   * is not so any more, and approves no more than this. Left out: the request as it was asked.
   */
  shown: z.strictObject({ duration: DurationMs, startAt: Instant.nullable() }).optional(),
  /** For a delegate: the absent one to vote for. Left out: as self, or for the only one there is */
  onBehalfOf: Name.optional(),
  /** Both digests of what the reviewer was shown; the vote is refused when they are not the current ones. */
  requestDigest: z.string(),
  factsDigest: z.string(),
})
export type ReviewBody = z.input<typeof ReviewBody>

export const RequestListQuery = PageQuery.extend({
  /** mine: asked by me; reviewable: waiting for my vote; reviewed: I have voted on it; all: everything I may see. */
  scope: z.enum(['mine', 'reviewable', 'reviewed', 'all']).default('all'),
  state: RequestState.optional(),
  user: Name.optional(),
  role: Name.optional(),
  /** `node/db-box` */
  resource: z
    .string()
    .max(128)
    .refine((text) => ResourceName.safeParse(text).success, 'a resource is KIND/NAME, as in node/db-box')
    .optional(),
  /** Name of a user who voted, or `rule:NAME` */
  reviewer: z.string().min(1).max(200).optional(),
  /** Made at this instant or later */
  since: z.coerce.number().pipe(Instant).optional(),
  /** Made before this instant */
  until: z.coerce.number().pipe(Instant).optional(),
  /** In the reason and in the names of people, roles and resources */
  text: z.string().min(1).max(200).optional(),
  sort: z.enum(['created', 'state']).default('created'),
  order: z.enum(['asc', 'desc']).default('desc'),
})
