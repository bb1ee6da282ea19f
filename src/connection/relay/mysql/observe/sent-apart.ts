// COM_STMT_SEND_LONG_DATA: u8 0x18 | u32 statement | u16 parameter | a part of its value. Not answered.
import type { KeptBytes } from '../../../../formats/statement-record.ts'
import { LONGEST_KEPT } from '../../../../formats/statement-record.ts'
import { LongBytes } from '../../../statement-recorder.ts'
import { ProtocolError } from '../wire/protocol-error.ts'

const HEAD = 6
/** Of the values that wait for their statement's run, in one connection */
const MOST_KEPT = 4 * 1024 * 1024
/** What it costs to keep a part, however short */
const PER_PART = 128

interface Growing {
  readonly bytes: LongBytes
  length: number
  kept: number
}

/** Values of parameters that a client sends ahead of the statement's run, in parts and in any order. */
export class SentApart {
  readonly #statements = new Map<number, Map<number, Growing>>()
  readonly #head: number[] = []
  #kept = 0

  /** A piece of a command, command byte left out. `isFirst`: of a new command. Errors: ProtocolError where too much waits. */
  take(bytes: Buffer, isFirst: boolean): void {
    if (isFirst) this.#head.length = 0
    let at = 0
    while (this.#head.length < HEAD && at < bytes.length) this.#head.push(bytes[at++] ?? 0)
    if (this.#head.length < HEAD) return
    const head = Buffer.from(this.#head)
    this.#grow(this.#value(head.readUInt32LE(0), head.readUInt16LE(4)), bytes.subarray(at))
  }

  /** What was sent for a statement, by parameter; the server forgets it with the run. */
  use(statement: number): ReadonlyMap<number, KeptBytes> {
    const values = this.#statements.get(statement) ?? []
    this.forget(statement)
    return new Map([...values].map(([parameter, { bytes }]) => [parameter, bytes.finish()]))
  }

  forget(statement: number): void {
    for (const { kept } of this.#statements.get(statement)?.values() ?? []) this.#kept -= kept
    this.#statements.delete(statement)
  }

  forgetAll(): void {
    this.#statements.clear()
    this.#kept = 0
  }

  #value(statement: number, parameter: number): Growing {
    let values = this.#statements.get(statement)
    if (!values) this.#statements.set(statement, (values = new Map<number, Growing>()))
    let value = values.get(parameter)
    if (!value) values.set(parameter, (value = { bytes: new LongBytes(), length: 0, kept: 0 }))
    return value
  }

  #grow(value: Growing, bytes: Buffer): void {
    const fits = Math.min(bytes.length, Math.max(0, LONGEST_KEPT - value.length))
    const cost = value.kept === 0 || fits > 0 ? fits + PER_PART : 0
    value.bytes.take(bytes)
    value.length += bytes.length
    value.kept += cost
    this.#kept += cost
    if (this.#kept > MOST_KEPT) throw new ProtocolError('too many values were sent ahead of their statement')
  }
}
