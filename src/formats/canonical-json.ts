/** Deeper values are refused, which also ends a value that contains itself. */
const DEEPEST = 64

/**
 * JSON with one spelling for each value (RFC 8785): keys sorted by UTF-16 code units, no blanks, ECMAScript numbers.
 * Errors: TypeError for what JSON cannot say exactly: undefined, functions, bigints, symbols, NaN and infinities, lone
 * surrogates, objects with a class, and values nested deeper than 64.
 */
export function canonicalJson(value: unknown): string {
  return write(value, 0)
}

function write(value: unknown, depth: number): string {
  if (depth > DEEPEST) throw new TypeError(`nested deeper than ${String(DEEPEST)}`)
  switch (typeof value) {
    case 'string':
      return writeString(value)
    case 'number':
      if (!Number.isFinite(value)) throw new TypeError(`${String(value)} is no JSON number`)
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'object':
      if (value === null) return 'null'
      if (Array.isArray(value)) return writeArray(value, depth)
      return writeObject(value, depth)
    default:
      throw new TypeError(`${typeof value} has no place in JSON`)
  }
}

function writeString(text: string): string {
  if (!text.isWellFormed()) throw new TypeError('a string with a lone surrogate has no UTF-8 form')
  return JSON.stringify(text)
}

function writeArray(items: readonly unknown[], depth: number): string {
  // Not map(): it would leave the holes of a sparse array out.
  const parts: string[] = []
  for (const item of items) parts.push(write(item, depth + 1))
  return `[${parts.join(',')}]`
}

function writeObject(object: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object)
  // node:sqlite's rows have no prototype; objects from another realm (structured clone in a test runner) have its Object's.
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    throw new TypeError('only plain objects are JSON')
  const parts: string[] = []
  for (const key of Object.keys(object).sort()) {
    parts.push(`${writeString(key)}:${write((object as Record<string, unknown>)[key], depth + 1)}`)
  }
  return `{${parts.join(',')}}`
}
