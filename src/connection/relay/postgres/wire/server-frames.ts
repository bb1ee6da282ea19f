// Walks the messages of a server that is ready, in place: rows and data are counted, never cut out or decoded.
//   byte type | int32 length (counts itself) | body

import { FROM_SERVER, HEADER, LONGEST_MESSAGE } from './codes.ts'
import { saysAgain } from './extended-query.ts'
import { ProtocolError } from './protocol-error.ts'

/** Of a body that the sink sees; errors of servers are longer at times, and nobody needs all of that */
const MOST_CAPTURED = 4096

/** Bodies are valid only during the call, and cut at MOST_CAPTURED bytes. */
export interface ServerSink {
  /** `rows`: DataRow messages since the last time; `bytes`: of these, and of CopyData */
  commandComplete(tag: string, rows: number, bytes: number): void
  portalSuspended(rows: number, bytes: number): void
  emptyQuery(): void
  parseComplete(): void
  /** An answer to Bind, to Describe or to Close; a description also precedes the rows of a simple query. */
  stepComplete(step: 'bind' | 'describe' | 'close'): void
  functionResult(): void
  error(body: Buffer): void
  parameterStatus(body: Buffer): void
  copyIn(): void
  /** CopyBoth: replication */
  copyBoth(): void
  /** `status`: I idle, T in a transaction, E in a failed one */
  ready(status: number): void
}

const {
  bindComplete,
  closeComplete,
  commandComplete,
  copyBoth,
  copyData,
  copyIn,
  dataRow,
  emptyQuery,
  error,
  functionResult,
  noData,
  parameterStatus,
  parseComplete,
  portalSuspended,
  ready,
  rowDescription,
} = FROM_SERVER

export class ServerFrames {
  readonly #sink: ServerSink
  readonly #header = Buffer.alloc(HEADER)
  #headerBytes = 0
  #left = 0
  #rows = 0
  #bytes = 0
  /** Of a command: a session's statements end alike */
  #lastTag = ''
  /** The start of a body that is wanted and not complete */
  #wanted: { readonly type: number; bytes: Buffer } | null = null

  constructor(sink: ServerSink) {
    this.#sink = sink
  }

  /** No message is half passed on: one of our own may stand here. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#headerBytes === 0
  }

  /** Errors: ProtocolError */
  feed(chunk: Buffer): void {
    this.#walk(chunk, false)
  }

  /** Goes on to the end of the message that is half passed on. Returns the bytes that belong to it. */
  feedToBoundary(chunk: Buffer): number {
    return this.atBoundary ? 0 : this.#walk(chunk, true)
  }

  #walk(chunk: Buffer, oneMessage: boolean): number {
    const end = chunk.length
    let at = 0
    if (this.#left > 0) {
      at = this.#more(chunk)
      if (oneMessage && this.#left === 0) return at
    }
    while (at < end) {
      let type: number
      let length: number
      if (this.#headerBytes === 0 && end - at >= HEADER) {
        type = chunk[at] ?? 0
        length =
          ((chunk[at + 1] ?? 0) << 24) |
          ((chunk[at + 2] ?? 0) << 16) |
          ((chunk[at + 3] ?? 0) << 8) |
          (chunk[at + 4] ?? 0)
        at += HEADER
      } else {
        while (this.#headerBytes < HEADER && at < end) this.#header[this.#headerBytes++] = chunk[at++] ?? 0
        if (this.#headerBytes < HEADER) return end
        this.#headerBytes = 0
        type = this.#header[0] ?? 0
        length = this.#header.readInt32BE(1)
      }
      if (length < 4 || length > LONGEST_MESSAGE) throw new ProtocolError('invalid message length')
      const body = length - 4
      if (type === dataRow) {
        this.#rows++
        this.#bytes += body
      } else if (type === copyData) this.#bytes += body
      else if (isWanted(type)) this.#take(type, chunk, at, body)
      const here = Math.min(body, end - at)
      at += here
      this.#left = body - here
      if (oneMessage && this.#left === 0) return at
    }
    return end
  }

  #take(type: number, chunk: Buffer, at: number, body: number): void {
    if (chunk.length - at >= body) this.#dispatch(type, chunk, at, at + Math.min(body, MOST_CAPTURED))
    else this.#wanted = { type, bytes: Buffer.from(chunk.subarray(at, at + MOST_CAPTURED)) }
  }

  #more(chunk: Buffer): number {
    const here = Math.min(this.#left, chunk.length)
    this.#left -= here
    const wanted = this.#wanted
    if (!wanted) return here
    const room = MOST_CAPTURED - wanted.bytes.length
    if (room > 0) wanted.bytes = Buffer.concat([wanted.bytes, chunk.subarray(0, Math.min(here, room))])
    if (this.#left === 0) {
      this.#wanted = null
      this.#dispatch(wanted.type, wanted.bytes, 0, wanted.bytes.length)
    }
    return here
  }

  #dispatch(type: number, bytes: Buffer, from: number, to: number): void {
    const sink = this.#sink
    switch (type) {
      case commandComplete:
        return this.#commandComplete(bytes, from, Math.max(from, to - 1))
      case portalSuspended:
        sink.portalSuspended(this.#rows, this.#bytes)
        return this.#countAnew()
      case emptyQuery:
        return sink.emptyQuery()
      case parseComplete:
        return sink.parseComplete()
      case bindComplete:
        return sink.stepComplete('bind')
      case closeComplete:
        return sink.stepComplete('close')
      case rowDescription:
      case noData:
        return sink.stepComplete('describe')
      case functionResult:
        return sink.functionResult()
      case error:
        this.#countAnew()
        return sink.error(bytes.subarray(from, to))
      case parameterStatus:
        return sink.parameterStatus(bytes.subarray(from, to))
      case copyIn:
        return sink.copyIn()
      case copyBoth:
        return sink.copyBoth()
      case ready:
        return sink.ready(from < to ? (bytes[from] ?? 0) : 0)
    }
  }

  #commandComplete(bytes: Buffer, from: number, to: number): void {
    if (!saysAgain(this.#lastTag, bytes, from, to)) this.#lastTag = bytes.toString('latin1', from, to)
    this.#sink.commandComplete(this.#lastTag, this.#rows, this.#bytes)
    this.#countAnew()
  }

  #countAnew(): void {
    this.#rows = 0
    this.#bytes = 0
  }
}

function isWanted(type: number): boolean {
  switch (type) {
    case bindComplete:
    case closeComplete:
    case commandComplete:
    case portalSuspended:
    case emptyQuery:
    case functionResult:
    case noData:
    case parseComplete:
    case rowDescription:
    case error:
    case parameterStatus:
    case copyIn:
    case copyBoth:
    case ready:
      return true
    default:
      return false
  }
}
