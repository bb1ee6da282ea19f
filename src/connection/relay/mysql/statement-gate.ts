import type { CommandPiece } from './wire/command-reader.ts'
import { COMMAND } from './wire/commands.ts'
import { LONGEST_JUDGED } from './statement-rules.ts'

/** What becomes of a piece: it is held, or its statement is refused for this reason, or these bytes go on. */
export type Gated = { readonly kind: 'held' | 'refused'; readonly why: string } | readonly Buffer[]

const HELD = { kind: 'held', why: '' } as const

/** Nothing of a statement goes on before all of it has been judged. */
export class StatementGate {
  readonly #refusal: (text: Buffer) => string | null
  #wires: Buffer[] = []
  #texts: Buffer[] = []
  #size = 0

  /** `refusal`: why a text is not passed on; null: it is */
  constructor(refusal: (text: Buffer) => string | null) {
    this.#refusal = refusal
  }

  /** Whether a command has a text that is judged. */
  static judges(command: number): boolean {
    return command === COMMAND.QUERY || command === COMMAND.STMT_PREPARE
  }

  take({ isFirst, isLast, wire, payload }: CommandPiece): Gated {
    if (isFirst && isLast) return this.#judged([wire], payload.subarray(1))
    if (isFirst) this.#empty()
    // What is longer than can be judged is dropped, not kept.
    if (this.#size <= LONGEST_JUDGED) {
      const kept = Buffer.from(wire)
      const text = kept.subarray(wire.length - payload.length)
      this.#wires.push(kept)
      this.#texts.push(isFirst ? text.subarray(1) : text)
    }
    this.#size += payload.length
    if (!isLast) return HELD
    const [wires, texts] = [this.#wires, this.#texts]
    this.#empty()
    return this.#judged(wires, Buffer.concat(texts))
  }

  #judged(wires: readonly Buffer[], text: Buffer): Gated {
    const why = this.#refusal(text)
    return why === null ? wires : { kind: 'refused', why }
  }

  #empty(): void {
    this.#wires = []
    this.#texts = []
    this.#size = 0
  }
}
