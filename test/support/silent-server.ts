// A server that takes connections and says nothing.
import type { AddressInfo, Server, Socket } from 'node:net'
import { listen } from './database-lab.ts'

export class SilentServer implements AsyncDisposable {
  readonly port: number
  /** Those that are open now */
  readonly connections = new Set<Socket>()
  readonly #server: Server

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket: Socket) => {
      this.connections.add(socket)
      socket.once('close', () => this.connections.delete(socket))
      socket.resume()
    })
  }

  static async start(): Promise<SilentServer> {
    return new SilentServer(await listen(() => {}))
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#server.close()
    for (const socket of this.connections) socket.destroy()
    return Promise.resolve()
  }
}
