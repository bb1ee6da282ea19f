import { z } from 'zod'
import { DbRole, Labels, Login, Name } from './common.ts'
import { parseDuration } from './duration.ts'
import { TimeWindow } from './time-window.ts'

/** `1h30m`, kept as written; at most 14 days unless a narrower limit is named. */
export const DurationText = z.string().superRefine((text, context) => {
  const parsed = parseDuration(text)
  if (!parsed.ok) context.addIssue({ code: 'custom', message: parsed.message })
})

/** A label selector: each key must carry one of the values; `*` stands for any value, `{'*': '*'}` for any resource. */
export const LabelSelector = z.record(z.string().min(1).max(128), z.union([z.string(), z.array(z.string()).min(1)]))
export type LabelSelector = z.infer<typeof LabelSelector>

/** Exact, glob with `*`, or `^regex$` (RE2, always anchored). */
export const RolePattern = z.string().min(1).max(256)

export const Threshold = z.strictObject({
  name: z.string().min(1).max(100).optional(),
  /** CEL over `reviewer`, `request`, `review`. Absent: every reviewer counts. */
  filter: z.string().max(4096).optional(),
  approve: z.int().min(0).max(100).default(0),
  deny: z.int().min(0).max(100).default(0),
  /** With `true` a reviewer counted here counts in no other threshold of the same set. */
  distinct: z.boolean().default(false),
})
export type Threshold = z.infer<typeof Threshold>

/** When nobody has answered for `after`, these people are told of the request, once. */
export const EscalationStep = z.strictObject({
  after: DurationText,
  /** User names, `{role}` = whoever holds that role, `*` = all who may review it, or CEL over `reviewer` and `request`. */
  notify: z.array(z.string().min(1).max(4096)).min(1).max(50),
})
export type EscalationStep = z.infer<typeof EscalationStep>

/** Roles that may be taken in an emergency without asking anybody, and for how long at most (1h is the limit). */
export const BreakGlassBlock = z.strictObject({
  roles: z.array(RolePattern).min(1).max(200),
  max_duration: DurationText.default('1h'),
})

export const RequestBlock = z.strictObject({
  roles: z.array(RolePattern).max(200).default([]),
  search_as_roles: z.array(RolePattern).max(200).default([]),
  claims_to_roles: z
    .array(
      z.strictObject({ claim: z.string().min(1), value: z.string().min(1), roles: z.array(z.string().min(1)).min(1) }),
    )
    .default([]),
  escalating: z.boolean().default(false),
  max_duration: DurationText.optional(),
  reason: z
    .strictObject({
      mode: z.enum(['required', 'optional']).default('optional'),
      prompt: z.string().max(500).optional(),
    })
    .default({ mode: 'optional' }),
  thresholds: z.array(Threshold).max(20).default([]),
  suggested_reviewers: z.array(Name).max(50).default([]),
  escalation: z.array(EscalationStep).max(10).optional(),
  break_glass: BreakGlassBlock.optional(),
  annotations: z.record(z.string(), z.array(z.string())).default({}),
})
export type RequestBlock = z.infer<typeof RequestBlock>

export const ReviewBlock = z.strictObject({
  roles: z.array(RolePattern).max(200).default([]),
  where: z.string().max(4096).optional(),
})

export type ReviewBlock = z.infer<typeof ReviewBlock>

/** With `window` votes are taken only while it is open. */
export const AllowReviewBlock = ReviewBlock.extend({ window: TimeWindow.optional() })
export type AllowReviewBlock = z.infer<typeof AllowReviewBlock>

export const RULE_RESOURCES = [
  'role',
  'user',
  'node',
  'database',
  'lock',
  'request',
  'session',
  'recording',
  'audit',
  'authority',
  'token',
  'integration',
  'review_rule',
  /** Besides `review_rule`, for rules with `decides: true` */
  'deciding_rule',
  'policy',
  '*',
] as const
export const RULE_VERBS = ['list', 'read', 'create', 'update', 'delete', '*'] as const
export const Rule = z.strictObject({
  resources: z.array(z.enum(RULE_RESOURCES)).min(1),
  verbs: z.array(z.enum(RULE_VERBS)).min(1),
})

/** Of `allow`: one role must give labels, names and users or roles. Of `deny`: each denies by itself. */
const databaseRights = {
  db_labels: LabelSelector.optional(),
  /** Users of the database server */
  db_users: z.array(RolePattern).max(200).optional(),
  /** Databases inside the server */
  db_names: z.array(RolePattern).max(200).optional(),
  /** Roles of the database server that a user who is made on connect is given (`spec.just_in_time` of the database) */
  db_roles: z.array(DbRole).max(50).optional(),
}

export const RoleAllow = z.strictObject({
  logins: z.array(Login).max(200).default([]),
  default_login: Login.optional(),
  node_labels: LabelSelector.default({}),
  ...databaseRights,
  request: RequestBlock.optional(),
  review_requests: AllowReviewBlock.optional(),
  rules: z.array(Rule).default([]),
})

export const RoleDeny = z.strictObject({
  logins: z.array(Login).max(200).default([]),
  node_labels: LabelSelector.default({}),
  ...databaseRights,
  request: z
    .strictObject({
      /** Denied however it is asked for */
      roles: z.array(RolePattern).default([]),
      /** Denied as part of a resource request */
      search_as_roles: z.array(RolePattern).optional(),
    })
    .optional(),
  review_requests: ReviewBlock.optional(),
  rules: z.array(Rule).default([]),
})

/**
 * Kinds of statements that a role may deny. They are told apart by their words alone: what the database's own grants permit
 * decides in the end.
 */
export const STATEMENT_KINDS = ['write', 'ddl', 'dcl', 'copy', 'copy_program', 'procedure'] as const
export const StatementKind = z.enum(STATEMENT_KINDS)
export type StatementKind = z.infer<typeof StatementKind>

export const DatabaseOptions = z.strictObject({
  /** The session is made read-only by the server's own means, and stays so. */
  read_only: z.boolean().optional(),
  /** A statement that takes longer is cancelled. */
  statement_timeout: DurationText.optional(),
  deny_statements: z.array(StatementKind).max(STATEMENT_KINDS.length).optional(),
  /** Absent: values of parameters are recorded beside the text. */
  record_parameters: z.boolean().optional(),
  /** Streams of changes (PostgreSQL's replication protocol) may be opened. */
  replication: z.boolean().optional(),
})
export type DatabaseOptions = z.infer<typeof DatabaseOptions>

/** `any`: wherever rules send it. `members`: no channel with guests or people of other organisations. `private`: no open one either. */
export const CHAT_CHANNELS = ['any', 'members', 'private'] as const
export const ChatChannels = z.enum(CHAT_CHANNELS)
export type ChatChannels = z.infer<typeof ChatChannels>

/** How requests for a role may be decided from chat, the strictest last. */
export const CHAT_APPROVALS = ['allowed', 'step_up', 'link_only'] as const
export const ChatApproval = z.enum(CHAT_APPROVALS)
export type ChatApproval = z.infer<typeof ChatApproval>

export const RoleOptions = z.strictObject({
  max_session_ttl: DurationText.optional(),
  client_idle_timeout: DurationText.optional(),
  record_session: z.enum(['strict', 'strict_sync', 'best_effort']).default('strict'),
  record_input: z.boolean().default(false),
  port_forwarding: z.boolean().default(false),
  agent_forwarding: z.boolean().default(false),
  /** How long a live session may outlive the store's silence. */
  offline_grace: DurationText.optional(),
  bind: z.enum(['user', 'login']).default('user'),
  /** Whoever holds the role is offered to ask within an ssh connection that is refused. */
  request_on_denied: z.boolean().default(false),
  /** Which channels of chat products requests for this role may be told in; absent: any */
  chat_channels: ChatChannels.optional(),
  /**
   * `allowed`: in chat itself. `step_up` (so it is when absent): chat leads to a page that asks for the second factor.
   * `link_only`: chat leads to the request.
   */
  chat_approval: ChatApproval.optional(),
  /** Of connections to databases */
  db: DatabaseOptions.optional(),
})
export type RoleOptions = z.infer<typeof RoleOptions>

/** What `sallyctl create -f` takes and `sallyctl get role/NAME` prints. */
export const RoleDocument = z.strictObject({
  kind: z.literal('role'),
  version: z.literal('v1').default('v1'),
  metadata: z.strictObject({ name: Name, description: z.string().max(500).optional() }),
  spec: z.strictObject({
    options: RoleOptions.prefault({}),
    allow: RoleAllow.prefault({}),
    deny: RoleDeny.prefault({}),
  }),
})
export type RoleDocument = z.infer<typeof RoleDocument>
export type RoleSpec = RoleDocument['spec']
export { Labels }
