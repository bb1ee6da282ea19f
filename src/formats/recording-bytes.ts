// The primitive fields of recording records (recording-record.ts): a buffer that grows, and a reader that never passes its end.

// A body of 1 MiB holds every record: the longest has three texts.
const MAX_TEXT = 128 * 1024
/** Its length fits into one byte. */
const SHORT = 32
const MAX_LENGTH = 2 ** 24 - 1

/** Appends to one buffer that is used again for each chunk. */
export class RecordBytes {
  #buffer: Buffer
  #length = 0

  constructor(capacity = 4096) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity)
  }

  get length(): number {
    return this.#length
  }

  get capacity(): number {
    return this.#buffer.length
  }

  /** A view, valid until the next append. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  truncate(length: number): void {
    this.#length = length
  }

  uint8(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  uint24(value: number): void {
    this.#reserve(3)
    this.#buffer.writeUIntBE(value, this.#length, 3)
    this.#length += 3
  }

  patchUint24(position: number, value: number): void {
    if (value > MAX_LENGTH) throw new RangeError('a record is longer than 16 MiB')
    this.#buffer.writeUIntBE(value, position, 3)
  }

  varint(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a count: ${value}`)
    this.#reserve(8)
    let left = value
    while (left > 0x7fffffff) {
      this.#buffer[this.#length++] = (left % 128) | 0x80
      left = Math.floor(left / 128)
    }
    while (left > 0x7f) {
      this.#buffer[this.#length++] = (left & 0x7f) | 0x80
      left >>= 7
    }
    this.#buffer[this.#length++] = left
  }

  text(value: string): void {
    if (value.length <= SHORT && this.#ascii(value)) return
    const size = Buffer.byteLength(value)
    if (size > MAX_TEXT) throw new RangeError(`a text of ${size} bytes is over the limit of ${MAX_TEXT}`)
    this.varint(size)
    this.#reserve(size)
    this.#buffer.write(value, this.#length, size, 'utf8')
    this.#length += size
  }

  /** Most texts are a few ASCII characters: a loop is several times as fast then. False: not written. */
  #ascii(value: string): boolean {
    const size = value.length
    this.#reserve(size + 1)
    const buffer = this.#buffer
    const start = this.#length + 1
    for (let i = 0; i < size; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) return false
      buffer[start + i] = code
    }
    buffer[start - 1] = size
    this.#length = start + size
    return true
  }

  rest(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** 64 hex digits as 32 bytes */
  hash(hex: string): void {
    if (!/^[0-9a-f]{64}$/.test(hex)) throw new RangeError('not a SHA-256')
    this.rest(Buffer.from(hex, 'hex'))
  }

  #reserve(size: number): void {
    const needed = this.#length + size
    if (needed <= this.#buffer.length) return
    if (needed > MAX_LENGTH) throw new RangeError('a body is longer than 16 MiB')
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}

/** Reads the fields of one record. Every method throws RangeError rather than read past the end. */
export class RecordReader {
  readonly #bytes: Buffer
  #position = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  uint8(): number {
    return this.#take(1)[0] ?? 0
  }

  varint(): number {
    let value = 0
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.uint8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) break
        return value
      }
    }
    throw new RangeError('a number is over 2^53-1')
  }

  text(): string {
    return this.bytes().toString('utf8')
  }

  /** Behind their length. A view. */
  bytes(): Buffer {
    return this.#take(this.varint())
  }

  hash(): string {
    return this.#take(32).toString('hex')
  }

  rest(): Buffer {
    return this.#take(this.#bytes.length - this.#position)
  }

  oneOf<T extends string>(names: readonly T[], first = 0): T {
    const name = names[this.uint8() - first]
    if (name === undefined) throw new RangeError('a field has an unknown value')
    return name
  }

  finish(): void {
    if (this.#position !== this.#bytes.length) throw new RangeError('a record has bytes behind its last field')
  }

  #take(size: number): Buffer {
    const end = this.#position + size
    if (end > this.#bytes.length) throw new RangeError('a record is cut')
    const part = this.#bytes.subarray(this.#position, end)
    this.#position = end
    return part
  }
}
