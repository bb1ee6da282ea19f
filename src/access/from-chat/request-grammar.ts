import { parseDuration } from '../../contract/duration.ts'

// What is typed behind `/access request`: ROLE[,ROLE...] [on RESOURCE[,RESOURCE...]] [as ACCOUNT] [from START] [for LENGTH].
// Each part once, in any order behind the roles. What has a slash is a resource wherever it stands: no role has one.

export interface RequestWords {
  readonly roles: readonly string[]
  /** `node/db-1`, or `db-1` for whatever has that name */
  readonly resources: readonly string[]
  /** The only login or db user that is wanted; null: all */
  readonly account: string | null
  /** As typed; null: at the approval */
  readonly start: string | null
  /** Null: as long as it may be */
  readonly durationMs: number | null
}

type Read<T> = ({ readonly ok: true } & T) | { readonly ok: false; readonly message: string }
type Part = 'named' | 'on' | 'as' | 'from' | 'for'

const PARTS: Readonly<Record<string, Part>> = { on: 'on', as: 'as', from: 'from', at: 'from', for: 'for' }
const EXAMPLE = 'write: request ROLE for 1h: REASON, or: request on node/NAME for 1h: REASON'
const MOST_ROLES = 50
const MOST_RESOURCES = 300

/** Never throws, whatever was typed. */
export function readRequestWords(words: readonly string[]): Read<{ readonly words: RequestWords }> {
  const parts = partsOf(words)
  if (!parts.ok) return parts
  const { found } = parts
  const named = namesIn(found.get('named') ?? [])
  const roles = named.filter((name) => !name.includes('/'))
  const resources = [...named.filter((name) => name.includes('/')), ...namesIn(found.get('on') ?? [])]
  if (roles.length + resources.length === 0) return wrong(`what do you need? ${EXAMPLE}`)
  if (roles.length > MOST_ROLES) return wrong(`a request names at most ${MOST_ROLES} roles`)
  if (resources.length > MOST_RESOURCES) return wrong(`a request names at most ${MOST_RESOURCES} resources`)
  const [account, ...others] = namesIn(found.get('as') ?? [])
  if (others.length > 0) return wrong('a request is narrowed to one login or db user')
  const start = found.get('from')?.join(' ') ?? null
  const length = found.get('for')
  const durationMs = length === undefined ? null : readLengthWords(length)
  if (durationMs !== null && !durationMs.ok) return durationMs
  return { ok: true, words: { roles, resources, account: account ?? null, start, durationMs: durationMs?.ms ?? null } }
}

/** The words of each part. An empty one is said to be missing. */
function partsOf(words: readonly string[]): Read<{ readonly found: ReadonlyMap<Part, readonly string[]> }> {
  const found = new Map<Part, string[]>()
  let part: Part = 'named'
  for (const word of words) {
    const next = Object.hasOwn(PARTS, word.toLowerCase()) ? PARTS[word.toLowerCase()] : undefined
    if (next === undefined) {
      found.set(part, [...(found.get(part) ?? []), word])
      continue
    }
    if (found.has(next)) return wrong(`"${word}" stands there twice`)
    found.set(next, [])
    part = next
  }
  for (const [name, what] of found) if (what.length === 0) return wrong(MISSING[name])
  return { ok: true, found }
}

const MISSING: Readonly<Record<Part, string>> = {
  named: EXAMPLE,
  on: 'on what? write: on node/NAME, or several with commas between them',
  as: 'as whom? write: as LOGIN',
  from: 'from when? write: from 18:00 UTC, from 2026-11-23T18:00Z, from +2h or from first-use',
  for: 'for how long? write 30m, 1h or 1h30m',
}

/** Names with commas or blanks between them. */
export const namesIn = (words: readonly string[]): string[] =>
  words
    .join(' ')
    .split(/[\s,]+/u)
    .filter((name) => name !== '')

/** `1h 30m` is `1h30m`. */
export function readLengthWords(words: readonly string[]): Read<{ readonly ms: number }> {
  if (words.length === 0) return wrong(MISSING.for)
  return parseDuration(words.join('').toLowerCase())
}

/**
 * Where the reason begins: behind the first colon that is not of a time of day (`from 18:00`, `at 2026-11-23T18:00+01:00`).
 * -1: there is none.
 */
export function reasonColon(text: string): number {
  for (let at = text.indexOf(':'); at >= 0; at = text.indexOf(':', at + 1)) {
    const isOfTime =
      /^\d\d(?!\d)/.test(text.slice(at + 1, at + 4)) && TIME_BEFORE.test(text.slice(Math.max(0, at - 60), at))
    if (!isOfTime) return at
  }
  return -1
}

const TIME_BEFORE = /(?:^|\s)(?:from|at)\s+(?:\d{4}-\d\d-\d\d[T\s])?(?:\d{1,2}|\d{1,2}:\d\d(?::\d\d)?[+-]\d\d)$/i

const wrong = (message: string): { ok: false; message: string } => ({ ok: false, message })
