// The little of DER (X.690) that our certificates are made of: byte tag | length, short or long form | content.

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

export interface Element {
  readonly tag: number
  /** Where its content begins and ends */
  readonly at: number
  readonly end: number
}

/** The element that begins at `from`; null: there is none, or it is cut. Lengths of up to three bytes. */
export function element(der: Buffer, from: number): Element | null {
  const tag = der[from]
  const first = der[from + 1]
  if (tag === undefined || first === undefined) return null
  const bytes = first < 0x80 ? 0 : first & 0x7f
  if (bytes > 3 || from + 2 + bytes > der.length) return null
  const length = bytes === 0 ? first : der.readUIntBE(from + 2, bytes)
  const at = from + 2 + bytes
  return at + length > der.length ? null : { tag, at, end: at + length }
}

export function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const length = contents.reduce((sum, { length: one }) => sum + one, 0)
  return Buffer.concat([Buffer.of(tag, ...lengthOf(length)), ...contents])
}

function lengthOf(length: number): number[] {
  if (length < 0x80) return [length]
  if (length < 0x100) return [0x81, length]
  if (length < 0x10000) return [0x82, length >> 8, length & 0xff]
  throw new RangeError('no element of ours is so long')
}

/** `1.2.840.10045.4.3.2`; the first two arcs share a byte. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...arcs] = dotted.split('.').map(Number)
  return der(TAG.oid, Buffer.from([first * 40 + second, ...arcs.flatMap(base128)]))
}

function base128(arc: number): number[] {
  const digits = [arc & 0x7f]
  for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift((left & 0x7f) | 0x80)
  return digits
}

/** To the second. UTCTime until 2049, GeneralizedTime from then on (RFC 5280 section 4.1.2.5). */
export function time(ms: number): Buffer {
  const digits = `${new Date(ms).toISOString().replace(/\D/g, '').slice(0, 14)}Z`
  const year = Number(digits.slice(0, 4))
  const isShort = year >= 1950 && year < 2050
  return der(isShort ? TAG.utcTime : TAG.generalizedTime, Buffer.from(isShort ? digits.slice(2) : digits))
}
