import type { AnswerShape } from './commands.ts'
import { MysqlReader } from './mysql-bytes.ts'
import { HEADER, LONGEST } from './packets.ts'
import { ProtocolError } from './protocol-error.ts'
import { readEofStatus, readError, readOkay, STATUS, type ServerError } from './replies.ts'

/** Enough of any packet but an error: header byte, two lenencs, status */
const PEEK = 24
const PEEK_ERROR = 600
/** An EOF packet is shorter; so a row that starts with 0xfe (a lenenc of 8 bytes) is none. */
const EOF_BELOW = 9
const MOST_COLUMNS = 65_535
/** Commands that may wait for their answers. Clients of this protocol wait for each; pipelining ones send a handful. */
export const MOST_OUTSTANDING = 1024

export interface Answer {
  readonly outcome: 'ok' | 'error'
  readonly error: ServerError | null
  /** Over all results of the command */
  readonly rows: number
  readonly affectedRows: number
  readonly prepared: { readonly statement: number; readonly parameters: number } | null
}

type State = 'start' | 'columns' | 'columns-end' | 'rows' | 'definitions' | 'fields'

/**
 * Follows a server's answers in the bytes that pass, without copying or decoding rows: where packets and answers begin and
 * end, and how they came out. Whatever does not fit ends the session: from then on nobody knows where a packet starts.
 */
export class AnswerReader {
  readonly #deprecatesEof: boolean
  readonly #onAnswer: (answer: Answer) => void
  readonly #expected: AnswerShape[] = []
  #state: State = 'start'
  #columns = 0
  #definitions = 0
  #prepared: Answer['prepared'] = null
  #rows = 0
  #affectedRows = 0
  /** Bytes of the current packet that have not come yet */
  #left = 0
  #continues = false
  readonly #header = Buffer.alloc(HEADER)
  #headerHave = 0
  /** The start of a packet that lies in several chunks */
  readonly #front = Buffer.alloc(PEEK_ERROR)
  #frontHave = 0
  #frontWant = 0
  #length = 0
  #fault: ProtocolError | null = null
  /** Of the packet that passed last, or of the command that waits for its answer */
  sequence = 0

  constructor(options: { readonly deprecatesEof: boolean; readonly onAnswer: (answer: Answer) => void }) {
    this.#deprecatesEof = options.deprecatesEof
    this.#onAnswer = options.onAnswer
  }

  /** Commands whose answers have not ended */
  get outstanding(): number {
    return this.#expected.length
  }

  /** No packet has passed in part: one of our own may be put in here. */
  get isAtBoundary(): boolean {
    return this.#left === 0 && this.#headerHave === 0 && !this.#continues
  }

  /** Set when `read` did not take everything. */
  get fault(): ProtocolError | null {
    return this.#fault
  }

  /** A command is about to be passed on whose last packet had this sequence id. */
  expect(shape: AnswerShape, sequence: number): void {
    if (shape === 'nothing') return
    if (this.#expected.length === 0) this.sequence = sequence
    this.#expected.push(shape)
    if (this.#expected.length === 1) this.#begin()
  }

  /** How many of these bytes may be passed on: all, or those before a packet that must not be. */
  read(chunk: Buffer): number {
    if (this.#fault) return 0
    let at = 0
    let start = 0
    let isWhole = false
    let { sequence } = this
    try {
      while (at < chunk.length) {
        if (this.#left > 0) {
          start = at
          isWhole = false
          at = this.#body(chunk, at)
        } else {
          if (this.#state === 'rows' && this.#headerHave === 0 && !this.#continues) at = this.#skipRows(chunk, at)
          start = at
          isWhole = this.#headerHave === 0
          sequence = this.sequence
          at = this.#packet(chunk, at)
        }
      }
      return at
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#fault = error
      if (isWhole) this.#forget(sequence)
      return start
    }
  }

  /** As `read`, but only to the end of the packet that is under way: `isAtBoundary` says whether it was reached. */
  readToBoundary(chunk: Buffer): number {
    let at = 0
    while (!this.isAtBoundary && at < chunk.length) {
      const end = Math.min(chunk.length, at + Math.max(1, this.#left))
      const taken = this.read(chunk.subarray(at, end))
      at += taken
      if (this.#fault) break
    }
    return at
  }

  /** The packet that began last is not passed on, so another one may be put in its place. */
  #forget(sequence: number): void {
    this.#left = 0
    this.#continues = false
    this.sequence = sequence
  }

  /** Rows that lie whole in the chunk: nearly all bytes of a large result come this way. */
  #skipRows(chunk: Buffer, from: number): number {
    let at = from
    let rows = 0
    while (chunk.length - at > HEADER) {
      const length = (chunk[at] ?? 0) | ((chunk[at + 1] ?? 0) << 8) | ((chunk[at + 2] ?? 0) << 16)
      const next = at + HEADER + length
      if (length === 0 || length === LONGEST || next > chunk.length || (chunk[at + HEADER] ?? 0) >= 0xfe) break
      this.sequence = chunk[at + 3] ?? 0
      at = next
      rows++
    }
    this.#rows += rows
    return at
  }

  #packet(chunk: Buffer, from: number): number {
    let at = from
    while (this.#headerHave < HEADER && at < chunk.length) this.#header[this.#headerHave++] = chunk[at++] ?? 0
    if (this.#headerHave < HEADER) return at
    this.#headerHave = 0
    const length = this.#header.readUIntLE(0, 3)
    const isContinuation = this.#continues
    this.#continues = length === LONGEST
    this.#length = length
    this.#left = length
    if (isContinuation) {
      this.sequence = this.#header.readUInt8(3)
      this.#frontWant = 0
      return at
    }
    if (length === 0) throw new ProtocolError('the server sent an empty packet')
    if (this.#expected.length === 0) this.#unasked(chunk, at)
    this.sequence = this.#header.readUInt8(3)
    this.#frontHave = 0
    this.#frontWant = 1
    return this.#body(chunk, at)
  }

  /** A server may say why it closes. Anything else between commands is none of an answer's. */
  #unasked(chunk: Buffer, at: number): void {
    if (at < chunk.length && chunk[at] !== 0xff) throw new ProtocolError('the server sent an answer to nothing')
  }

  /** Takes what there is of the packet, and judges it as soon as enough of its front is there. */
  #body(chunk: Buffer, at: number): number {
    const there = Math.min(this.#left, chunk.length - at)
    if (this.#frontWant > 0 && there > 0) {
      if (this.#frontHave === 0) this.#frontWant = frontNeeded(chunk[at] ?? 0, this.#length)
      if (this.#frontHave === 0 && there >= this.#frontWant) {
        this.#frontWant = 0
        this.#judge(chunk.subarray(at, at + there))
      } else {
        this.#frontHave += chunk.copy(
          this.#front,
          this.#frontHave,
          at,
          at + Math.min(there, this.#frontWant - this.#frontHave),
        )
        if (this.#frontHave === this.#frontWant) {
          this.#frontWant = 0
          this.#judge(this.#front.subarray(0, this.#frontHave))
        }
      }
    }
    this.#left -= there
    return at + there
  }

  #judge(front: Buffer): void {
    const first = front[0] ?? 0
    const shape = this.#expected[0]
    if (shape === undefined) {
      if (first !== 0xff) throw new ProtocolError('the server sent an answer to nothing')
      this.#onAnswer({ outcome: 'error', error: readError(front), rows: 0, affectedRows: 0, prepared: null })
      return
    }
    if (shape === 'text') this.#finish(null)
    else if (first === 0xff) this.#finish(readError(front))
    else if (this.#state === 'start') this.#judgeStart(shape, front)
    else this.#judgeRest(front)
  }

  #judgeStart(shape: AnswerShape, front: Buffer): void {
    const first = front[0] ?? 0
    if (first === 0x00) {
      if (shape === 'prepared') this.#judgePrepared(front)
      else this.#okay(front)
    } else if (first === 0xfe && this.#isEnd()) this.#endOf(front)
    else if (shape !== 'results') throw new ProtocolError('the server sent another answer than the command has')
    else if (first === 0xfb)
      throw new ProtocolError('the server asks for a file of the client (LOAD DATA LOCAL), which is refused')
    else {
      const columns = new MysqlReader(front).lenenc()
      if (columns === 0 || columns > MOST_COLUMNS) throw new ProtocolError('the server announces too many columns')
      this.#columns = columns
      this.#state = 'columns'
    }
  }

  #judgeRest(front: Buffer): void {
    switch (this.#state) {
      case 'columns':
        if (--this.#columns === 0) this.#state = this.#deprecatesEof ? 'rows' : 'columns-end'
        return
      case 'columns-end': {
        if (front[0] !== 0xfe || this.#length >= EOF_BELOW)
          throw new ProtocolError('the columns of a result have no end')
        const status = readEofStatus(front)
        // The rows wait in a cursor until they are fetched.
        if (status & STATUS.CURSOR_EXISTS) this.#ended(status)
        else this.#state = 'rows'
        return
      }
      case 'definitions':
        if (--this.#definitions === 0) this.#finish(null)
        return
      case 'rows':
      case 'fields':
        if (front[0] === 0xfe && this.#isEnd()) this.#endOf(front)
        else if (this.#state === 'rows') this.#rows++
        return
      case 'start':
    }
  }

  /** An EOF packet, or an OK packet in its place. */
  #isEnd(): boolean {
    return this.#deprecatesEof ? this.#length < LONGEST : this.#length < EOF_BELOW
  }

  #endOf(front: Buffer): void {
    // COM_SET_OPTION is answered by an EOF packet whatever was agreed.
    if (this.#deprecatesEof && this.#length >= 7) this.#okay(front)
    else this.#ended(readEofStatus(front))
  }

  #okay(front: Buffer): void {
    const { affectedRows, status } = readOkay(front)
    this.#affectedRows += affectedRows
    this.#ended(status)
  }

  /** u8 0 | u32 statement | u16 columns | u16 parameters | u8 0 | u16 warnings, then their definitions */
  #judgePrepared(front: Buffer): void {
    const reader = new MysqlReader(front, 1)
    const statement = reader.u32()
    const columns = reader.u16()
    const parameters = reader.u16()
    this.#prepared = { statement, parameters }
    const ends = this.#deprecatesEof ? 0 : Number(columns > 0) + Number(parameters > 0)
    this.#definitions = columns + parameters + ends
    if (this.#definitions === 0) this.#finish(null)
    else this.#state = 'definitions'
  }

  #ended(status: number): void {
    if (status & STATUS.MORE_RESULTS) this.#state = 'start'
    else this.#finish(null)
  }

  #finish(error: ServerError | null): void {
    const answer: Answer = {
      outcome: error ? 'error' : 'ok',
      error,
      rows: this.#rows,
      affectedRows: this.#affectedRows,
      prepared: error ? null : this.#prepared,
    }
    this.#expected.shift()
    this.#begin()
    this.#onAnswer(answer)
  }

  #begin(): void {
    const shape = this.#expected[0]
    this.#state = shape === 'rows' ? 'rows' : shape === 'fields' ? 'fields' : 'start'
    this.#rows = 0
    this.#affectedRows = 0
    this.#prepared = null
  }
}

const frontNeeded = (first: number, length: number): number => Math.min(length, first === 0xff ? PEEK_ERROR : PEEK)
