import { createHash } from 'node:crypto'
import type { Answers, PolicyAsker, Question } from '../access/automate/judge.ts'
import type { Judgement, PolicyContent } from '../access/automate/automation.ts'
import { putInForce, sourcesOf, type PolicyChanges } from '../access/automate/policies-in-force.ts'
import { canonicalJson } from '../formats/canonical-json.ts'
import type { Clock } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import { SYSTEM, type Doer } from '../identity/doer.ts'
import { compilePolicies, compilePolicy } from '../policies/compile-policies.ts'
import { PolicySandbox } from '../policies/policy-sandbox.ts'
import { PolicyProblem, readPolicyFolder } from '../policies/read-folder.ts'
import { runPolicyOn, type Runnable } from '../policies/run-policy.ts'
import type { Store } from './open-store.ts'
import { sandboxEntry } from './sandbox-entry.ts'

export interface PoliciesParts {
  readonly store: Pick<Store, 'database' | 'deeds'>
  /** null: there are none; what an earlier start had put in force is removed */
  readonly folder: string | null
  /** File of the program that runs, beside which the sandbox lies */
  readonly entry: string
  readonly clock: Clock
  readonly log: Log
}

/** The policies of the configured folder: put in force by hash, and run in their sandbox. */
export class Policies implements PolicyAsker {
  readonly #parts: PoliciesParts
  readonly #sandbox: PolicySandbox
  /** By content hash */
  readonly #runnable = new Map<string, Runnable>()

  constructor(parts: PoliciesParts) {
    this.#parts = parts
    this.#sandbox = new PolicySandbox({ entry: sandboxEntry(parts.entry), clock: parts.clock, log: parts.log })
  }

  /** Errors: Refused('malformed') with every fault and its place; then what was in force stays so. */
  async load(doer: Doer = SYSTEM): Promise<PolicyChanges> {
    const { folder, store } = this.#parts
    try {
      const sources =
        folder === null ? [] : await compilePolicies(this.#sandbox, readPolicyFolder(folder, { guarded: true }))
      for (const source of sources) this.#runnable.set(source.contentHash, source)
      return await putInForce(store.deeds, doer, sources)
    } catch (error) {
      if (!(error instanceof PolicyProblem)) throw error
      const problems = error.problems.slice(0, 20)
      throw new Refused('malformed', `policies: ${problems.join('\n')}`, 'sallyctl policy check DIR looks at them', {
        problems,
      })
    }
  }

  async ask(question: Question): Promise<Answers> {
    const judgements = new Map<string, Judgement>()
    for (const policy of question.policies) {
      const runnable = await this.#runnableOf(policy)
      judgements.set(
        policy.file,
        typeof runnable === 'string'
          ? { ok: false, problem: runnable }
          : await runPolicyOn(this.#sandbox, runnable, question.facts),
      )
    }
    return { question, judgements }
  }

  /** Another instance may have put it in force, or an earlier run: then its source is in the store. */
  async #runnableOf({ file, contentHash, zone }: PolicyContent): Promise<Runnable | string> {
    const known = this.#runnable.get(contentHash)
    if (known) return known
    try {
      const sources = await sourcesOf(this.#parts.store.database.reads, contentHash)
      if (!sources) return 'its source is not in the store'
      // An edit of the row behind our back is not run.
      if (createHash('sha256').update(canonicalJson(sources)).digest('hex') !== contentHash)
        return 'its source in the store is not what was put in force'
      const compiled = await compilePolicy(this.#sandbox, file, sources)
      if (typeof compiled === 'string') return compiled
      const runnable = { ...compiled, contentHash, zone }
      this.#runnable.set(contentHash, runnable)
      return runnable
    } catch (error) {
      this.#parts.log.error({ err: String(error), file }, 'a policy cannot be loaded')
      return 'it cannot be loaded'
    }
  }

  stop(): void {
    this.#sandbox.stop()
  }
}
