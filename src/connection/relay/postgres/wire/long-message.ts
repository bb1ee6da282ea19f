import { FROM_CLIENT } from './codes.ts'
import { LONGEST_NAME } from './extended-query.ts'
import { ProtocolError } from './protocol-error.ts'

/** Takes the pieces of a text or of parameters that are too long to be held. Pieces are valid only during the call. */
export interface Taker {
  take(piece: Buffer): void
}

/**
 * Query, Parse or Bind too long to be held as a whole: its names are kept, its text or parameters are handed on in pieces.
 */
export class LongMessage<T extends Taker> {
  readonly type: number
  readonly names: string[] = []
  readonly main: T
  readonly #namesExpected: number
  /** The body of Query is a text and its end; a body of Parse goes on behind the text */
  readonly #endsAtZero: boolean
  readonly #name: Buffer[] = []
  #nameBytes = 0
  #isDone = false

  constructor(type: number, main: T) {
    this.type = type
    this.main = main
    this.#namesExpected = type === FROM_CLIENT.bind ? 2 : type === FROM_CLIENT.parse ? 1 : 0
    this.#endsAtZero = type !== FROM_CLIENT.bind
  }

  take(piece: Buffer): void {
    let at = 0
    while (this.names.length < this.#namesExpected && at < piece.length) at = this.#takeName(piece, at)
    if (this.#isDone || at === piece.length) return
    const zero = this.#endsAtZero ? piece.indexOf(0, at) : -1
    this.#isDone = zero >= 0
    this.main.take(piece.subarray(at, zero < 0 ? piece.length : zero))
  }

  /** Errors: ProtocolError where names or text did not end. */
  end(): void {
    if (this.names.length < this.#namesExpected || (this.#endsAtZero && !this.#isDone)) {
      throw new ProtocolError('invalid message format: a text does not end')
    }
  }

  #takeName(piece: Buffer, at: number): number {
    const zero = piece.indexOf(0, at)
    const end = zero < 0 ? piece.length : zero
    this.#nameBytes += end - at
    if (this.#nameBytes > LONGEST_NAME) throw new ProtocolError('a name is too long')
    this.#name.push(Buffer.from(piece.subarray(at, end)))
    if (zero < 0) return end
    this.names.push(Buffer.concat(this.#name.splice(0)).toString('latin1'))
    this.#nameBytes = 0
    return zero + 1
  }
}
