import { Refused } from '../../foundation/errors.ts'
import { PoliciesUnasked, type Answers, type PolicyAsker } from './judge.ts'

/** Facts that change each time while policies are asked are somebody's busy hour, not a reason to go on for ever. */
const MOST_TRIES = 5

/**
 * Does a deed that may need answers of policies: it is tried, the policies are asked what it turned out to need, outside of
 * any transaction, and it is tried again. Whether the answers still fit is judged inside, on what is stored then.
 * Errors: Refused('changed_meanwhile') when the facts never stand still, and the deed's own.
 */
export async function withPolicies<T>(asker: PolicyAsker, deed: (answers: Answers | null) => Promise<T>): Promise<T> {
  let answers: Answers | null = null
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    try {
      return await deed(answers)
    } catch (error) {
      if (!(error instanceof PoliciesUnasked)) throw error
      answers = await asker.ask(error.question)
    }
  }
  throw new Refused(
    'changed_meanwhile',
    'roles, rules or policies changed each time the policies were asked',
    'try again',
  )
}

/** Where policies stand in the store and nothing can run them: each of them has failed. */
export const NO_SANDBOX: PolicyAsker = {
  ask: (question) => {
    const failed = { ok: false, problem: 'there is nothing to run policies here' } as const
    return Promise.resolve({
      question,
      judgements: new Map(question.policies.map((policy) => [policy.file, failed])),
    })
  },
}
