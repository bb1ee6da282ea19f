import { RE2JS } from 're2js'

// One grammar for every pattern in a role: an exact name, a glob in which `*` stands for any run of characters, or
// `^regex$`. A regex is RE2 (linear time) and always covers the whole name, so `^a|b$` is `a` or `b` and nothing longer.

const COMPILED_LIMIT = 2000
const compiled = new Map<string, RE2JS>()

const isRegex = (pattern: string): boolean => pattern.startsWith('^')

/** It may stand for several names. */
export const isPattern = (text: string): boolean => isRegex(text) || text.includes('*')

/** Null, or a sentence that says what is wrong with the pattern. `alphabet` is what an exact name may be made of. */
export function patternProblem(pattern: string, alphabet: RegExp = /^[a-z0-9._*-]+$/): string | null {
  if (pattern === '') return 'a pattern must not be empty'
  if (!isRegex(pattern)) {
    if (pattern.endsWith('$')) return `"${pattern}" ends with $ but does not start with ^: a regex needs both`
    return alphabet.test(pattern) ? null : `"${pattern}" holds characters that no name can have; a regex is ^...$`
  }
  if (!/[^\\](?:\\\\)*\$$/.test(pattern))
    return `"${pattern}" starts with ^ but does not end with $: a regex needs both`
  try {
    compile(pattern)
    return null
  } catch (error) {
    return `"${pattern}" is no RE2 expression: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** Any text but control characters: label values are free. */
export const FREE_ALPHABET = /^[^\p{Cc}]*$/u

function compile(pattern: string): RE2JS {
  const known = compiled.get(pattern)
  if (known) return known
  const fresh = isRegex(pattern) ? RE2JS.compile(pattern) : globAsRegex(pattern)
  if (compiled.size >= COMPILED_LIMIT) compiled.clear()
  compiled.set(pattern, fresh)
  return fresh
}

function globAsRegex(pattern: string): RE2JS {
  const parts = pattern.split('*').map((part) => RE2JS.quote(part))
  return RE2JS.compile(parts.join('.*'), RE2JS.DOTALL)
}

const globs = new Map<string, readonly string[] | null>()

/** The parts of a glob between its stars; null: not well-formed, so that a part might match half a character. */
function globParts(pattern: string): readonly string[] | null {
  const known = globs.get(pattern)
  if (known !== undefined) return known
  const parts = pattern.isWellFormed() ? pattern.split('*') : null
  if (globs.size >= COMPILED_LIMIT) globs.clear()
  globs.set(pattern, parts)
  return parts
}

/** Each part at its first place behind the one before, the last at the end: in linear time for each part. */
function matchesGlob(parts: readonly string[], name: string): boolean {
  const [first = ''] = parts
  const last = parts.at(-1) ?? ''
  const end = name.length - last.length
  if (end < first.length || !name.startsWith(first) || !name.endsWith(last)) return false
  let from = first.length
  for (let index = 1; index < parts.length - 1; index++) {
    const part = parts[index] ?? ''
    const at = name.indexOf(part, from)
    if (at === -1 || at + part.length > end) return false
    from = at + part.length
  }
  return true
}

/** The matching function of the whole product. A pattern that does not compile throws: it was refused when written. */
export function matchesPattern(pattern: string, name: string): boolean {
  if (!isPattern(pattern)) return pattern === name
  if (isRegex(pattern)) return compile(pattern).matches(name)
  const parts = globParts(pattern)
  return parts ? matchesGlob(parts, name) : compile(pattern).matches(name)
}

export function matchesAny(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => matchesPattern(pattern, name))
}

/** Capture groups of a match of the whole text ($0 first), or null. Groups that took no part are empty. */
export function captureGroups(pattern: string, text: string): readonly string[] | null {
  if (!isRegex(pattern)) return matchesPattern(pattern, text) ? [text] : null
  const matcher = compile(pattern).matcher(text)
  if (!matcher.matches()) return null
  return Array.from({ length: matcher.groupCount() + 1 }, (_, index) => matcher.group(index) ?? '')
}
