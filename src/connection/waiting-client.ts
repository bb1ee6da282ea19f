import type { Socket } from 'node:net'

/** A client sends nothing before it is let in, but it may. */
const MOST_AHEAD = 64 * 1024

/** Listens to a client that waits to be let in: what it sends ahead is kept, and that it leaves is known at once. */
export class WaitingClient {
  readonly #socket: Socket
  readonly #left = new AbortController()
  #sent: Buffer[]
  #size: number

  /** `before`: what has been read of it already, behind what it said to sign in. */
  constructor(socket: Socket, before: Buffer = Buffer.alloc(0)) {
    this.#socket = socket
    this.#sent = before.length === 0 ? [] : [before]
    this.#size = before.length
    socket.on('data', this.#take)
    socket.on('end', this.#leave)
    socket.on('close', this.#leave)
    socket.resume()
    if (socket.destroyed) this.#leave()
  }

  get left(): AbortSignal {
    return this.#left.signal
  }

  /** What it sent, once. The socket is paused. */
  stop(): Buffer {
    this.#socket.off('data', this.#take)
    this.#socket.off('end', this.#leave)
    this.#socket.off('close', this.#leave)
    this.#socket.pause()
    const sent = this.#sent
    this.#sent = []
    return sent.length === 1 && sent[0] ? sent[0] : Buffer.concat(sent)
  }

  readonly #take = (chunk: Buffer): void => {
    this.#sent.push(chunk)
    this.#size += chunk.length
    if (this.#size > MOST_AHEAD) this.#socket.destroy()
  }

  readonly #leave = (): void => this.#left.abort(new Error('the client left'))
}
