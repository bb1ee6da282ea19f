import type { AutomationFacts, Verdict } from '../../contract/policy.ts'
import type { ReviewRuleSpec } from '../../contract/review-rule.ts'
import { evaluateCondition } from '../../identity/conditions.ts'
import { matchesAny } from '../../identity/patterns.ts'
import { windowIsOpen } from '../../identity/time-window.ts'
import { ruleVoter, type Judged, type Judgement, type RuleContent } from './automation.ts'

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
  const { request, requester, now } = facts
  const seen = { ...request, durationMs: request.duration, createdAt: request.created }
  const result = evaluateCondition('condition', spec.condition, { request: seen, requester, now })
  if (!result.ok) return { ok: false, problem: result.problem.slice(0, 500) }
  return result.value ? { ok: true, verdicts: [verdictOf(spec)] } : ABSTAINS
}

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
