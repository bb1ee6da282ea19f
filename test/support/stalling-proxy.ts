// A network in between that goes dark: from then on nothing is passed on, and nobody is told that anything was closed.
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** `swallow`: what is sent is taken and lost. `hold`: it is not even taken, so that the sender's window fills. */
export type Darkness = 'swallow' | 'hold'

interface Line {
  /** Towards whoever connected */
  readonly near: Socket
  readonly far: Socket
  nearHasLeft: boolean
}

export class StallingProxy implements Disposable {
  readonly port: number
  readonly #server: Server
  readonly #target: number
  readonly #lines: Line[] = []
  #darkness: Darkness | null = null
  /** Bytes that may still go to whoever connected before it gets dark; null: it does not by itself */
  #darkAfter: number | null = null

  private constructor(server: Server, target: number) {
    this.#server = server
    this.#target = target
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (near) => this.#accept(near))
  }

  static async start(target: number): Promise<StallingProxy> {
    const server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new StallingProxy(server, target)
  }

  /** Connections that whoever made them has not closed. Seen in the dark only when it swallows. */
  get open(): number {
    return this.#lines.filter(({ nearHasLeft }) => !nearHasLeft).length
  }

  /** Also for connections that are made from now on: they are accepted, and that is all. */
  goDark(darkness: Darkness): void {
    this.#darkness = darkness
    if (darkness === 'hold') for (const { near, far } of this.#lines) for (const side of [near, far]) side.pause()
  }

  /** Everything that was held goes on. */
  lightUp(): void {
    this.#darkness = null
    for (const { near, far } of this.#lines) for (const side of [near, far]) side.resume()
  }

  /** Swallows all that comes once the server has answered with so many bytes on one connection. */
  goDarkAfter(bytes: number): void {
    this.#darkAfter = bytes
  }

  #accept(near: Socket): void {
    const far = connect({ port: this.#target, host: '127.0.0.1', allowHalfOpen: true })
    const line: Line = { near, far, nearHasLeft: false }
    this.#lines.push(line)
    let answered = 0
    const isDark = (): boolean => this.#darkness !== null || (this.#darkAfter !== null && answered > this.#darkAfter)
    const pass = (from: Socket, to: Socket): void => {
      from.on('error', () => {})
      from.on('data', (chunk: Buffer) => {
        if (from === far) answered += chunk.length
        if (isDark()) return
        if (to.write(chunk)) return
        from.pause()
        to.once('drain', () => {
          if (this.#darkness !== 'hold') from.resume()
        })
      })
      from.on('end', () => {
        if (from === near) line.nearHasLeft = true
        if (!isDark()) to.end()
      })
      from.on('close', () => {
        if (from === near) line.nearHasLeft = true
        if (!isDark()) to.destroy()
      })
    }
    pass(near, far)
    pass(far, near)
    if (this.#darkness === 'hold') near.pause()
  }

  [Symbol.dispose](): void {
    this.#server.close()
    for (const { near, far } of this.#lines) {
      near.destroy()
      far.destroy()
    }
  }
}
