// FunctionCall, which clients of libpq and JDBC use for large objects and for nothing else.
//   int32 oid | int16 n | int16 format (n times) | int16 m | (int32 length | value) m times | int16 format of the result

import { SQLSTATE } from './codes.ts'
import { ProtocolError } from './protocol-error.ts'

/** By the fixed ids that PostgreSQL's own catalog gives them; `writes`: not where access is read-only */
const LARGE_OBJECT: ReadonlyMap<number, { readonly name: string; readonly writes: boolean }> = new Map([
  [715, { name: 'lo_create', writes: true }],
  [952, { name: 'lo_open', writes: false }],
  [953, { name: 'lo_close', writes: false }],
  [954, { name: 'loread', writes: false }],
  [955, { name: 'lowrite', writes: true }],
  [956, { name: 'lo_lseek', writes: false }],
  [957, { name: 'lo_creat', writes: true }],
  [958, { name: 'lo_tell', writes: false }],
  [964, { name: 'lo_unlink', writes: true }],
  [1004, { name: 'lo_truncate', writes: true }],
  [3170, { name: 'lo_lseek64', writes: false }],
  [3171, { name: 'lo_tell64', writes: false }],
  [3172, { name: 'lo_truncate64', writes: true }],
])

export interface FunctionCall {
  /** `lo_open(4242, 262144)`, `lowrite(0, 16384 bytes)`: numbers as they are, data by its length */
  readonly text: string
  readonly writes: boolean
}

/** Errors: ProtocolError, also for every function that is none of large objects. */
export function readFunctionCall(body: Buffer): FunctionCall {
  const known = body.length < 4 ? undefined : LARGE_OBJECT.get(body.readUInt32BE(0))
  if (!known) throw notPassedOn()
  return { text: `${known.name}(${readArguments(body).join(', ')})`, writes: known.writes }
}

const notPassedOn = (): ProtocolError =>
  new ProtocolError(
    'function calls of the protocol (fastpath) are passed on for large objects alone',
    SQLSTATE.featureNotSupported,
  )

/** None of these functions takes more. */
const MOST_ARGUMENTS = 3

function readArguments(body: Buffer): readonly string[] {
  try {
    let at = 6 + 2 * body.readUInt16BE(4)
    const count = body.readUInt16BE(at)
    at += 2
    if (count > MOST_ARGUMENTS) throw new RangeError('too many')
    return Array.from({ length: count }, () => {
      const length = body.readInt32BE(at)
      const value = body.subarray(at + 4, at + 4 + Math.max(0, length))
      if (length > 0 && value.length < length) throw new RangeError('cut off')
      at += 4 + value.length
      return shown(value, length)
    })
  } catch {
    throw new ProtocolError('malformed function call')
  }
}

function shown(value: Buffer, length: number): string {
  if (length < 0) return 'null'
  if (length === 4) return String(value.readInt32BE())
  if (length === 8) return String(value.readBigInt64BE())
  return `${length} bytes`
}
