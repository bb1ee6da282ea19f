import { createHash, hash, type Hash } from 'node:crypto'
import { type KeptBytes, LONGEST_KEPT } from '../formats/statement-record.ts'

/** Bytes that are there as a whole. The answer holds a view: it is valid as long as they are. */
export function keptBytes(bytes: Uint8Array): KeptBytes {
  if (bytes.length <= LONGEST_KEPT) return { bytes, length: bytes.length, sha256: null }
  return { bytes: bytes.subarray(0, LONGEST_KEPT), length: bytes.length, sha256: hash('sha256', bytes) }
}

/** A text or parameters that arrive in pieces: holds no more than is recorded, however long they are. */
export class LongBytes {
  readonly #pieces: Buffer[] = []
  #held = 0
  #length = 0
  #hash: Hash | null = null

  /** Copied where they are kept. */
  take(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#length += bytes.length
    if (this.#hash !== null) {
      this.#hash.update(bytes)
      return
    }
    const fits = bytes.subarray(0, LONGEST_KEPT - this.#held)
    if (fits.length > 0) this.#pieces.push(Buffer.from(fits))
    this.#held += fits.length
    if (this.#length > LONGEST_KEPT) this.#beginHash(bytes.subarray(fits.length))
  }

  /** Once, after the last piece. */
  finish(): KeptBytes {
    return { bytes: this.#joined(), length: this.#length, sha256: this.#hash?.digest('hex') ?? null }
  }

  #beginHash(rest: Uint8Array): void {
    const front = this.#joined()
    this.#hash = createHash('sha256').update(front).update(rest)
    this.#pieces.splice(0, this.#pieces.length, front)
  }

  /** A peer may send a byte at a time. */
  #joined(): Buffer {
    const [first] = this.#pieces
    return this.#pieces.length === 1 && first !== undefined ? first : Buffer.concat(this.#pieces)
  }
}
