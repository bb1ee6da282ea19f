// Walks the messages of a client that has signed in, in place: what the sink does not ask for is neither cut out nor decoded.
//   byte type | int32 length (counts itself) | body

import { FROM_CLIENT, HEADER, LONGEST_MESSAGE } from './codes.ts'
import { readFunctionCall, type FunctionCall } from './function-call.ts'
import { readBind, readClose, readExecute, readParse, readQuery } from './extended-query.ts'
import { LongMessage, type Taker } from './long-message.ts'
import { ProtocolError } from './protocol-error.ts'

/** Bodies that come in pieces are put together up to this length; longer ones are handed on in pieces. */
export const LONGEST_HELD = 64 * 1024
/** Clients write large objects in pieces of some kilobytes. */
const LONGEST_CALL = 1024 * 1024
/** The server's own limit for messages that carry a name at most */
const LONGEST_SMALL = 10_000

/**
 * Told of each message before the byte that completes it is passed on. Throwing ends the session. Buffers are valid only during
 * the call. `T` takes what is too long to be held.
 */
export interface ClientSink<T extends Taker> {
  long(type: number): T
  query(sql: Buffer | T): void
  parse(name: string, sql: Buffer | T): void
  /** `parameters`: the body of Bind behind its names */
  bind(portal: string, prepared: string, parameters: Buffer | T): void
  describe(): void
  functionCall(call: FunctionCall): void
  execute(portal: string): void
  close(what: 'prepared' | 'portal', name: string): void
  sync(): void
  /** The start of CopyData, of which nothing else is told */
  copyData(): void
  copyEnd(): void
  terminate(): void
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

export class ClientFrames<T extends Taker> {
  readonly #sink: ClientSink<T>
  readonly #header = Buffer.alloc(HEADER)
  #headerBytes = 0
  /** Bytes of the body that are still to come */
  #left = 0
  /** The start of a body that is put together */
  #held: { readonly type: number; readonly body: Buffer; have: number } | null = null
  #long: LongMessage<T> | null = null
  #isTerminated = false

  constructor(sink: ClientSink<T>) {
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
    if (type === copyData) this.#sink.copyData()
    if (chunk.length - at >= body) {
      this.#dispatch(type, chunk, at, at + body)
      return at + body
    }
    this.#left = body
    if (type !== copyData) {
      if (body <= LONGEST_HELD || type === functionCall) this.#held = { type, body: Buffer.allocUnsafe(body), have: 0 }
      else this.#long = new LongMessage(type, this.#sink.long(type))
    }
    return this.#more(chunk, at)
  }

  #more(chunk: Buffer, at: number): number {
    const stop = at + Math.min(this.#left, chunk.length - at)
    this.#left -= stop - at
    const held = this.#held
    if (held) {
      held.have += chunk.copy(held.body, held.have, at, stop)
      if (this.#left === 0) {
        this.#held = null
        this.#dispatch(held.type, held.body, 0, held.body.length)
      }
    }
    const long = this.#long
    if (long) {
      long.take(chunk.subarray(at, stop))
      if (this.#left === 0) {
        this.#long = null
        this.#dispatchLong(long)
      }
    }
    return stop
  }

  #dispatch(type: number, bytes: Buffer, from: number, to: number): void {
    const sink = this.#sink
    switch (type) {
      case query:
        return sink.query(readQuery(bytes.subarray(from, to)))
      case parse: {
        const { name, sql } = readParse(bytes.subarray(from, to))
        return sink.parse(name, sql)
      }
      case bind: {
        const { portal, prepared, parameters } = readBind(bytes.subarray(from, to))
        return sink.bind(portal, prepared, parameters)
      }
      case describe:
        return sink.describe()
      case functionCall:
        return sink.functionCall(readFunctionCall(bytes.subarray(from, to)))
      case execute:
        return sink.execute(readExecute(bytes.subarray(from, to)))
      case close: {
        const { what, name } = readClose(bytes.subarray(from, to))
        return sink.close(what, name)
      }
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

  #dispatchLong(long: LongMessage<T>): void {
    long.end()
    const [first = '', second = ''] = long.names
    if (long.type === query) this.#sink.query(long.main)
    else if (long.type === parse) this.#sink.parse(first, long.main)
    else this.#sink.bind(first, second, long.main)
  }
}

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
      return LONGEST_CALL
    default:
      throw new ProtocolError(`invalid frontend message type ${type}`)
  }
}
