import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

// DIR/*.ts are policies, each of them; DIR/lib/*.ts is what they may import besides one another.

const FILE = /^[a-z0-9][a-z0-9._-]{0,62}\.ts$/
const MOST_FILES = 100
const LONGEST_FILE = 256 * 1024

export interface PolicyFolder {
  /** Policies, sorted */
  readonly files: readonly string[]
  /** All sources by path */
  readonly sources: Readonly<Record<string, string>>
}

/** What is wrong with a folder of policies, one line each, with its place. */
export class PolicyProblem extends Error {
  override readonly name = 'PolicyProblem'
  readonly problems: readonly string[]
  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}

/**
 * Errors: PolicyProblem. A policy is authority: with `guarded` a folder or file that group or others may write, or that
 * belongs to somebody else than root or us, is refused.
 */
export function readPolicyFolder(folder: string, { guarded }: { readonly guarded: boolean }): PolicyFolder {
  const problems: string[] = []
  const read = (under: string): Record<string, string> => {
    const sources: Record<string, string> = {}
    for (const name of namesIn(folder, under, guarded, problems)) {
      const path = under === '' ? name : `${under}/${name}`
      const source = readSource(join(folder, path), path, guarded, problems)
      if (source !== null) sources[path] = source
    }
    return sources
  }
  const policies = read('')
  const sources = { ...policies, ...read('lib') }
  if (Object.keys(sources).length > MOST_FILES) problems.push(`${folder}: more than ${MOST_FILES} files`)
  if (problems.length > 0) throw new PolicyProblem(problems)
  return { files: Object.keys(policies).sort(), sources }
}

function namesIn(folder: string, under: string, guarded: boolean, problems: string[]): string[] {
  const path = join(folder, under)
  try {
    const trouble = guarded ? openness(path) : null
    if (trouble !== null) problems.push(`${path}: ${trouble}`)
    const names = readdirSync(path).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    for (const name of names) if (!FILE.test(name)) problems.push(`${join(under, name)}: a file is named a-z 0-9 . _ -`)
    return names.filter((name) => FILE.test(name)).sort()
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!(missing && under !== '')) problems.push(`${path} cannot be read: ${(error as Error).message}`)
    return []
  }
}

function readSource(file: string, path: string, guarded: boolean, problems: string[]): string | null {
  try {
    const trouble = guarded ? openness(file) : null
    if (trouble !== null) problems.push(`${path}: ${trouble}`)
    const bytes = readFileSync(file)
    if (bytes.length > LONGEST_FILE) problems.push(`${path}: longer than ${LONGEST_FILE / 1024} KiB`)
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    problems.push(`${path} cannot be read: ${(error as Error).message}`)
    return null
  }
}

function openness(path: string): string | null {
  const { uid, mode } = lstatSync(path)
  if (uid !== 0 && uid !== process.getuid?.()) return 'belongs to another user'
  return (mode & 0o022) === 0 ? null : 'may be written by group or others; chmod go-w'
}
