// int<3> length of the payload | int<1> sequence id | payload
// A payload of 2^24-1 bytes or more goes on in the next packet; one of exactly that length is followed by an empty packet.
import { ERROR, ProtocolError } from './protocol-error.ts'

export const HEADER = 4
/** A packet of this length is continued. */
export const LONGEST = 0xffffff

/** One packet. The payload is shorter than LONGEST: we never send anything long of our own. */
export function framed(sequence: number, ...parts: readonly Uint8Array[]): Buffer {
  let length = 0
  for (const part of parts) length += part.length
  const packet = Buffer.allocUnsafe(HEADER + length)
  packet.writeUIntLE(length, 0, 3)
  packet[3] = sequence & 0xff
  let at = HEADER
  for (const part of parts) {
    packet.set(part, at)
    at += part.length
  }
  return packet
}

export interface Packet {
  readonly sequence: number
  readonly payload: Buffer
}

/** For the sign-in, where packets are few and short: collects them whole and in order. */
export class PacketReader {
  readonly #limit: number
  #bytes: Buffer = Buffer.alloc(0)

  /** `limit`: of a payload, in bytes; longer is refused before it is waited for. */
  constructor(limit: number) {
    this.#limit = limit
  }

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
  }

  /** Null: more bytes are needed. */
  next(): Packet | null {
    const bytes = this.#bytes
    if (bytes.length < HEADER) return null
    const length = bytes.readUIntLE(0, 3)
    if (length > this.#limit || length === 0)
      throw new ProtocolError('a packet of the sign-in has a wrong length', ERROR.badHandshake)
    if (bytes.length < HEADER + length) return null
    this.#bytes = bytes.subarray(HEADER + length)
    return { sequence: bytes.readUInt8(3), payload: bytes.subarray(HEADER, HEADER + length) }
  }

  /** What came behind the packets that were taken. */
  rest(): Buffer {
    const rest = this.#bytes
    this.#bytes = Buffer.alloc(0)
    return rest
  }
}
