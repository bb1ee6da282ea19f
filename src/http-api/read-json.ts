import { Refused } from '../foundation/errors.ts'

export const BODY_LIMIT = 1_048_576
const DEEPEST = 32
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Parses a body. Refuses what is no UTF-8, no JSON, nested deeper than 32, or has a key `__proto__`. */
export function readJson(bytes: Uint8Array): unknown {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw new Refused('malformed', 'the body is not UTF-8')
  }
  if (isTooDeep(text)) throw new Refused('malformed', `the body is nested deeper than ${DEEPEST}`)
  try {
    return JSON.parse(text, refuseProto) as unknown
  } catch (error) {
    if (error instanceof Refused) throw error
    throw new Refused('malformed', 'the body is not JSON')
  }
}

function refuseProto(key: string, value: unknown): unknown {
  if (key === '__proto__') throw new Refused('malformed', 'unknown key "__proto__"')
  return value
}

/** Looks at brackets outside of strings, before the parser builds anything. */
function isTooDeep(text: string): boolean {
  let depth = 0
  let inString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (inString) {
      if (code === 0x5c) at++
      else if (code === 0x22) inString = false
    } else if (code === 0x22) inString = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > DEEPEST) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}
