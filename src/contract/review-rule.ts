import { z } from 'zod'
import { Name } from './common.ts'
import { DurationText, RolePattern } from './role.ts'
import { TimeWindow } from './time-window.ts'

/** An own role (`dba`), or a trait and its value (`team=dba`). */
export const Group = z
  .string()
  .refine((text) => text.isWellFormed(), 'a group is valid Unicode text')
  .regex(/^[^=\p{Cc}]{1,64}(?:=[^\p{Cc}]{1,256})?$/u, 'a group is the name of a role, or TRAIT=VALUE')

export const RULE_DECISIONS = ['approve', 'deny', 'require', 'limit'] as const

export const ReviewRuleSpec = z.strictObject({
  /** Requested roles that it speaks about */
  roles: z.array(RolePattern).min(1).max(200),
  /** CEL over `request`, `requester` and `now`. Absent: always */
  condition: z.string().max(4096).optional(),
  decision: z.enum(RULE_DECISIONS),
  /** With `decision: require`: approvals that are needed besides what the roles say */
  require: z.strictObject({ group: Group, approvals: z.int().min(1).max(100).default(1) }).optional(),
  /** With `decision: limit`: the longest duration that is granted */
  limit: DurationText.optional(),
  reason: z.string().max(500).default(''),
  /** Outside of it the rule says nothing */
  schedule: TimeWindow.optional(),
  /** With `decision: approve`: satisfies every threshold of its roles */
  decides: z.boolean().default(false),
})
export type ReviewRuleSpec = z.infer<typeof ReviewRuleSpec>

/** What `sallyctl create -f` takes and `sallyctl get review_rule/NAME` prints. */
export const ReviewRuleDocument = z.strictObject({
  kind: z.literal('review_rule'),
  version: z.literal('v1').default('v1'),
  metadata: z.strictObject({ name: Name, description: z.string().max(500).optional() }),
  spec: ReviewRuleSpec,
})
export type ReviewRuleDocument = z.infer<typeof ReviewRuleDocument>
