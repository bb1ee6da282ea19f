// Numbers are little-endian. lenenc: one byte below 251, else 0xfc + u16, 0xfd + u24, 0xfe + u64.
import { ProtocolError } from './protocol-error.ts'

const cutShort = (): ProtocolError => new ProtocolError('a packet is cut short')

/** Reads a payload from front to back; strings are views into it. Throws ProtocolError, never reads past the end. */
export class MysqlReader {
  readonly bytes: Buffer
  position: number

  constructor(bytes: Buffer, position = 0) {
    this.bytes = bytes
    this.position = position
  }

  /** Bytes not yet read */
  get left(): number {
    return this.bytes.length - this.position
  }

  #take(count: number): number {
    const at = this.position
    if (count > this.bytes.length - at) throw cutShort()
    this.position = at + count
    return at
  }

  u8(): number {
    return this.bytes.readUInt8(this.#take(1))
  }

  u16(): number {
    return this.bytes.readUInt16LE(this.#take(2))
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.#take(4))
  }

  skip(count: number): void {
    this.#take(count)
  }

  raw(count: number): Buffer {
    const at = this.#take(count)
    return this.bytes.subarray(at, at + count)
  }

  rest(): Buffer {
    return this.raw(this.left)
  }

  /** Above 2^53 it is only nearly right: enough for counting, never used as an offset without a limit. */
  lenenc(): number {
    const first = this.u8()
    if (first < 0xfb) return first
    if (first === 0xfc) return this.u16()
    if (first === 0xfd) return this.bytes.readUIntLE(this.#take(3), 3)
    if (first === 0xfe) return Number(this.bytes.readBigUInt64LE(this.#take(8)))
    throw new ProtocolError('a number has no length')
  }

  /** Bytes up to a NUL, which is skipped; at most `limit`. */
  upToNul(limit: number): Buffer {
    const end = this.bytes.indexOf(0, this.position)
    if (end < 0) throw cutShort()
    const length = end - this.position
    if (length > limit) throw new ProtocolError('a text is too long')
    const text = this.raw(length)
    this.skip(1)
    return text
  }

  /** The same where a NUL may be missing at the end of the payload: some clients leave it out. */
  upToNulOrEnd(limit: number): Buffer {
    if (this.bytes.indexOf(0, this.position) >= 0) return this.upToNul(limit)
    if (this.left > limit) throw new ProtocolError('a text is too long')
    return this.rest()
  }
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Names of users and databases are compared, so they are exactly what the bytes say or nothing. */
export function nameOf(bytes: Buffer, what: string): string {
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new ProtocolError(`${what} is not UTF-8`)
  }
}

export function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16LE(value)
  return bytes
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value >>> 0)
  return bytes
}

export const nulText = (text: string): Buffer => Buffer.from(`${text}\0`, 'utf8')
