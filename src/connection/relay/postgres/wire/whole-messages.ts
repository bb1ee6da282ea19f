import { HEADER } from './codes.ts'
import { ProtocolError } from './protocol-error.ts'

export interface WholeMessage {
  readonly type: number
  readonly body: Buffer
  /** With type and length */
  readonly bytes: Buffer
}

/** Cuts what a server sends before it is ready into messages. Nothing after that goes through here. */
export class WholeMessages {
  #bytes: Buffer = Buffer.alloc(0)
  readonly #longest: number

  /** `longest`: bytes of one message without its type */
  constructor(longest: number) {
    this.#longest = longest
  }

  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
  }

  /** Null: not complete yet. Errors: ProtocolError. */
  next(): WholeMessage | null {
    if (this.#bytes.length < HEADER) return null
    const length = this.#bytes.readUInt32BE(1)
    if (length < 4 || length > this.#longest) throw new ProtocolError('invalid message length')
    if (this.#bytes.length < 1 + length) return null
    const bytes = this.#bytes.subarray(0, 1 + length)
    this.#bytes = this.#bytes.subarray(1 + length)
    return { type: bytes[0] ?? 0, body: bytes.subarray(HEADER), bytes }
  }

  /** What is left belongs to whoever reads on. */
  rest(): Buffer {
    const rest = this.#bytes
    this.#bytes = Buffer.alloc(0)
    return rest
  }
}
