import { z } from 'zod'
import { DurationMs, Instant } from './common.ts'
import { Group } from './review-rule.ts'
import { DurationText } from './role.ts'

// What a policy is given and what it may answer. Both cross two walls as JSON (into the sandbox and out of it), so both are
// checked strictly on this side. sdk/policy.ts has the same shapes for those who write policies.

const Lists = z.record(z.string(), z.array(z.string()))

/** One duty of the requester, as PagerDuty said when the request was judged. */
export const OnCallFact = z.union([
  /** `until`: when the shift ends, at the latest. `account`: whose shift it is, as PagerDuty names them */
  z.strictObject({ on: z.literal(true), until: Instant, account: z.string() }),
  z.strictObject({ on: z.literal(false), why: z.string() }),
  /** It cannot be known: conditions that ask for it fail */
  z.strictObject({ problem: z.string() }),
])
export type OnCallFact = z.infer<typeof OnCallFact>

/** What rules and policies see of a request: the facts document, stored with each ask and vote. */
export const AutomationFacts = z.strictObject({
  /** When it was judged */
  now: Instant,
  request: z.strictObject({
    kind: z.enum(['role', 'resource', 'extension']),
    user: z.string(),
    roles: z.array(z.string()),
    /** `node/db-box` */
    resources: z.array(z.string()),
    reason: z.string(),
    duration: DurationMs,
    annotations: Lists,
    created: Instant,
    /** `approval`, `first-use` or an ISO instant */
    start: z.string(),
  }),
  requester: z.strictObject({ name: z.string(), roles: z.array(z.string()), traits: Lists }),
  /** By the name of the duty; absent: nothing asked for any */
  oncall: z.record(z.string(), OnCallFact).optional(),
})
export type AutomationFacts = z.infer<typeof AutomationFacts>

const Reason = z
  .string()
  .max(500)
  .refine((text) => text.isWellFormed(), 'a reason is valid Unicode text')
export const VERDICTS = ['approve', 'deny', 'abstain', 'require', 'limit'] as const
export type VerdictName = (typeof VERDICTS)[number]

/** As a policy returns it; durations as people write them (`30m`). */
export const Verdict = z.discriminatedUnion('verdict', [
  z.strictObject({ verdict: z.literal('approve'), reason: Reason.default('') }),
  z.strictObject({ verdict: z.literal('deny'), reason: Reason.min(1, 'a denial says why') }),
  z.strictObject({ verdict: z.literal('abstain') }),
  z.strictObject({ verdict: z.literal('require'), group: Group, approvals: z.int().min(1).max(100) }),
  z.strictObject({ verdict: z.literal('limit'), duration: DurationText }),
])
export type Verdict = z.infer<typeof Verdict>

/** One verdict, or several of which each holds. */
export const Verdicts = z.union([Verdict.transform((one) => [one]), z.array(Verdict).min(1).max(10)])

/** A rule's or policy's answer: what it says, or why it failed. */
export const Judgement = z.union([
  z.object({ ok: z.literal(true), verdicts: z.array(Verdict).readonly() }),
  z.object({ ok: z.literal(false), problem: z.string() }),
])

export type Judgement = z.infer<typeof Judgement>

/** A request with what was seen and said of it when it was made. */
export const PastJudgement = z.object({
  request: z.string(),
  user: z.string(),
  roles: z.array(z.string()),
  state: z.string(),
  createdAt: Instant,
  facts: AutomationFacts,
  judged: z.array(z.object({ by: z.string(), judgement: Judgement })),
})
export type PastJudgement = z.infer<typeof PastJudgement>

export const PolicyState = z.object({
  file: z.string(),
  /** TypeScript by path: the file and what it imports from its folder */
  modules: z.record(z.string(), z.string()),
  contentHash: z.string(),
  /** Can only approve: failing, it abstains instead of blocking */
  approveOnly: z.boolean(),
  /** Zone of `facts.time` */
  zone: z.string(),
  loadedAt: Instant,
})
export type PolicyState = z.infer<typeof PolicyState>
