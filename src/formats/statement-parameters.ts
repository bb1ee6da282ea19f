// The parameters of one statement as they are recorded, which is as PostgreSQL's Bind message has them (big-endian):
//
//   uint16 formats | uint16 format each (0 text, 1 binary) | uint16 count | for each: int32 length, -1 is NULL | bytes
//
// No format given means text, one means that of all. What follows the last value is ignored. Only the front part may have
// been kept (LONGEST_KEPT): a value that was cut is left out.

export interface RecordedParameter {
  readonly format: 'text' | 'binary'
  /** null: NULL */
  readonly bytes: Uint8Array | null
}

export interface RecordedParameters {
  /** In order, as many as were kept */
  readonly values: readonly RecordedParameter[]
  /** How many there were */
  readonly count: number
}

const LARGEST_UINT16 = 65_535

/** For protocols whose parameters look otherwise: values as text, null is NULL. Errors: RangeError over 65,535 values. */
export function encodeParameters(values: readonly (Uint8Array | null)[]): Buffer {
  if (values.length > LARGEST_UINT16) throw new RangeError('more than 65,535 parameters')
  const size = values.reduce((sum, value) => sum + 4 + (value?.length ?? 0), 4)
  const into = Buffer.allocUnsafe(size)
  into.writeUInt16BE(0, 0)
  into.writeUInt16BE(values.length, 2)
  let at = 4
  for (const value of values) {
    at = into.writeInt32BE(value?.length ?? -1, at)
    if (value === null) continue
    into.set(value, at)
    at += value.length
  }
  return into
}

/** Whatever the bytes are: what cannot be read ends the values. */
export function decodeParameters(bytes: Uint8Array): RecordedParameters {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (from.length < 2) return { values: [], count: 0 }
  const formats = from.readUInt16BE(0)
  let at = 2 + formats * 2
  if (from.length < at + 2) return { values: [], count: 0 }
  const count = from.readUInt16BE(at)
  at += 2
  const values: RecordedParameter[] = []
  while (values.length < count && from.length >= at + 4) {
    const length = from.readInt32BE(at)
    at += 4
    if (from.length < at + length) break
    const which = formats > 1 ? values.length : 0
    const isBinary = which < formats && from.readUInt16BE(2 + which * 2) !== 0
    values.push({ format: isBinary ? 'binary' : 'text', bytes: length < 0 ? null : from.subarray(at, at + length) })
    at += Math.max(0, length)
  }
  return { values, count }
}
