import { formatDuration } from '../../contract/duration.ts'
import type { AutomationFacts, Verdict } from '../../contract/policy.ts'
import type { ReviewRuleSpec } from '../../contract/review-rule.ts'
import { dutiesIn, evaluateCondition } from '../../identity/conditions.ts'
import { matchesAny } from '../../identity/patterns.ts'
import { windowIsOpen } from '../../identity/time-window.ts'
import { ANSWERS_FRESH_MS, ruleVoter, type Judged, type Judgement, type RuleContent } from './automation.ts'

interface Named {
  readonly id: string
  readonly name: string
}

/** Those of the requested roles that the rule speaks about. */
export function rolesOfRule({ spec }: Pick<RuleContent, 'spec'>, requested: readonly Named[]): Named[] {
  return requested.filter((role) => matchesAny(spec.roles, role.name))
}

/** What each rule that speaks about a requested role says. Pure. */
export function judgeRules(
  rules: readonly RuleContent[],
  requested: readonly Named[],
  facts: AutomationFacts,
): Judged[] {
  return rules.flatMap((rule): Judged[] => {
    const roles = rolesOfRule(rule, requested)
    if (roles.length === 0) return []
    return [
      {
        by: ruleVoter(rule.name),
        contentHash: rule.contentHash,
        roleIds: roles.map((role) => role.id),
        decides: rule.spec.decides,
        approveOnly: rule.spec.decision === 'approve',
        judgement: judgeRule(rule.spec, facts),
      },
    ]
  })
}

function judgeRule(spec: ReviewRuleSpec, facts: AutomationFacts): Judgement {
  if (spec.schedule && !windowIsOpen(spec.schedule, facts.now)) return ABSTAINS
  if (spec.condition === undefined) return { ok: true, verdicts: [verdictOf(spec)] }
  const { request, requester, now, oncall } = facts
  const seen = { ...request, durationMs: request.duration, createdAt: request.created }
  const result = evaluateCondition('condition', spec.condition, { request: seen, requester, now, oncall })
  if (!result.ok) return { ok: false, problem: result.problem.slice(0, 500) }
  if (!result.value) return ABSTAINS
  const ends = spec.decision === 'approve' ? shiftEnds(spec.condition, facts) : []
  return ends.length === 0 ? { ok: true, verdicts: [verdictOf(spec)] } : untilShiftEnds(spec, facts, Math.min(...ends))
}

function shiftEnds(condition: string, { oncall = {} }: AutomationFacts): number[] {
  return dutiesIn(condition).flatMap((duty) => {
    const fact = oncall[duty]
    return fact && 'on' in fact && fact.on ? [fact.until] : []
  })
}

/**
 * What somebody is given for being on call ends with the shift. Where that cannot be promised (it begins later, or moves an
 * end that may lie behind the shift's), people decide.
 */
function untilShiftEnds(spec: ReviewRuleSpec, { request, now }: AutomationFacts, until: number): Judgement {
  // The answer may be this old when the grant is written.
  const left = until - now - ANSWERS_FRESH_MS
  if (request.start !== 'approval' || request.kind === 'extension' || left < SHORTEST_SHIFT_MS) return ABSTAINS
  const bound: Verdict[] = left < request.duration ? [{ verdict: 'limit', duration: formatDuration(left) }] : []
  return { ok: true, verdicts: [verdictOf(spec), ...bound] }
}

const SHORTEST_SHIFT_MS = 60_000

const ABSTAINS: Judgement = { ok: true, verdicts: [{ verdict: 'abstain' }] }

function verdictOf({ decision, reason, require, limit }: ReviewRuleSpec): Verdict {
  switch (decision) {
    case 'approve':
      return { verdict: 'approve', reason }
    case 'deny':
      return { verdict: 'deny', reason }
    case 'require':
      return { verdict: 'require', group: require?.group ?? '', approvals: require?.approvals ?? 1 }
    case 'limit':
      return { verdict: 'limit', duration: limit ?? '' }
  }
}
