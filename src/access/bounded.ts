import { hash } from 'node:crypto'
import { canonicalJson } from '../formats/canonical-json.ts'

/** Four of them must fit into one event. */
const LONGEST_DETAIL = 14_000

/** An event has a size limit, and a deed must not fail for its length: what is too long is named by its hash. */
export function bounded(value: unknown): unknown {
  // In whatever order its keys stand, it is as long. What is no JSON is refused when the event is written.
  const { length } = JSON.stringify(value) ?? ''
  return length <= LONGEST_DETAIL ? value : { tooLong: length, sha256: hash('sha256', canonicalJson(value)) }
}
