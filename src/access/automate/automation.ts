import type { AutomationFacts, Verdict } from '../../contract/policy.ts'
import type { ReviewRuleSpec } from '../../contract/review-rule.ts'

// The words of this folder. A review rule or a policy *judges* a request: each gives verdicts, or fails. All judgements with
// the facts that they saw are the request's *automation*, which is stored; what follows from it is the *ruling* (ruling.ts).

/** A review rule that stands. */
export interface RuleContent {
  readonly id: string
  readonly name: string
  /** SHA-256 of the canonical spec, hex */
  readonly contentHash: string
  readonly spec: ReviewRuleSpec
}

/** A policy in force; whoever runs it finds its source by the hash. */
export interface PolicyContent {
  readonly id: string
  readonly file: string
  readonly contentHash: string
  readonly approveOnly: boolean
  readonly zone: string
}

export type Judgement =
  | { readonly ok: true; readonly verdicts: readonly Verdict[] }
  | { readonly ok: false; readonly problem: string }

export interface Judged {
  /** `rule:NAME` or `policy:FILE` without its ending: the name under which it votes */
  readonly by: string
  readonly contentHash: string
  /** Ids of the requested roles that it speaks about */
  readonly roleIds: readonly string[]
  /** Its approval satisfies every threshold of these roles */
  readonly decides: boolean
  /** It can do nothing but approve: failing, it abstains */
  readonly approveOnly: boolean
  readonly judgement: Judgement
}

/** Stored with each ask and each vote. */
export interface Automation {
  readonly facts: AutomationFacts
  readonly judged: readonly Judged[]
}

export const ruleVoter = (name: string): string => `rule:${name}`
export const policyVoter = (file: string): string => `policy:${file.replace(/\.ts$/, '')}`

/** Answers are of use for so long: the instant that policies saw is at most this old when the deed is stored. */
export const ANSWERS_FRESH_MS = 10_000
