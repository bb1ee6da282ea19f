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
      return Array.isArray(value) ? writeArray(value, depth) : writeObject(value, depth)
    default:
      throw new TypeError(`${typeof value} has no place in JSON`)
  }
}

/** Nothing in it is escaped. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/
/** Above it, asking whether a text is plain costs more than it saves. */
const LONGEST_PLAIN = 64

function writeString(text: string): string {
  if (text.length <= LONGEST_PLAIN && PLAIN.test(text)) return `"${text}"`
  if (!text.isWellFormed()) throw new TypeError('a string with a lone surrogate has no UTF-8 form')
  return JSON.stringify(text)
}

function writeArray(items: readonly unknown[], depth: number): string {
  let text = '['
  // Not map(): it would leave the holes of a sparse array out.
  for (const item of items) text += `${text.length === 1 ? '' : ','}${write(item, depth + 1)}`
  return `${text}]`
}

function writeObject(object: object, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(object)
  // node:sqlite's rows have no prototype; objects from another realm (structured clone in a test runner) have its Object's.
  if (prototype !== null && prototype !== Object.prototype && Object.getPrototypeOf(prototype) !== null)
    throw new TypeError('only plain objects are JSON')
  let text = '{'
  for (const key of sorted(Object.keys(object))) {
    const value = write((object as Record<string, unknown>)[key], depth + 1)
    text += `${text.length === 1 ? '' : ','}${keyText(key)}${value}`
  }
  return `${text}}`
}

/** In place. Objects that were read from canonical JSON are in order already. */
function sorted(keys: string[]): string[] {
  for (let place = 1; place < keys.length; place++)
    if ((keys[place] ?? '') < (keys[place - 1] ?? '')) return keys.sort()
  return keys
}

/** Keys come again and again. */
const MOST_KEYS = 2000
const keyTexts = new Map<string, string>()

function keyText(key: string): string {
  const known = keyTexts.get(key)
  if (known !== undefined) return known
  const text = `${writeString(key)}:`
  if (keyTexts.size >= MOST_KEYS) keyTexts.clear()
  keyTexts.set(key, text)
  return text
}
