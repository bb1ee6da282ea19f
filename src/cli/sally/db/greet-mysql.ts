import type { Socket } from 'node:net'
import { readExactly } from './read-exactly.ts'

// Before MySQL's client has signed in, both sides number their packets in one row. The proxy wants TLS, which costs one packet
// (SSLRequest) that the local client does not send: so until the first command its numbers are one behind.
//   packet: int<3> length | int<1> number | payload
//   greeting: int<1> 10 | version\0 | int<4> id | 8 bytes | \0 | int<2> capabilities, lower half | ...
//   answer:   int<4> capabilities | int<4> longest packet | int<1> charset | 23 zeros | user\0 ...     SSLRequest: its first 32 bytes

const CLIENT_SSL = 0x0800
const SSL_REQUEST_BYTES = 32
const LONGEST_PACKET = 65_536

/** Bytes that both sides have said in clear; then comes TLS, then `answer`. */
export interface Greeted {
  readonly sslRequest: Buffer
  readonly answer: Buffer
}

/** Shows the proxy's greeting to the local client without the offer of TLS, and reads its answer. */
export async function greetMysql(local: Socket, proxy: Socket): Promise<Greeted> {
  const greeting = await readPacket(proxy)
  local.write(withoutTls(greeting))
  const answer = await readPacket(local)
  if (answer.length < 4 + SSL_REQUEST_BYTES) throw new Error('the client speaks an old protocol')
  if ((answer.readUInt16LE(4) & CLIENT_SSL) !== 0)
    throw new Error('the client wants TLS, which this port does not offer')
  answer.writeUInt16LE(answer.readUInt16LE(4) | CLIENT_SSL, 4)
  const sslRequest = Buffer.from(answer.subarray(0, 4 + SSL_REQUEST_BYTES))
  sslRequest.writeUIntLE(SSL_REQUEST_BYTES, 0, 3)
  answer.writeUInt8(2, 3)
  return { sslRequest, answer }
}

async function readPacket(socket: Socket): Promise<Buffer> {
  const head = await readExactly(socket, 4)
  const length = head.readUIntLE(0, 3)
  if (length > LONGEST_PACKET) throw new Error('a packet is too long')
  return Buffer.concat([head, await readExactly(socket, length)])
}

/** An error in place of the greeting goes on as it is. */
function withoutTls(greeting: Buffer): Buffer {
  const version = greeting.indexOf(0, 5)
  const capabilities = version + 1 + 4 + 8 + 1
  if (greeting[4] !== 10 || version < 0 || capabilities + 2 > greeting.length) return greeting
  const shown = Buffer.from(greeting)
  shown.writeUInt16LE(shown.readUInt16LE(capabilities) & ~CLIENT_SSL, capabilities)
  return shown
}

/** Moves the numbers of packets by `by` until `isOver` says that the client has sent its first command. */
export class Renumbering {
  readonly #by: 1 | -1
  readonly #isOver: () => boolean
  /** Of the packet at hand */
  #left = 0
  #head: Buffer = Buffer.alloc(0)

  constructor(by: 1 | -1, isOver: () => boolean) {
    this.#by = by
    this.#isOver = isOver
  }

  /** Calls `onHead` with the number of each packet as it came. */
  pass(bytes: Buffer, onHead: (number: number) => void = () => {}): Buffer {
    const out: Buffer[] = []
    for (let at = 0; at < bytes.length;) {
      const take =
        this.#left > 0 ? Math.min(this.#left, bytes.length - at) : Math.min(4 - this.#head.length, bytes.length - at)
      const piece = bytes.subarray(at, at + take)
      at += take
      if (this.#left > 0) {
        this.#left -= take
        out.push(piece)
        continue
      }
      this.#head = Buffer.concat([this.#head, piece])
      if (this.#head.length < 4) continue
      onHead(this.#head.readUInt8(3))
      if (!this.#isOver()) this.#head.writeUInt8((this.#head.readUInt8(3) + this.#by) & 0xff, 3)
      this.#left = this.#head.readUIntLE(0, 3)
      out.push(this.#head)
      this.#head = Buffer.alloc(0)
    }
    return Buffer.concat(out)
  }
}
