// Walks the messages of a client that has signed in, in place: nothing is cut out or decoded but what the sink asks for.
//   byte type | int32 length (counts itself) | body

import { createHash, type Hash } from 'node:crypto'
import { FROM_CLIENT, HEADER, LONGEST_MESSAGE, SQLSTATE } from './codes.ts'
import { ProtocolError } from './protocol-error.ts'

/** Of a body that the sink sees: more is counted and hashed */
export const MOST_CAPTURED = 64 * 1024
/** The server's own limit for messages that carry a name at most */
const LONGEST_SMALL = 10_000

export interface CapturedBody {
  /** At most MOST_CAPTURED bytes; valid only during the call */
  readonly head: Buffer
  /** Of the whole body */
  readonly total: number
  /** Hex SHA-256 of what is not in `head`; null: all of it is */
  readonly restSha256: string | null
}

/** Told of each message before the byte that completes it is passed on. Throwing ends the session. */
export interface ClientSink {
  query(body: CapturedBody): void
  parse(body: CapturedBody): void
  bind(body: CapturedBody): void
  execute(body: CapturedBody): void
  close(body: CapturedBody): void
  sync(): void
  copyData(bytes: number): void
  copyEnd(): void
  terminate(): void
}

interface Partial {
  readonly type: number
  readonly parts: Buffer[]
  captured: number
  readonly total: number
  rest: Hash | null
}

const {
  bind,
  close,
  copyData,
  copyDone,
  copyFail,
  describe,
  execute,
  flush,
  functionCall,
  parse,
  query,
  sync,
  terminate,
} = FROM_CLIENT

export class ClientFrames {
  readonly #sink: ClientSink
  readonly #header = Buffer.alloc(HEADER)
  #headerBytes = 0
  /** Bytes of the body that are still to come */
  #left = 0
  #partial: Partial | null = null
  #isTerminated = false

  constructor(sink: ClientSink) {
    this.#sink = sink
  }

  /** The client has said that it leaves: nothing after that is looked at, and nothing may be passed on. */
  get isTerminated(): boolean {
    return this.#isTerminated
  }

  /** Returns how many bytes may be passed on: all, or up to the end of Terminate. Errors: ProtocolError, and what the sink throws. */
  feed(chunk: Buffer): number {
    const end = chunk.length
    let at = 0
    while (at < end) {
      if (this.#isTerminated) return at
      if (this.#left > 0) {
        at = this.#more(chunk, at)
        continue
      }
      let type: number
      let length: number
      if (this.#headerBytes === 0 && end - at >= HEADER) {
        type = chunk[at] ?? 0
        length = chunk.readUInt32BE(at + 1)
        at += HEADER
      } else {
        while (this.#headerBytes < HEADER && at < end) this.#header[this.#headerBytes++] = chunk[at++] ?? 0
        if (this.#headerBytes < HEADER) return end
        this.#headerBytes = 0
        type = this.#header[0] ?? 0
        length = this.#header.readUInt32BE(1)
      }
      at = this.#begin(type, checkedLength(type, length) - 4, chunk, at)
    }
    return end
  }

  #begin(type: number, body: number, chunk: Buffer, at: number): number {
    const here = Math.min(body, chunk.length - at)
    if (type === copyData) {
      this.#sink.copyData(body)
      this.#left = body - here
      return at + here
    }
    if (here === body) {
      this.#whole(type, chunk, at, body)
      return at + body
    }
    this.#partial = { type, parts: [], captured: 0, total: body, rest: null }
    this.#left = body
    return this.#more(chunk, at)
  }

  /** A message that lies whole in one chunk: nothing is copied. */
  #whole(type: number, chunk: Buffer, at: number, total: number): void {
    if (total === 0 || type === copyFail || type === describe) {
      this.#dispatch(type, EMPTY)
      return
    }
    const head = chunk.subarray(at, at + Math.min(total, MOST_CAPTURED))
    const rest =
      total <= MOST_CAPTURED ? null : createHash('sha256').update(chunk.subarray(at + MOST_CAPTURED, at + total))
    this.#dispatch(type, { head, total, restSha256: rest?.digest('hex') ?? null })
  }

  #more(chunk: Buffer, at: number): number {
    const here = Math.min(this.#left, chunk.length - at)
    this.#left -= here
    const partial = this.#partial
    if (!partial) return at + here
    const kept = Math.min(here, MOST_CAPTURED - partial.captured)
    // The chunk belongs to whoever read it and is written over.
    if (kept > 0) partial.parts.push(Buffer.from(chunk.subarray(at, at + kept)))
    partial.captured += kept
    if (kept < here) (partial.rest ??= createHash('sha256')).update(chunk.subarray(at + kept, at + here))
    if (this.#left === 0) {
      this.#partial = null
      const { total, rest } = partial
      this.#dispatch(partial.type, {
        head: Buffer.concat(partial.parts),
        total,
        restSha256: rest?.digest('hex') ?? null,
      })
    }
    return at + here
  }

  #dispatch(type: number, body: CapturedBody): void {
    const sink = this.#sink
    switch (type) {
      case query:
        return sink.query(body)
      case parse:
        return sink.parse(body)
      case bind:
        return sink.bind(body)
      case execute:
        return sink.execute(body)
      case close:
        return sink.close(body)
      case sync:
        return sink.sync()
      case copyDone:
      case copyFail:
        return sink.copyEnd()
      case terminate:
        this.#isTerminated = true
        return sink.terminate()
    }
  }
}

const EMPTY: CapturedBody = { head: Buffer.alloc(0), total: 0, restSha256: null }

/** Judges type and length before anything of the body is looked at. */
function checkedLength(type: number, length: number): number {
  if (length < 4 || length > longest(type)) throw new ProtocolError('invalid message length')
  return length
}

function longest(type: number): number {
  switch (type) {
    case query:
    case parse:
    case bind:
    case copyData:
      return LONGEST_MESSAGE
    case describe:
    case execute:
    case close:
    case copyFail:
      return LONGEST_SMALL
    case sync:
    case flush:
    case copyDone:
    case terminate:
      return 4
    case functionCall:
      throw new ProtocolError(
        'function calls of the protocol (fastpath) are not passed on',
        SQLSTATE.featureNotSupported,
      )
    default:
      throw new ProtocolError(`invalid frontend message type ${type}`)
  }
}
