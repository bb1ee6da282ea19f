import type { LabelSelector } from '../contract/role.ts'

export type Labels = Readonly<Record<string, string>>
type MatchValue = (pattern: string, value: string) => boolean

/**
 * Each key of the selector must be a label with one of the values; key `*` with value `*` is any resource. An empty
 * selector selects nothing: deny by default. Values are compared by `matches`, the one pattern function (identity/patterns).
 */
export function selectsLabels(selector: LabelSelector, labels: Labels, matches: MatchValue): boolean {
  const entries = entriesOf(selector)
  return entries.length > 0 && entries.every(([key, wanted]) => labelIsWanted(key, wanted, labels, matches))
}

type Entries = readonly (readonly [key: string, wanted: readonly string[]])[]
const known = new WeakMap<LabelSelector, Entries>()

/** A selector is part of a role's revision, which never changes and is asked about many resources. */
function entriesOf(selector: LabelSelector): Entries {
  let entries = known.get(selector)
  if (!entries) {
    entries = Object.entries(selector).map(([key, wanted]) => [key, asList(wanted)] as const)
    known.set(selector, entries)
  }
  return entries
}

const asList = (wanted: string | readonly string[]): readonly string[] =>
  typeof wanted === 'string' ? [wanted] : wanted

function labelIsWanted(key: string, wanted: readonly string[], labels: Labels, matches: MatchValue): boolean {
  if (key === '*') return wanted.includes('*')
  const value = Object.hasOwn(labels, key) ? labels[key] : undefined
  return value !== undefined && wanted.some((pattern) => matches(pattern, value))
}

/** Sentences for what could never select anything or would not compile. */
export function selectorProblems(
  selector: LabelSelector,
  patternProblem: (pattern: string) => string | null,
): string[] {
  return Object.entries(selector).flatMap(([key, wanted]) => {
    if (key === '*' && !asList(wanted).includes('*'))
      return ["label '*' stands for every label and takes only the value '*'"]
    return asList(wanted).flatMap((pattern) => patternProblem(pattern) ?? [])
  })
}
