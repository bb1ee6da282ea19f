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

/** So many of the format codes that stand before the values are kept: one for each of 65,535 values would leave no room for any. */
const MOST_FORMATS = 1024

/** Parameters (formats/statement-parameters.ts) of any length. */
export class LongParameters extends LongBytes {
  readonly #hash = createHash('sha256')
  readonly #values = new LongBytes()
  readonly #front: number[] = []
  #length = 0
  /** Bytes of the front that are still to come: the count of format codes, then the codes */
  #expected = 2
  #isCounted = false

  override take(bytes: Uint8Array): void {
    this.#hash.update(bytes)
    this.#length += bytes.length
    let at = 0
    while (this.#expected > 0 && at < bytes.length) {
      const byte = bytes[at++] ?? 0
      if (this.#front.length < 2 + 2 * MOST_FORMATS) this.#front.push(byte)
      this.#expected -= 1
      if (this.#expected === 0 && !this.#isCounted) this.#expected = this.#count()
    }
    this.#values.take(bytes.subarray(at))
  }

  override finish(): KeptBytes {
    const front = Buffer.from(this.#front)
    const kept = (front.length - 2) / 2
    if (front.length >= 2 && front.readUInt16BE(0) > MOST_FORMATS) front.writeUInt16BE(Math.floor(kept), 0)
    const bytes = Buffer.concat([front, this.#values.finish().bytes]).subarray(0, LONGEST_KEPT)
    const isWhole = bytes.length === this.#length
    return { bytes, length: this.#length, sha256: isWhole ? null : this.#hash.digest('hex') }
  }

  #count(): number {
    this.#isCounted = true
    const [high = 0, low = 0] = this.#front
    return 2 * ((high << 8) | low)
  }
}

/** The same for parameters that are there as a whole. */
export function keptParameters(bytes: Uint8Array): KeptBytes {
  if (bytes.length <= LONGEST_KEPT) return { bytes, length: bytes.length, sha256: null }
  const long = new LongParameters()
  long.take(bytes)
  return long.finish()
}
