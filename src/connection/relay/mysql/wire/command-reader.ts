import { HEADER, LONGEST } from './packets.ts'
import { ERROR, ProtocolError } from './protocol-error.ts'

const EMPTY = Buffer.alloc(0)
/** A command up to this length is given out whole; a longer one in pieces, so that it never has to be in memory. */
export const WHOLE_COMMAND = 64 * 1024

export interface CommandPiece {
  readonly command: number
  readonly isFirst: boolean
  readonly isLast: boolean
  /** Sequence id of the packet that this piece is of */
  readonly sequence: number
  /** The bytes as they came, headers included */
  readonly wire: Buffer
  /** The part of the command in them, its command byte included in the first piece */
  readonly payload: Buffer
}

/** Cuts a client's byte stream into commands. Commands that lie whole in one chunk are not copied. */
export class CommandReader {
  #chunk: Buffer = EMPTY
  #at = 0
  /** The start of a short command that is not there in whole yet */
  #partial: Buffer = EMPTY
  #have = 0
  /** Of the packet that pieces are being given out of */
  #left = 0
  #command = 0
  #sequence = 0
  /** Within a command: its last packet was of the greatest length, so another one follows */
  #continues = false

  /** Bytes given and not given out again */
  get buffered(): number {
    return this.#chunk.length - this.#at + this.#have
  }

  /** Only when `next` has said null. */
  push(chunk: Buffer): void {
    this.#chunk = this.#at < this.#chunk.length ? Buffer.concat([this.#chunk.subarray(this.#at), chunk]) : chunk
    this.#at = 0
  }

  /** Null: more bytes are needed. */
  next(): CommandPiece | null {
    if (this.#left > 0) return this.#more()
    const length = this.#headerLength()
    if (length === null) return null
    if (this.#continues) return this.#continuation(length)
    return this.#firstOf(length)
  }

  /** The length field of the packet that starts here; null: it is not there yet. */
  #headerLength(): number | null {
    if (this.#have > 0) {
      this.#fill(HEADER)
      return this.#have < HEADER ? null : this.#partial.readUIntLE(0, 3)
    }
    const left = this.#chunk.length - this.#at
    if (left >= HEADER) return this.#chunk.readUIntLE(this.#at, 3)
    if (left === 0) {
      // An idle connection must not keep 64 KiB alive.
      this.#chunk = EMPTY
      this.#at = 0
      return null
    }
    this.#startPartial(HEADER)
    return null
  }

  #firstOf(length: number): CommandPiece | null {
    if (length === 0) throw new ProtocolError('a command is empty')
    // The command byte is there before anything of a long command is given out.
    const wanted = HEADER + (length <= WHOLE_COMMAND ? length : 1)
    const wire = this.#take(wanted)
    if (!wire) return null
    this.#sequence = wire.readUInt8(3)
    if (this.#sequence !== 0) throw new ProtocolError('packets out of order', ERROR.packetsOutOfOrder)
    this.#command = wire.readUInt8(HEADER)
    this.#left = HEADER + length - wanted
    this.#continues = length === LONGEST
    return this.#piece(wire, HEADER, true)
  }

  #continuation(length: number): CommandPiece | null {
    const wire = this.#take(HEADER)
    if (!wire) return null
    const sequence = wire.readUInt8(3)
    if (sequence !== ((this.#sequence + 1) & 0xff))
      throw new ProtocolError('packets out of order', ERROR.packetsOutOfOrder)
    this.#sequence = sequence
    this.#left = length
    this.#continues = length === LONGEST
    return this.#piece(wire, HEADER, false)
  }

  #more(): CommandPiece | null {
    const count = Math.min(this.#left, this.#chunk.length - this.#at)
    if (count === 0) return null
    const wire = this.#chunk.subarray(this.#at, this.#at + count)
    this.#at += count
    this.#left -= count
    return this.#piece(wire, 0, false)
  }

  #piece(wire: Buffer, payloadAt: number, isFirst: boolean): CommandPiece {
    const isLast = this.#left === 0 && !this.#continues
    const { sequence, command } = { sequence: this.#sequence, command: this.#command }
    return { command, isFirst, isLast, sequence, wire, payload: wire.subarray(payloadAt) }
  }

  /** `size` bytes from here, or null; then what there is of them is kept. */
  #take(size: number): Buffer | null {
    if (this.#have === 0) {
      const at = this.#at
      if (this.#chunk.length - at >= size) {
        this.#at = at + size
        return this.#chunk.subarray(at, at + size)
      }
      this.#startPartial(size)
      return null
    }
    this.#fill(size)
    if (this.#have < size) return null
    const whole = this.#partial
    this.#partial = EMPTY
    this.#have = 0
    return whole
  }

  #startPartial(size: number): void {
    this.#partial = Buffer.allocUnsafeSlow(size)
    this.#have = this.#chunk.copy(this.#partial, 0, this.#at)
    this.#chunk = EMPTY
    this.#at = 0
  }

  /** Takes from the chunk until there are `size` bytes. */
  #fill(size: number): void {
    if (this.#partial.length < size) {
      const grown = Buffer.allocUnsafeSlow(size)
      this.#partial.copy(grown, 0, 0, this.#have)
      this.#partial = grown
    }
    const copied = this.#chunk.copy(this.#partial, this.#have, this.#at, this.#at + Math.max(0, size - this.#have))
    this.#have += copied
    this.#at += copied
  }
}
