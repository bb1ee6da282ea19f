import { Undecodable } from './undecodable.ts'

/** Longer than any path with its mode and size */
const LONGEST_LINE = 8 * 1024
const LF = 0x0a

/** Collects what scp sends between data: a single 00, or a line up to LF (which is not part of it). */
export class LineOrZero {
  #parts: Buffer[] = []
  #length = 0
  #done: Buffer | null = null

  /** Takes bytes until one unit is whole; answers how many. Errors: Undecodable when a line gets too long. */
  push(bytes: Uint8Array): number {
    if (this.#length === 0 && bytes[0] === 0) {
      this.#done = Buffer.of(0)
      return 1
    }
    const end = bytes.indexOf(LF)
    const part = end === -1 ? bytes : bytes.subarray(0, end)
    this.#length += part.length
    if (this.#length > LONGEST_LINE) throw new Undecodable('a line that is too long')
    this.#parts.push(Buffer.from(part))
    if (end === -1) return bytes.length
    this.#done = Buffer.concat(this.#parts)
    this.#parts = []
    this.#length = 0
    return end + 1
  }

  /** The unit, once, when it is whole. */
  take(): Buffer | null {
    const done = this.#done
    this.#done = null
    return done
  }
}
