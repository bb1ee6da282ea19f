import { parseDuration } from '../../contract/duration.ts'
import type { ReviewRuleSpec } from '../../contract/review-rule.ts'
import { conditionProblem } from '../../identity/conditions.ts'
import { patternProblem } from '../../identity/patterns.ts'

/** What is wrong with a review rule beyond its shape, one sentence each, with its place. Empty: it may be written. */
export function ruleProblems(spec: ReviewRuleSpec): string[] {
  return [
    ...spec.roles.flatMap((pattern) => at('roles', patternProblem(pattern))),
    ...(spec.condition === undefined ? [] : at('condition', conditionProblem('condition', spec.condition))),
    ...companionProblems(spec),
  ]
}

const at = (place: string, problem: string | null): string[] => (problem === null ? [] : [`${place}: ${problem}`])

/** `require`, `limit` and `decides` stand with their decision and with no other. */
function companionProblems({ decision, require, limit, decides, reason }: ReviewRuleSpec): string[] {
  const problems: string[] = []
  if ((decision === 'require') !== (require !== undefined))
    problems.push('require: stands with decision: require, and only there')
  if ((decision === 'limit') !== (limit !== undefined))
    problems.push('limit: stands with decision: limit, and only there')
  if (decides && decision !== 'approve') problems.push('decides: only a rule that approves can decide')
  if (decision === 'deny' && reason === '') problems.push('reason: a denial says why')
  const longest = limit === undefined ? null : parseDuration(limit)
  if (longest && !longest.ok) problems.push(`limit: ${longest.message}`)
  return problems
}
