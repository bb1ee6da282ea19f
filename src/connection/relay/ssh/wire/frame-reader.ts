import { TAG } from './packet-codec.ts'
import type { Opener } from './packet-codec.ts'
import { ProtocolError } from './protocol-error.ts'

const LENGTH = 4
const EMPTY = Buffer.alloc(0)

/** Cuts a byte stream into frames. Frames that lie whole in one chunk are not copied. */
export class FrameReader {
  #chunk: Buffer = EMPTY
  #position = 0
  readonly #waiting: Buffer[] = []
  /** The start of a frame that the chunks so far do not complete */
  #partial: Buffer = EMPTY
  #have = 0
  /** Memory of the last partial frame, for the next: an opened frame is not looked at again. */
  #spare: Buffer = EMPTY

  /** Bytes given but not yet returned */
  get buffered(): number {
    let bytes = this.#chunk.length - this.#position + this.#have
    for (const chunk of this.#waiting) bytes += chunk.length
    return bytes
  }

  push(chunk: Buffer): void {
    if (this.#position < this.#chunk.length || this.#waiting.length > 0) {
      this.#waiting.push(chunk)
      return
    }
    this.#chunk = chunk
    this.#position = 0
  }

  /** The connection is idle. */
  rest(): void {
    if (this.#have === 0) this.#spare = EMPTY
  }

  /**
   * The next complete frame, length and tag included, or null; with an encrypting opener it is valid until the next call.
   * `maxLength` bounds the length field.
   */
  next(opener: Opener, maxLength: number): Buffer | null {
    for (;;) {
      const frame = this.#have > 0 ? this.#complete(opener, maxLength) : this.#fromChunk(opener, maxLength)
      if (frame) return frame
      const chunk = this.#waiting.shift()
      if (!chunk) return null
      this.#chunk = chunk
      this.#position = 0
    }
  }

  #fromChunk(opener: Opener, maxLength: number): Buffer | null {
    const chunk = this.#chunk
    const start = this.#position
    const left = chunk.length - start
    if (left === 0) {
      // An idle connection must not keep 64 KiB alive.
      this.#chunk = EMPTY
      this.#position = 0
      return null
    }
    if (left < LENGTH) {
      this.#startPartial(Buffer.allocUnsafeSlow(LENGTH))
      return null
    }
    const size = frameSize(chunk.readUInt32BE(start), opener, maxLength)
    if (left < size) {
      this.#startPartial(this.#memory(size, opener))
      return null
    }
    this.#position = start + size
    return chunk.subarray(start, start + size)
  }

  /** For a frame. What is not encrypted is opened without a copy, and so has memory of its own. */
  #memory(size: number, opener: Opener): Buffer {
    if (opener.tagLength === 0) return Buffer.allocUnsafeSlow(size)
    if (size > this.#spare.length) this.#spare = Buffer.allocUnsafeSlow(size)
    return this.#spare.subarray(0, size)
  }

  /** Takes the rest of the chunk as the start of a frame, or of its length. */
  #startPartial(memory: Buffer): void {
    this.#partial = memory
    this.#have = this.#chunk.copy(this.#partial, 0, this.#position)
    this.#chunk = EMPTY
    this.#position = 0
  }

  #complete(opener: Opener, maxLength: number): Buffer | null {
    if (!this.#fill()) return null
    if (this.#partial.length === LENGTH) {
      const grown = this.#memory(frameSize(this.#partial.readUInt32BE(0), opener, maxLength), opener)
      this.#partial.copy(grown)
      this.#partial = grown
      if (!this.#fill()) return null
    }
    const frame = this.#partial
    this.#partial = EMPTY
    this.#have = 0
    return frame
  }

  #fill(): boolean {
    const copied = this.#chunk.copy(this.#partial, this.#have, this.#position)
    this.#have += copied
    this.#position += copied
    return this.#have === this.#partial.length
  }
}

/** Judges the length field before anything is allocated for it. */
function frameSize(length: number, opener: Opener, maxLength: number): number {
  const isAligned = opener.tagLength === TAG ? length % 16 === 0 : (length + LENGTH) % 8 === 0
  if (length < 12 || length > maxLength || !isAligned) throw new ProtocolError('bad packet length')
  return LENGTH + length + opener.tagLength
}
