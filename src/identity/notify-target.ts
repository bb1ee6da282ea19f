import { NAME_PATTERN } from '../contract/common.ts'
import { conditionProblem, evaluateCondition, type ConditionFacts } from './conditions.ts'
import { reviewerFacts, type Person } from './role-rules.ts'

// Whom an escalation tells. Being told gives no right: who may review is another question, asked elsewhere.

export type NotifyTarget =
  | { readonly kind: 'user'; readonly name: string }
  | { readonly kind: 'role'; readonly name: string }
  /** All who may review the request */
  | { readonly kind: 'reviewers' }
  | { readonly kind: 'condition'; readonly text: string }

/** `bob`, `{role}`, `*`, or CEL: no name of a user or role is a condition that says anything. */
export function notifyTarget(text: string): NotifyTarget {
  if (text === '*') return { kind: 'reviewers' }
  if (NAME_PATTERN.test(text)) return { kind: 'user', name: text }
  const role = /^\{([^{}]*)\}$/.exec(text)?.[1]
  return role !== undefined && NAME_PATTERN.test(role) ? { kind: 'role', name: role } : { kind: 'condition', text }
}

/** Null, or why the text must not be written into a role. */
export function notifyProblem(text: string): string | null {
  const target = notifyTarget(text)
  if (target.kind !== 'condition') return null
  const problem = conditionProblem('where', target.text)
  return problem === null ? null : `"${text.slice(0, 60)}" is no user name, no {role} and no condition: ${problem}`
}

/** Whether this person is meant. A condition that fails tells nobody; `problems` takes why. */
export function isMeant(
  target: NotifyTarget,
  person: Person,
  mayReview: boolean,
  request: ConditionFacts['request'],
  problems: Set<string>,
): boolean {
  switch (target.kind) {
    case 'reviewers':
      return mayReview
    case 'user':
      return person.name === target.name
    case 'role':
      return person.roles.some((role) => role.name === target.name)
    case 'condition': {
      const result = evaluateCondition('where', target.text, { reviewer: reviewerFacts(person), request, review: null })
      if (!result.ok) problems.add(result.problem)
      return result.ok && result.value
    }
  }
}
