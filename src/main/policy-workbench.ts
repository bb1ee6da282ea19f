import { CommandFailed } from '../cli/shared/command-failed.ts'
import type { OpenWorkbench, PolicyWorkbench } from '../cli/shared/command-context.ts'
import { systemClock } from '../foundation/clock.ts'
import { silentLog } from '../foundation/log.ts'
import { compilePolicies, compilePolicy, type PolicySource } from '../policies/compile-policies.ts'
import { PolicySandbox } from '../policies/policy-sandbox.ts'
import { PolicyProblem, readPolicyFolder } from '../policies/read-folder.ts'
import { runPolicyOn } from '../policies/run-policy.ts'
import { sandboxEntry } from './sandbox-entry.ts'

/** The same sandbox as the daemon's, for policies that are in force nowhere. */
export async function openWorkbench(from: Parameters<OpenWorkbench>[0], program: string): Promise<PolicyWorkbench> {
  const sandbox = new PolicySandbox({ entry: sandboxEntry(program), clock: systemClock, log: silentLog })
  try {
    const policies = new Map((await compiled(sandbox, from)).map((policy) => [policy.file, policy]))
    return {
      files: [...policies.keys()].sort(),
      judge(file, facts) {
        const policy = policies.get(file)
        return policy
          ? runPolicyOn(sandbox, policy, facts)
          : Promise.resolve({ ok: false, problem: 'there is no such file' })
      },
      close: () => sandbox.stop(),
    }
  } catch (error) {
    sandbox.stop()
    if (error instanceof PolicyProblem) throw new CommandFailed('usage', error.problems.join('\n'))
    throw error
  }
}

async function compiled(sandbox: PolicySandbox, from: Parameters<OpenWorkbench>[0]): Promise<readonly PolicySource[]> {
  if ('folder' in from) return compilePolicies(sandbox, readPolicyFolder(from.folder, { guarded: false }))
  const done: PolicySource[] = []
  for (const [file, sources] of Object.entries(from.policies)) {
    const policy = await compilePolicy(sandbox, file, sources)
    if (typeof policy === 'string') throw new PolicyProblem([policy])
    done.push(policy)
  }
  return done
}
