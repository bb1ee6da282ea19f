import { createHash } from 'node:crypto'
import { VERDICTS } from '../contract/policy.ts'
import { canonicalJson } from '../formats/canonical-json.ts'
import { PolicyProblem, type PolicyFolder } from './read-folder.ts'
import type { PolicySandbox } from './policy-sandbox.ts'

/** A policy file as it is put in force. */
export interface PolicySource {
  readonly file: string
  /** Canonical JSON of path -> TypeScript: the file and what it imports from its folder */
  readonly modulesJson: string
  readonly contentHash: string
  readonly approveOnly: boolean
  readonly zone: string
  /** JavaScript, with what @sallyport/sdk/policy stands for */
  readonly modules: Readonly<Record<string, string>>
}

/** Errors: PolicyProblem with a line for each file that cannot be used. */
export async function compilePolicies(sandbox: PolicySandbox, folder: PolicyFolder): Promise<PolicySource[]> {
  const done: PolicySource[] = []
  const problems: string[] = []
  for (const file of folder.files) {
    const compiled = await compilePolicy(sandbox, file, folder.sources)
    if (typeof compiled === 'string') problems.push(compiled)
    else done.push(compiled)
  }
  if (problems.length > 0) throw new PolicyProblem(problems)
  return done
}

/** A text: what is wrong, with its place. */
export async function compilePolicy(
  sandbox: PolicySandbox,
  file: string,
  sources: Readonly<Record<string, string>>,
): Promise<PolicySource | string> {
  const compiled = await sandbox.compile(file, sources)
  if (!compiled.ok) return /^\S+\.ts:\d+/.test(compiled.problem) ? compiled.problem : `${file}:1: ${compiled.problem}`
  const { modules, verdicts, zone } = compiled
  const unknown = (verdicts ?? []).find((name) => !VERDICTS.some((known) => known === name))
  if (unknown !== undefined) return `${file}:1: verdicts: "${unknown}" is none of ${VERDICTS.join(', ')}`
  if (zone !== null && !isZone(zone)) return `${file}:1: zone: "${zone}" is no time zone; write one like Europe/Berlin`
  const used = Object.fromEntries(Object.entries(sources).filter(([path]) => Object.hasOwn(modules, path)))
  const modulesJson = canonicalJson(used)
  return {
    file,
    modulesJson,
    contentHash: createHash('sha256').update(modulesJson).digest('hex'),
    approveOnly: verdicts?.every((name) => name === 'approve' || name === 'abstain') ?? false,
    zone: zone ?? 'UTC',
    modules,
  }
}

function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}
