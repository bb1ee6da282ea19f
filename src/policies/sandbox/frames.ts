// uint32 length, big endian | that many bytes of JSON

const HEADER = 4

/** Neither side may send more: what is longer ends the conversation. */
export const LONGEST_FRAME = 16 * 1024 * 1024

export function frame(value: unknown): Buffer {
  const body = Buffer.from(JSON.stringify(value))
  if (body.length > LONGEST_FRAME) throw new RangeError(`a frame of ${body.length} bytes is too long`)
  const header = Buffer.alloc(HEADER)
  header.writeUInt32BE(body.length)
  return Buffer.concat([header, body])
}

/** Takes bytes as they come and gives the values that are whole. Errors: RangeError, SyntaxError; it is of no use afterwards. */
export class FrameReader {
  readonly #longest: number
  #parts: Buffer[] = []
  #held = 0

  constructor(longest = LONGEST_FRAME) {
    this.#longest = longest
  }

  read(bytes: Buffer): unknown[] {
    this.#parts.push(bytes)
    this.#held += bytes.length
    const values: unknown[] = []
    for (;;) {
      const length = this.#nextLength()
      if (length === null || this.#held < HEADER + length) return values
      const all = this.#joined()
      values.push(JSON.parse(all.toString('utf8', HEADER, HEADER + length)) as unknown)
      this.#parts = [all.subarray(HEADER + length)]
      this.#held -= HEADER + length
    }
  }

  #nextLength(): number | null {
    if (this.#held < HEADER) return null
    if ((this.#parts[0]?.length ?? 0) < HEADER) this.#joined()
    const length = this.#parts[0]?.readUInt32BE() ?? 0
    if (length > this.#longest) throw new RangeError(`a frame of ${length} bytes is too long`)
    return length
  }

  #joined(): Buffer {
    const [first] = this.#parts
    const all = this.#parts.length === 1 && first ? first : Buffer.concat(this.#parts)
    this.#parts = [all]
    return all
  }
}
