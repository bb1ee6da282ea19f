import { Verdicts, type AutomationFacts, type Verdict } from '../contract/policy.ts'
import type { PolicySource } from './compile-policies.ts'
import { policyFacts } from './policy-facts.ts'
import type { PolicySandbox } from './policy-sandbox.ts'

type Judgement =
  | { readonly ok: true; readonly verdicts: readonly Verdict[] }
  | { readonly ok: false; readonly problem: string }

export type Runnable = Pick<PolicySource, 'file' | 'contentHash' | 'modules' | 'zone'>

/** What the policy says of these facts. Never rejects: whatever goes wrong, the policy has failed. */
export async function runPolicyOn(
  sandbox: PolicySandbox,
  { file, contentHash, modules, zone }: Runnable,
  facts: AutomationFacts,
): Promise<Judgement> {
  try {
    const outcome = await sandbox.run(contentHash, file, modules, policyFacts(facts, zone))
    if (!outcome.ok) return outcome
    const checked = Verdicts.safeParse(JSON.parse(outcome.answer))
    if (checked.success) return { ok: true, verdicts: checked.data }
    const [issue] = checked.error.issues
    return { ok: false, problem: `its answer is no verdict: ${issue?.message ?? ''}`.slice(0, 500) }
  } catch (error) {
    return { ok: false, problem: `it could not be asked: ${String(error)}`.slice(0, 500) }
  }
}
