import { connect as connectTls } from 'node:tls'
import type { Duplex } from 'node:stream'
import { WebSocket, type RawData } from 'ws'
import { sleep, withDeadline, type Clock, type Timer } from '../../../foundation/clock.ts'
import type { Log } from '../../../foundation/log.ts'
import type { OutboundConnect } from '../../../foundation/outbound-fetch.ts'

/** A callback of Slack is at most 256 KiB over HTTP; an envelope adds little. */
const LONGEST_FRAME = 512 * 1024
const HELLO_WITHIN_MS = 15_000
const PING_EVERY_MS = 15_000
const CLOSE_WITHIN_MS = 2000

export interface SocketParts {
  readonly clock: Clock
  readonly log: Log
  readonly connect: OutboundConnect
  /** One frame; what it resolves to is sent back, null: nothing */
  readonly onFrame: (frame: Frame) => Promise<object | null>
}

export type Frame = Readonly<Record<string, unknown>>

/** Why a socket is of no more use: it is closed, or Slack asks for a new one and serves this one a little longer. */
export type SocketEnd = 'closed' | 'refresh' | 'link_disabled'

/** One WebSocket to Slack, from its hello on. A peer that is silent for two pings is gone, whatever TCP says. */
export class SlackSocket {
  readonly ended: Promise<SocketEnd>
  readonly #ws: WebSocket
  readonly #parts: SocketParts
  readonly #answering = new Set<Promise<void>>()
  readonly #end: (end: SocketEnd) => void
  readonly #hello: () => void
  readonly #closed: Promise<void>
  #heard = true
  #ping: Timer | null = null

  static async open(url: URL, parts: SocketParts, signal: AbortSignal): Promise<SlackSocket> {
    const transport = await withDeadline(parts.clock, HELLO_WITHIN_MS, signal, (until) =>
      connectTo(url, parts.connect, until),
    )
    const hello = Promise.withResolvers<void>()
    const ws = new WebSocket(url, {
      createConnection: () => transport,
      handshakeTimeout: HELLO_WITHIN_MS,
      maxPayload: LONGEST_FRAME,
      perMessageDeflate: false,
    })
    const socket = new SlackSocket(ws, parts, hello.resolve)
    const failed = socket.ended.then(() => {
      throw new Error('the socket of Slack closed before its hello')
    })
    const late = new AbortController()
    const waited = sleep(parts.clock, HELLO_WITHIN_MS, AbortSignal.any([signal, late.signal])).then(() => {
      throw new Error('the socket of Slack said no hello')
    })
    try {
      await Promise.race([hello.promise, failed, waited])
      return socket
    } catch (error) {
      ws.terminate()
      throw error
    } finally {
      late.abort(new Error('there is nothing to wait for any more'))
      for (const other of [failed, waited]) other.catch(() => {})
    }
  }

  private constructor(ws: WebSocket, parts: SocketParts, hello: () => void) {
    const ended = Promise.withResolvers<SocketEnd>()
    this.#ws = ws
    this.#parts = parts
    this.#hello = hello
    this.#end = ended.resolve
    this.ended = ended.promise
    ws.on('message', (data, binary) => this.#take(data, binary))
    ws.on('ping', () => this.#hear())
    ws.on('pong', () => this.#hear())
    ws.on('error', (error) => parts.log.warn({ err: error.message }, 'the socket of Slack failed'))
    const closed = Promise.withResolvers<void>()
    this.#closed = closed.promise
    ws.on('close', () => {
      this.#ping?.cancel()
      ended.resolve('closed')
      closed.resolve()
    })
    ws.on('open', () => this.#keepAlive())
  }

  /** Serves `forMs` longer, as Slack may still use it; then takes nothing more, answers what it has, and is closed. */
  async retire(forMs: number): Promise<void> {
    if (forMs > 0) await Promise.race([this.#closed, sleep(this.#parts.clock, forMs)])
    this.#ws.removeAllListeners('message')
    await Promise.race([Promise.allSettled(this.#answering), sleep(this.#parts.clock, CLOSE_WITHIN_MS)])
    this.#ping?.cancel()
    this.#ws.close(1000)
    const timer = this.#parts.clock.after(CLOSE_WITHIN_MS, () => this.#ws.terminate())
    this.#ws.once('close', () => timer.cancel())
  }

  #hear(): void {
    this.#heard = true
  }

  #keepAlive(): void {
    this.#ping = this.#parts.clock.after(PING_EVERY_MS, () => {
      if (!this.#heard) {
        this.#parts.log.warn({}, 'the socket of Slack is silent: opened anew')
        this.#ws.terminate()
        return
      }
      this.#heard = false
      if (this.#ws.readyState === WebSocket.OPEN) this.#ws.ping()
      this.#keepAlive()
    })
  }

  #take(data: RawData, binary: boolean): void {
    this.#hear()
    const frame = binary ? null : frameOf(data)
    if (frame === null) return
    if (frame['type'] === 'hello') return this.#hello()
    if (frame['type'] === 'disconnect')
      return this.#end(frame['reason'] === 'link_disabled' ? 'link_disabled' : 'refresh')
    const answering = this.#answer(frame).finally(() => this.#answering.delete(answering))
    this.#answering.add(answering)
  }

  async #answer(frame: Frame): Promise<void> {
    try {
      const answer = await this.#parts.onFrame(frame)
      if (answer !== null && this.#ws.readyState === WebSocket.OPEN) this.#ws.send(JSON.stringify(answer))
    } catch (error) {
      // Without an answer Slack delivers it again, here or to another instance.
      this.#parts.log.error({ err: String(error) }, 'a click in Slack could not be taken: Slack will repeat it')
    }
  }
}

async function connectTo(url: URL, connect: OutboundConnect, signal: AbortSignal): Promise<Duplex> {
  const secure = url.protocol === 'wss:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const socket = await connect(host, Number(url.port || (secure ? 443 : 80)), signal)
  if (!secure) return socket
  return connectTls({ socket, servername: host, rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] })
}

function frameOf(data: RawData): Frame | null {
  try {
    const parsed: unknown = JSON.parse(textOf(data))
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : null
  } catch {
    return null
  }
}

const textOf = (data: RawData): string =>
  Array.isArray(data) ? Buffer.concat(data).toString('utf8') : Buffer.from(data as Buffer).toString('utf8')
