import type { Judgement } from '../../src/access/automate/automation.ts'
import type { PolicyAsker } from '../../src/access/automate/judge.ts'

const APPROVES: Judgement = { ok: true, verdicts: [{ verdict: 'approve', reason: 'as ever' }] }

/** Whatever policies stand in the store, each of them approves. */
export const approvingPolicies: PolicyAsker = {
  ask: (question) =>
    Promise.resolve({ question, judgements: new Map(question.policies.map(({ file }) => [file, APPROVES])) }),
}
