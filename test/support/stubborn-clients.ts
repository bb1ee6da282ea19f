// Clients that read what comes, say what they are told to, and close for nobody.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import { until } from './until.ts'

export class StubbornClients implements Disposable {
  readonly #port: number
  readonly #open = new Map<Socket, string>()

  constructor(port: number) {
    this.#port = port
  }

  /** Names of those that have not been closed by the other side. */
  get open(): readonly string[] {
    return [...this.#open].flatMap(([socket, name]) => (socket.readableEnded || socket.destroyed ? [] : [name]))
  }

  async allAreClosed(): Promise<void> {
    await until('the other side to close all', () => this.open.length === 0).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${this.open.join(', ')}`, { cause: error })
    })
  }

  /** `pieces` go out one by one. `greeted`: not before the other side has said something */
  async plain(name: string, pieces: readonly Uint8Array[], greeted = false): Promise<void> {
    const socket = await this.#connect(name)
    if (greeted) await once(socket, 'data')
    socket.resume()
    await send(socket, pieces)
  }

  /** The same within TLS, which begins behind `before`; `answered`: and behind an answer to it. */
  async secure(
    name: string,
    pieces: readonly Uint8Array[],
    { before, answered, tls }: { before: Uint8Array; answered: 'first' | 'greeting'; tls: ConnectionOptions },
  ): Promise<void> {
    const socket = await this.#connect(name)
    if (answered === 'greeting') await once(socket, 'data')
    socket.write(before)
    if (answered === 'first') await once(socket, 'data')
    const secure = connectTls({ socket, rejectUnauthorized: false, ...tls })
    secure.on('error', () => {})
    this.#open.delete(socket)
    this.#open.set(secure, name)
    await once(secure, 'secureConnect')
    secure.resume()
    await send(secure, pieces)
  }

  async #connect(name: string): Promise<Socket> {
    const socket = connect({ port: this.#port, host: '127.0.0.1', allowHalfOpen: true })
    socket.on('error', () => {})
    this.#open.set(socket, name)
    await once(socket, 'connect')
    return socket
  }

  [Symbol.dispose](): void {
    for (const socket of this.#open.keys()) socket.destroy()
  }
}

async function send(socket: Socket, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) {
    socket.write(piece)
    await until('it to be on its way', () => socket.writableLength === 0 || socket.destroyed)
  }
}
