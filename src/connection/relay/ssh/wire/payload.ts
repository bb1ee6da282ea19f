// Reading and building of message payloads: byte | boolean | uint32 | string (RFC 4251 section 5).

/** What a peer sent is not what the protocol allows. The leg answers it with DISCONNECT, reason PROTOCOL_ERROR. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Every read states its limit; running over the end throws. Views share the payload's memory. */
export class PayloadReader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get position(): number {
    return this.#at
  }

  byte(): number {
    return this.#bytes[this.#advance(1)]!
  }

  boolean(): boolean {
    return this.byte() !== 0
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#advance(4))
  }

  string(most: number): Buffer {
    const length = this.uint32()
    if (length > most) throw new ProtocolError(`string of ${length} bytes where ${most} are allowed`)
    const start = this.#advance(length)
    return this.#bytes.subarray(start, start + length)
  }

  utf8(most: number): string {
    const bytes = this.string(most)
    try {
      return strictUtf8.decode(bytes)
    } catch {
      throw new ProtocolError('text is not UTF-8')
    }
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new ProtocolError('bytes behind the end of the message')
  }

  #advance(count: number): number {
    const start = this.#at
    if (count > this.#bytes.length - start) throw new ProtocolError('message cut short')
    this.#at = start + count
    return start
  }
}

export type Field = { readonly byte: number } | boolean | number | string | Uint8Array

/** number = uint32, string and bytes = length-prefixed, boolean = one byte. The first field is the message number. */
export function payload(message: number, ...fields: readonly Field[]): Buffer {
  const parts: Uint8Array[] = [Buffer.from([message])]
  for (const field of fields) {
    if (typeof field === 'boolean') parts.push(Buffer.from([field ? 1 : 0]))
    else if (typeof field === 'number') parts.push(uint32(field))
    else if (typeof field === 'string') parts.push(...lengthPrefixed(Buffer.from(field, 'utf8')))
    else if (field instanceof Uint8Array) parts.push(...lengthPrefixed(field))
    else parts.push(Buffer.from([field.byte]))
  }
  return Buffer.concat(parts)
}

function lengthPrefixed(bytes: Uint8Array): readonly Uint8Array[] {
  return [uint32(bytes.length), bytes]
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4)
  bytes.writeUInt32BE(value)
  return bytes
}
