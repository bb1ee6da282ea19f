import type { Duplex } from 'node:stream'
import { framed, PacketReader, type Packet } from './wire/packets.ts'

/** No greeting, sign-in or answer to one is longer. */
const LONGEST_SIGN_IN_PACKET = 16 * 1024

/** The peer is gone; nothing is to be said to it. */
export class PeerLeft extends Error {
  override readonly name = 'PeerLeft'
}

/** One side of a sign-in: packet for packet over a socket, until the socket is handed on. */
export class PacketChannel {
  readonly #socket: Duplex
  readonly #reader = new PacketReader(LONGEST_SIGN_IN_PACKET)
  #waiting: PromiseWithResolvers<Packet> | null = null
  #failure: Error | null = null
  /** Of the packet that came or went last */
  #sequence = -1

  constructor(socket: Duplex) {
    this.#socket = socket
    socket.on('data', this.#onData)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
    socket.pause()
  }

  /** The next packet. Rejects with PeerLeft, or with ProtocolError where the packet cannot be one. */
  receive(): Promise<Packet> {
    if (this.#failure) return Promise.reject(this.#failure)
    this.#waiting = Promise.withResolvers()
    const { promise } = this.#waiting
    this.#look()
    if (this.#waiting) this.#socket.resume()
    return promise
  }

  /** With the sequence id that follows. */
  send(...parts: readonly Uint8Array[]): void {
    this.#sequence++
    if (this.#socket.writable) this.#socket.write(framed(this.#sequence, ...parts))
  }

  /** Sends, and closes. */
  end(payload: Uint8Array): void {
    this.#sequence++
    if (this.#socket.writable) this.#socket.end(framed(this.#sequence, payload))
  }

  /** Lets go of the socket, which is paused, and gives what was read too much. */
  release(): Buffer {
    this.#socket.pause()
    this.#socket.off('data', this.#onData)
    this.#socket.off('error', this.#onError)
    this.#socket.off('close', this.#onClose)
    return this.#reader.rest()
  }

  /** Takes over the count of a channel before this one: TLS began in between. */
  countsOn(from: PacketChannel): this {
    this.#sequence = from.#sequence
    return this
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#reader.push(chunk)
    this.#look()
  }

  readonly #onError = (error: Error): void => this.#fail(new PeerLeft(error.message))
  readonly #onClose = (): void => this.#fail(new PeerLeft('the connection was closed'))

  #look(): void {
    const waiting = this.#waiting
    if (!waiting) return
    try {
      const packet = this.#reader.next()
      if (!packet) return
      this.#waiting = null
      this.#sequence = packet.sequence
      this.#socket.pause()
      waiting.resolve(packet)
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error('failed'))
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#waiting?.reject(this.#failure)
    this.#waiting = null
  }
}
