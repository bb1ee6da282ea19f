import type { AutomationFacts } from '../../contract/policy.ts'
import type { Directory } from '../directory.ts'
import type { RequestFacts } from '../route/route-request.ts'
import { questionDigest } from './automation-facts.ts'
import {
  ANSWERS_FRESH_MS,
  policyVoter,
  type Automation,
  type Judged,
  type Judgement,
  type PolicyContent,
} from './automation.ts'
import { judgeRules } from './judge-rules.ts'
import type { OnCallBasis } from './on-call.ts'

/** What policies are to be asked about one request, and what has to be found out first. */
export interface Question {
  readonly policies: readonly PolicyContent[]
  readonly facts: AutomationFacts
  /** Null: nobody's duty is of interest */
  readonly onCall: OnCallBasis | null
  /** Of all that their answers depend on */
  readonly digest: string
}

export interface Answers {
  /** With the duties in its facts */
  readonly question: Question
  /** By file */
  readonly judgements: ReadonlyMap<string, Judgement>
}

/** Runs policies. They are code: outside of every transaction. */
export interface PolicyAsker {
  /** Never rejects: a policy that cannot be asked has failed. */
  ask(question: Question): Promise<Answers>
}

/** Thrown inside a deed that needs answers of policies which it was not given: it is done again with them. */
export class PoliciesUnasked extends Error {
  override readonly name = 'PoliciesUnasked'
  readonly question: Question

  constructor(question: Question) {
    super('policies have to be asked first')
    this.question = question
  }
}

/**
 * What rules and policies say of a request now. Throws PoliciesUnasked when there are policies or duties to ask for, and
 * `answers` are not about exactly this.
 */
export function judge(
  directory: Pick<Directory, 'reviewRules' | 'policies'>,
  { roles, policies }: Pick<RequestFacts, 'roles' | 'policies'>,
  facts: AutomationFacts,
  answers: Answers | null,
  onCall: OnCallBasis | null,
): Automation {
  const asks = directory.policies.length > 0 || onCall !== null
  if (asks) {
    const digest = questionDigest(facts, { policies }, onCall)
    const question = { policies: directory.policies, facts, onCall, digest }
    if (!answersIt(answers, question)) throw new PoliciesUnasked(question)
  }
  const seen = asks && answers ? answers.question.facts : facts
  const judgedByPolicies = directory.policies.map((policy): Judged => {
    const judgement = answers?.judgements.get(policy.file) ?? { ok: false, problem: 'it was not asked' }
    return {
      by: policyVoter(policy.file),
      contentHash: policy.contentHash,
      roleIds: roles.map((role) => role.id),
      decides: false,
      approveOnly: policy.approveOnly,
      judgement,
    }
  })
  return { facts: seen, judged: [...judgeRules(directory.reviewRules, roles, seen), ...judgedByPolicies] }
}

function answersIt(answers: Answers | null, { facts, digest }: Question): answers is Answers {
  if (answers?.question.digest !== digest) return false
  return Math.abs(facts.now - answers.question.facts.now) <= ANSWERS_FRESH_MS
}
