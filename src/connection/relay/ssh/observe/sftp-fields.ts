// Fields of SFTP packets: uint32, uint64, string = uint32 length | bytes (draft-ietf-secsh-filexfer-02 section 4).
import { textOfBytes } from './text-of-bytes.ts'
import { Undecodable } from './undecodable.ts'

const LONGEST_HANDLE = 256

/** Reads a packet's fields in order. Errors: Undecodable when one is not there. */
export class SftpFields {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  uint32(): number {
    return this.#take(4).readUInt32BE(0)
  }

  /** Above 2^53: Infinity. No file reaches that far, and nothing fits behind it. */
  uint64(): number {
    const bytes = this.#take(8)
    const value = bytes.readUInt32BE(0) * 2 ** 32 + bytes.readUInt32BE(4)
    return Number.isSafeInteger(value) ? value : Infinity
  }

  handle(): string {
    const length = this.uint32()
    if (length > LONGEST_HANDLE) throw new Undecodable(`a handle of ${length} bytes`)
    return this.#take(length).toString('latin1')
  }

  /** A path or other text. One that goes on behind what was looked at is cut and says so. */
  text(limit?: number): string {
    const length = this.uint32()
    const there = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return textOfBytes(there, limit)
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  #take(size: number): Buffer {
    const end = this.#at + size
    if (end > this.#bytes.length) throw new Undecodable('a packet that ends inside its fields')
    const part = this.#bytes.subarray(this.#at, end)
    this.#at = end
    return part
  }
}
