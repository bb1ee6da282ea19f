import { randomBytes, randomUUID } from 'node:crypto'
import type { Server } from 'node:http'
import { WebSocketServer, type WebSocket } from 'ws'

const TYPES: Readonly<Record<string, string>> = { interactions: 'interactive', commands: 'slash_commands' }

interface Waiting {
  readonly resolve: (payload: object | undefined) => void
}

/** Socket Mode: tickets that open once, hello, envelopes with acknowledgement and redelivery, disconnect frames. */
export class FakeSockets {
  /** Acknowledgements by envelope, however often each came */
  readonly acks: string[] = []
  readonly #tickets = new Set<string>()
  readonly #open = new Set<WebSocket>()
  readonly #waiting = new Map<string, Waiting>()
  readonly #server: WebSocketServer
  /** Nothing at all is said on sockets that open from now on */
  mute = false
  /** No acknowledgement is heard */
  deaf = false
  /** Slack's own limit; shorter in tests of what comes again */
  ackWithinMs = 3000

  constructor(server: Server) {
    this.#server = new WebSocketServer({ noServer: true, maxPayload: 1024 * 1024 })
    server.on('upgrade', (request, socket, head) => {
      const ticket = new URL(request.url ?? '/', 'http://127.0.0.1').searchParams.get('ticket') ?? ''
      if (!this.#tickets.delete(ticket)) {
        socket.end('HTTP/1.1 403 Forbidden\r\n\r\n')
        return
      }
      this.#server.handleUpgrade(request, socket, head, (ws) => this.#begin(ws))
    })
  }

  /** The address of a socket, good for one opening. */
  offer(base: string): string {
    const ticket = randomBytes(16).toString('hex')
    this.#tickets.add(ticket)
    return `${base}/link/?ticket=${ticket}&app_id=A0`
  }

  get count(): number {
    return this.#open.size
  }

  /**
   * Over one open socket; again over another where nothing came back, as Slack does, also where that one opens only later. Answered
   * within 3 s each time, or status 0.
   */
  async deliver(path: string, payload: object): Promise<{ status: number; body: string }> {
    const envelope = this.envelope(path, payload)
    for (let attempt = 0; attempt < 6; attempt++) {
      if (attempt > 0) await this.#anySocket()
      const ws = [...this.#open].at(-1 - attempt) ?? [...this.#open].at(-1)
      if (!ws) continue
      const answer = await this.#exchange(ws, envelope, attempt)
      if (answer !== null) return { status: 200, body: answer === undefined ? '' : JSON.stringify(answer) }
    }
    return { status: 0, body: '' }
  }

  envelope(path: string, payload: object): { envelope_id: string; type: string; payload: object } {
    return { envelope_id: randomUUID(), type: TYPES[path] ?? 'events_api', payload }
  }

  /** The same envelope on every open socket; how many acknowledgements came. */
  async deliverTwice(path: string, payload: object): Promise<number> {
    const envelope = this.envelope(path, payload)
    const sockets = [...this.#open]
    const before = this.acks.length
    for (const ws of [...sockets, ...sockets]) ws.send(JSON.stringify({ ...envelope, accepts_response_payload: true }))
    const last = performance.now() + 10_000
    while (this.acks.length - before < sockets.length * 2 && performance.now() < last)
      await new Promise((resolve) => setTimeout(resolve, 10))
    return this.acks.length - before
  }

  /** As every few hours: the socket serves on until a new one is there. */
  askToRefresh(reason: 'warning' | 'refresh_requested' | 'link_disabled' = 'refresh_requested'): void {
    for (const ws of this.#open) ws.send(JSON.stringify({ type: 'disconnect', reason, debug_info: { host: 'fake' } }))
  }

  cutAll(): void {
    for (const ws of this.#open) ws.terminate()
  }

  /** As a network that swallows everything: nothing is answered, nothing is closed. */
  freezeAll(): void {
    for (const ws of this.#open) ws.pause()
  }

  closeAll(): void {
    this.cutAll()
    this.#server.close()
  }

  sendRaw(text: string): void {
    for (const ws of this.#open) ws.send(text)
  }

  #begin(ws: WebSocket): void {
    this.#open.add(ws)
    // One for each envelope that waits.
    ws.setMaxListeners(0)
    ws.on('close', () => this.#open.delete(ws))
    ws.on('error', () => {})
    ws.on('message', (data: Buffer) => this.#acknowledged(data.toString('utf8')))
    if (!this.mute)
      ws.send(JSON.stringify({ type: 'hello', num_connections: this.#open.size, debug_info: { host: 'fake' } }))
  }

  #acknowledged(text: string): void {
    if (this.deaf) return
    const { envelope_id: id, payload } = JSON.parse(text) as { envelope_id: string; payload?: object }
    this.acks.push(id)
    this.#waiting.get(id)?.resolve(payload)
  }

  /** Returns as soon as a socket is open, and after a while all the same. */
  async #anySocket(): Promise<void> {
    const last = performance.now() + 20_000
    while (this.#open.size === 0 && performance.now() < last) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  /** null: nothing came back in time. */
  #exchange(ws: WebSocket, envelope: { envelope_id: string }, attempt: number): Promise<object | undefined | null> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(envelope.envelope_id)
        resolve(null)
      }, this.ackWithinMs)
      const done = (payload: object | undefined): void => {
        clearTimeout(timer)
        this.#waiting.delete(envelope.envelope_id)
        resolve(payload)
      }
      this.#waiting.set(envelope.envelope_id, { resolve: done })
      ws.once('close', () => {
        clearTimeout(timer)
        resolve(null)
      })
      const again = attempt === 0 ? {} : { retry_attempt: attempt, retry_reason: 'timeout' }
      ws.send(JSON.stringify({ ...envelope, accepts_response_payload: true, ...again }))
    })
  }
}
