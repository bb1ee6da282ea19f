// Cutting one direction of an SFTP channel into packets (draft-ietf-secsh-filexfer-02 section 3) without collecting file data.
//
//   uint32 length (of what follows) | byte type | body
//   WRITE (6), from the client:  uint32 id | string handle | uint64 offset | string data
//   DATA (103), from the target: uint32 id | string data
import { Undecodable } from './undecodable.ts'

/** What OpenSSH takes: SFTP_MAX_MSG_LENGTH. */
export const LONGEST_PACKET = 256 * 1024
/** Of packets without file data this much is looked at. */
const LOOKED_AT = 16 * 1024
const LONGEST_HANDLE = 256

export const WRITE = 6
export const DATA = 103

export interface PacketSink {
  /** Any packet but those with file data. `body`: without the type, its first 16 KiB, valid during the call. */
  packet(type: number, body: Buffer): void
  /** Start of a packet with file data. `head`: the fields before the data. `length`: of the data. */
  data(head: Buffer, length: number): void
  /** The data, in parts. */
  part(bytes: Uint8Array): void
}

/** One direction. Errors: Undecodable; the framer is useless then. */
export class SftpFramer {
  readonly #sink: PacketSink
  readonly #bulkType: number
  // Length, type and the fields in front of file data; grows for packets without.
  #head: Buffer = Buffer.allocUnsafeSlow(512)
  #have = 0
  #dataLeft = 0
  #skip = 0

  constructor(bulkType: typeof WRITE | typeof DATA, sink: PacketSink) {
    this.#bulkType = bulkType
    this.#sink = sink
  }

  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      if (this.#dataLeft > 0) {
        const part = bytes.subarray(at, at + this.#dataLeft)
        this.#dataLeft -= part.length
        at += part.length
        this.#sink.part(part)
      } else if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, bytes.length - at)
        this.#skip -= skipped
        at += skipped
      } else {
        at += this.#collect(bytes, at)
      }
    }
  }

  /** Takes towards the head; answers how many bytes it took. */
  #collect(bytes: Uint8Array, at: number): number {
    const wanted = this.#wanted()
    const taken = Math.min(wanted - this.#have, bytes.length - at)
    if (wanted > this.#head.length) this.#grow(wanted)
    this.#head.set(bytes.subarray(at, at + taken), this.#have)
    this.#have += taken
    if (this.#have === wanted && this.#wanted() === wanted) this.#dispatch()
    return taken
  }

  /** How long the head must be, as far as what is there tells. */
  #wanted(): number {
    if (this.#have < 4) return 4
    const length = this.#head.readUInt32BE(0)
    if (length < 1 || length > LONGEST_PACKET) throw new Undecodable(`a packet of length ${length}`)
    if (this.#have < 5) return 5
    if (this.#head[4] !== this.#bulkType) return Math.min(4 + length, 5 + LOOKED_AT)
    const head = this.#bulkType === DATA ? 13 : this.#writeHead()
    if (head > 4 + length) throw new Undecodable('a packet that ends inside its fields')
    return head
  }

  #writeHead(): number {
    if (this.#have < 13) return 13
    const handle = this.#head.readUInt32BE(9)
    if (handle > LONGEST_HANDLE) throw new Undecodable(`a handle of ${handle} bytes`)
    return 13 + handle + 12
  }

  #dispatch(): void {
    const end = 4 + this.#head.readUInt32BE(0)
    const type = this.#head[4] ?? 0
    const have = this.#have
    this.#have = 0
    if (type !== this.#bulkType) {
      this.#skip = end - have
      this.#sink.packet(type, this.#head.subarray(5, have))
      if (this.#head.length > 4096) this.#head = Buffer.allocUnsafeSlow(512)
      return
    }
    const length = this.#head.readUInt32BE(have - 4)
    if (have + length !== end) throw new Undecodable('data that does not fill its packet')
    this.#dataLeft = length
    this.#sink.data(this.#head.subarray(5, have - 4), length)
  }

  #grow(size: number): void {
    const grown = Buffer.allocUnsafeSlow(size)
    this.#head.copy(grown, 0, 0, this.#have)
    this.#head = grown
  }
}
