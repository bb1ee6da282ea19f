import type { Socket } from 'node:net'
import { createServer, type Server } from 'node:net'
import type { Clock } from '../../foundation/clock.ts'
import type { Log } from '../../foundation/log.ts'
import type { ListenerLimits } from '../control-plane.ts'
import { MAX_CLIENT_HELLO, SILENCE_MEANS_SSH_MS, sniff, SNIFF_DEADLINE_MS, type Sniffed } from './sniff.ts'
import type { TlsHello } from './tls-to-api.ts'

/** One accepted connection that has not signed in yet. `signedIn` and `done` keep the counts. */
export interface Arrival {
  readonly socket: Socket
  readonly address: string
  readonly port: number
  /** Takes it out of the unauthenticated counts. */
  signedIn(): void
}

export interface Protocols {
  /** `node`: named by a CONNECT preface. */
  ssh(arrival: Arrival, node: string | null): void
  /** `isDirectTls`: it began with a ClientHello whose ALPN says so */
  postgres(arrival: Arrival, isDirectTls: boolean): void
  tls(arrival: Arrival, hello: TlsHello): void
}

export interface ListenerOptions {
  readonly limits: ListenerLimits
  readonly clock: Clock
  readonly log: Log
  /** A function: the port has one protocol, which speaks first */
  readonly protocols: Protocols | ((arrival: Arrival) => void)
}

/** libpq 17 and later, sslnegotiation=direct */
const POSTGRES_ALPN = 'postgresql'
const PLAIN_HTTP_TEXT = 'This port speaks HTTPS, SSH and PostgreSQL only.\n'
const PLAIN_HTTP_ANSWER = `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: ${PLAIN_HTTP_TEXT.length}\r\n\r\n${PLAIN_HTTP_TEXT}`
const CONNECT_ANSWER = 'HTTP/1.1 200 Connection established\r\n\r\n'

/**
 * The one port, or one of a single protocol. Caps what has not signed in, tells protocols apart and hands each connection on
 * with nothing consumed.
 */
export class SharedPortListener {
  readonly server: Server
  readonly #options: ListenerOptions
  readonly #open = new Set<Socket>()
  readonly #unauthenticated = new Map<string, number>()
  #unauthenticatedTotal = 0

  constructor(options: ListenerOptions) {
    this.#options = options
    this.server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) => this.#accept(socket))
    this.server.on('error', (error) => options.log.error({ err: error.message }, 'listener failed'))
  }

  get connections(): number {
    return this.#open.size
  }

  /** Stops accepting; open connections stay. */
  stop(): Promise<void> {
    return new Promise((resolve) => {
      // close() calls back only when every connection has ended; not accepting is all we wait for.
      this.server.close()
      resolve()
    })
  }

  destroyAll(): void {
    for (const socket of this.#open) socket.destroy()
  }

  #accept(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress)
    // Errors before the protocol takes over are the client's going away.
    socket.on('error', () => {})
    if (address === null || !this.#hasRoom(address)) {
      socket.destroy()
      return
    }
    this.#open.add(socket)
    this.#count(address, 1)
    let counted = true
    const uncount = (): void => {
      if (!counted) return
      counted = false
      this.#count(address, -1)
    }
    socket.once('close', () => {
      this.#open.delete(socket)
      uncount()
    })
    const arrival = { socket, address, port: socket.remotePort ?? 0, signedIn: uncount }
    const { protocols } = this.#options
    if (typeof protocols === 'function') protocols(arrival)
    else this.#sniff(arrival, protocols)
  }

  #hasRoom(address: string): boolean {
    const { connections, unauthenticated, unauthenticatedPerAddress } = this.#options.limits
    return (
      this.#open.size < connections &&
      this.#unauthenticatedTotal < unauthenticated &&
      (this.#unauthenticated.get(address) ?? 0) < unauthenticatedPerAddress
    )
  }

  #count(address: string, by: 1 | -1): void {
    this.#unauthenticatedTotal += by
    const count = (this.#unauthenticated.get(address) ?? 0) + by
    if (count > 0) this.#unauthenticated.set(address, count)
    else this.#unauthenticated.delete(address)
  }

  #sniff(arrival: Arrival, protocols: Protocols): void {
    const { socket } = arrival
    const { clock } = this.#options
    let seen: Buffer = Buffer.alloc(0)
    const silence = clock.after(SILENCE_MEANS_SSH_MS, () => {
      if (seen.length === 0) settle({ kind: 'ssh' })
    })
    const deadline = clock.after(SNIFF_DEADLINE_MS, () => settle({ kind: 'refused', why: 'too slow' }))
    const onData = (chunk: Buffer): void => {
      seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
      const verdict = sniff(seen)
      if (verdict.kind !== 'need_more') settle(verdict)
      else if (seen.length > MAX_CLIENT_HELLO * 2) settle({ kind: 'refused', why: 'preface too long' })
    }
    const settle = (verdict: Exclude<Sniffed, { kind: 'need_more' }>): void => {
      silence.cancel()
      deadline.cancel()
      socket.off('data', onData)
      socket.off('close', cancel)
      socket.pause()
      this.#dispatch(arrival, protocols, verdict, seen)
    }
    const cancel = (): void => {
      silence.cancel()
      deadline.cancel()
    }
    socket.on('data', onData)
    socket.once('close', cancel)
  }

  #dispatch(
    arrival: Arrival,
    protocols: Protocols,
    verdict: Exclude<Sniffed, { kind: 'need_more' }>,
    seen: Buffer,
  ): void {
    const { socket } = arrival
    if (socket.destroyed) return
    switch (verdict.kind) {
      case 'ssh':
        if (seen.length > 0) socket.unshift(seen)
        protocols.ssh(arrival, null)
        return
      case 'ssh_connect': {
        const rest = seen.subarray(verdict.consumed)
        socket.write(CONNECT_ANSWER)
        if (rest.length > 0) socket.unshift(rest)
        protocols.ssh(arrival, verdict.node)
        return
      }
      case 'postgres':
        socket.unshift(seen)
        protocols.postgres(arrival, false)
        return
      case 'tls':
        socket.unshift(seen)
        if (verdict.alpn.includes(POSTGRES_ALPN)) protocols.postgres(arrival, true)
        else protocols.tls(arrival, verdict)
        return
      case 'plain_http':
        socket.end(PLAIN_HTTP_ANSWER)
        return
      case 'refused':
        this.#options.log.debug({ address: arrival.address, why: verdict.why }, 'connection refused')
        socket.destroy()
    }
  }
}

/** `::ffff:10.0.0.1` -> `10.0.0.1`; null when the socket is already gone. */
export function plainAddress(address: string | undefined): string | null {
  if (address === undefined) return null
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
