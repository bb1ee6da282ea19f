// Data types of RFC 4251 section 5. Lists are comma separated ASCII names inside a string.
import { FormatError } from '../format-error.ts'

// ignoreBOM keeps a leading U+FEFF: what is compared later must be what was signed.
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Reads a message from front to back. Strings are views into `bytes`, not copies. Throws FormatError, never reads past the end. */
export class SshReader {
  readonly bytes: Buffer
  position: number

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.position = position
  }

  /** Bytes not yet read */
  get left(): number {
    return this.bytes.length - this.position
  }

  #take(count: number): number {
    const at = this.position
    if (count > this.bytes.length - at) throw new FormatError('cut short')
    this.position = at + count
    return at
  }

  u8(): number {
    return this.bytes.readUInt8(this.#take(1))
  }

  bool(): boolean {
    return this.u8() !== 0
  }

  u32(): number {
    return this.bytes.readUInt32BE(this.#take(4))
  }

  u64(): bigint {
    return this.bytes.readBigUInt64BE(this.#take(8))
  }

  skip(count: number): void {
    this.#take(count)
  }

  /** A string of at most `limit` bytes. */
  string(limit: number): Buffer {
    const length = this.u32()
    if (length > limit) throw new FormatError('string too long')
    const at = this.#take(length)
    return this.bytes.subarray(at, at + length)
  }

  /** A string that is text: well-formed UTF-8 without NUL, at most `limit` bytes. */
  text(limit: number): string {
    const bytes = this.string(limit)
    if (bytes.includes(0)) throw new FormatError('NUL in text')
    try {
      return strictUtf8.decode(bytes)
    } catch {
      throw new FormatError('text is not UTF-8')
    }
  }

  /** A name-list of at most `limit` bytes; the empty string is the empty list. */
  names(limit: number): string[] {
    const bytes = this.string(limit)
    if (bytes.length === 0) return []
    for (const byte of bytes) if (byte < 0x21 || byte > 0x7e) throw new FormatError('odd byte in a name-list')
    const names = bytes.toString('latin1').split(',')
    if (names.includes('')) throw new FormatError('empty name in a name-list')
    return names
  }

  /** A positive mpint in its one shortest form, without the sign byte; at most `limit` bytes on the wire. */
  mpint(limit: number): Buffer {
    const bytes = this.string(limit)
    const first = bytes[0]
    if (first === undefined || first >= 0x80) throw new FormatError('number is not positive')
    if (first !== 0) return bytes
    if ((bytes[1] ?? 0) < 0x80) throw new FormatError('number is not in its shortest form')
    return bytes.subarray(1)
  }

  end(): void {
    if (this.left > 0) throw new FormatError('more bytes than expected')
  }
}

/** Writes a message. Grows as needed. */
export class SshWriter {
  #bytes: Buffer
  #length = 0

  constructor(sizeHint = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeHint)
  }

  #room(count: number): number {
    const at = this.#length
    this.#length = at + count
    if (this.#length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2))
      this.#bytes.copy(grown, 0, 0, at)
      this.#bytes = grown
    }
    return at
  }

  u8(value: number): this {
    const at = this.#room(1)
    this.#bytes.writeUInt8(value, at)
    return this
  }

  bool(value: boolean): this {
    return this.u8(value ? 1 : 0)
  }

  u32(value: number): this {
    const at = this.#room(4)
    this.#bytes.writeUInt32BE(value, at)
    return this
  }

  u64(value: bigint): this {
    const at = this.#room(8)
    this.#bytes.writeBigUInt64BE(value, at)
    return this
  }

  raw(bytes: Uint8Array): this {
    const at = this.#room(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  string(value: Uint8Array | string): this {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    return this.u32(bytes.length).raw(bytes)
  }

  names(names: readonly string[]): this {
    return this.string(names.join(','))
  }

  /** An unsigned big-endian number as mpint: leading zeros dropped, a sign byte where the first bit is set. */
  mpint(unsigned: Uint8Array): this {
    let start = 0
    while (start < unsigned.length && unsigned[start] === 0) start++
    const digits = unsigned.subarray(start)
    const signed = (digits[0] ?? 0) >= 0x80
    this.u32(digits.length + (signed ? 1 : 0))
    if (signed) this.u8(0)
    return this.raw(digits)
  }

  /** What was written so far; not copied, so write no more afterwards. */
  toBuffer(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }
}
