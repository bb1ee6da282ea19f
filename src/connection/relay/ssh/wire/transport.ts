// The SSH transport layer (RFC 4253, RFC 8308, strict key exchange of OpenSSH PROTOCOL section 1.10) without I/O.
import { FormatError } from '../../../../formats/format-error.ts'
import { FrameReader } from './frame-reader.ts'
import { IdentReader } from './ident-reader.ts'
import { KeyExchange } from './key-exchange.ts'
import type { KexSide, Session } from './key-exchange.ts'
import { CIPHER_NAMES } from './kex-init.ts'
import type { Negotiated } from './kex-init.ts'
import { DISCONNECT_REASON, MESSAGE } from './messages.ts'
import { clearOpener, GcmOpener, GcmSealer, payloadOf, roomOfItsOwn } from './packet-codec.ts'
import type { Opener, Room, Sealer } from './packet-codec.ts'
import { Outbound } from './outbound.ts'
import type { KeyUse } from './outbound.ts'
import { ProtocolError } from './protocol-error.ts'
import {
  disconnect,
  extInfo,
  ignore,
  pongFor,
  readDisconnect,
  readSignatureAlgorithms,
  unimplemented,
} from './transport-messages.ts'

/** RFC 4253 section 6.1 asks for 35000 at least. */
const MAX_PACKET_BEFORE_SIGN_IN = 35_000
/** OpenSSH's limit, and room for headers */
const MAX_PACKET = 256 * 1024 + 1024
/** What may be in flight when we stop reading, in bytes */
const MAX_UNREAD = 2 * MAX_PACKET
/** A later key exchange must be over in this time, in milliseconds. */
const REKEY_DEADLINE = 60_000
/** What a paused transport takes in while a key exchange forces it to read, in bytes. */
const HELD_LIMIT = 8 * 1024 * 1024

export interface RekeyLimits extends KeyUse {
  /** Milliseconds */
  readonly age: number
}
export const REKEY_LIMITS: RekeyLimits = { bytes: 2 ** 30, packets: 2 ** 31, age: 3_600_000 }

export interface TransportOptions {
  readonly side: KexSide
  /** What follows `SSH-2.0-` */
  readonly software: string
  /** Of CIPHER_NAMES, in the order we like them */
  readonly ciphers?: readonly string[]
  readonly rekey?: RekeyLimits
}

export interface TransportEvents {
  /** Memory for bytes that are given to `write` next; of their own when not given */
  readonly room?: Room
  /** Bytes for the peer, in order. The buffer is not touched again. */
  write(bytes: Buffer): void
  /** The first key exchange is done. */
  onReady(): void
  /** A message that is not the transport's own. `frame` goes to forward() of another transport, as does the payload in it. */
  onPacket(payload: Buffer, frame: Buffer): void
  /** What waited for a key exchange is out. */
  onQueueEmpty(): void
  /** Whether `receive` is welcome may have changed. */
  onWantsInput(): void
  /** Once. Nothing is sent or delivered after it. */
  onEnd(why: { readonly error?: Error; readonly peerText?: string }): void
}

export class SshTransport {
  readonly #options: TransportOptions
  readonly #events: TransportEvents
  readonly #idents: { own: string; peer: string }
  readonly #rekeyAt: RekeyLimits
  readonly #frames = new FrameReader()
  #identReader: IdentReader | null
  readonly #outbound: Outbound
  #opener: Opener = clearOpener
  #exchange: KeyExchange | null = null
  #session: Session | null = null
  #negotiated: Negotiated | null = null
  #isReady = false
  #isAuthenticated = false
  #isEnded = false
  /** The exchange waits for a signature or a verdict. */
  #isWorking = false
  #isReading = false
  #heard = 0
  #isPaused = false
  /** Bodies for onPacket that came while paused */
  #held: Buffer[] = []
  #heldBytes = 0
  readonly #received = { bytes: 0, packets: 0 }
  /** Packets received since the last NEWKEYS, for UNIMPLEMENTED */
  #sequence = 0
  #exchangeSince: number | null = null
  #keysSince: number | null = null
  #peerSignatureAlgorithms: readonly string[] | null = null

  constructor(options: TransportOptions, events: TransportEvents) {
    this.#options = options
    this.#events = events
    this.#rekeyAt = options.rekey ?? REKEY_LIMITS
    this.#outbound = new Outbound(this.#rekeyAt, {
      room: events.room ?? roomOfItsOwn,
      write: (frame) => events.write(frame),
      onKeysUsedUp: () => this.rekey(),
      onQueueOverflow: () => this.#fail(new ProtocolError('too much to send during a key exchange')),
    })
    this.#idents = { own: `SSH-2.0-${options.software}`, peer: '' }
    this.#identReader = new IdentReader({ linesBeforeAllowed: options.side.role === 'client' })
  }

  /** Sends the identification and KEXINIT, without waiting for the peer's. */
  start(): void {
    this.#events.write(Buffer.from(`${this.#idents.own}\r\n`))
    this.#startExchange()
  }

  /** Exchange hash of the first key exchange; empty before onReady. */
  get sessionId(): Buffer {
    return this.#session?.id ?? Buffer.alloc(0)
  }

  /** Key or certificate the server showed; empty before onReady. */
  get hostKey(): Buffer {
    return this.#session?.hostKey ?? Buffer.alloc(0)
  }

  get peerVersion(): string {
    return this.#idents.peer
  }

  get negotiated(): Negotiated | null {
    return this.#negotiated
  }

  /** Messages that came so far, without those that say nothing. */
  get heard(): number {
    return this.#heard
  }

  get isAuthenticated(): boolean {
    return this.#isAuthenticated
  }

  /** A key exchange is going on: keep reading, or it never ends. */
  get isExchanging(): boolean {
    return this.#exchange !== null
  }

  /** False while paused (unless a key exchange needs its messages) and while a signature is made or a host key judged. */
  get wantsInput(): boolean {
    if (this.#isWorking || this.#isEnded) return false
    return !this.#isPaused || (this.#exchange !== null && this.#heldBytes < HELD_LIMIT)
  }

  /** No onPacket until resume(). */
  pause(): void {
    this.#isPaused = true
    this.#events.onWantsInput()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#guarded(() => this.#readFrames())
    this.#events.onWantsInput()
  }

  /** What the server said it takes (server-sig-algs, RFC 8308 section 3.1); null when it said nothing. */
  get peerSignatureAlgorithms(): readonly string[] | null {
    return this.#peerSignatureAlgorithms
  }

  /** Bigger packets and messages from 80 on are allowed from now on; so are new keys. */
  authenticated(): void {
    this.#isAuthenticated = true
  }

  /** Bytes from the peer. Never throws: what is wrong with them ends the transport. */
  receive(chunk: Buffer): void {
    if (this.#isEnded) return
    this.#guarded(() => {
      if (!this.wantsInput && this.#frames.buffered > MAX_UNREAD) throw new ProtocolError('sent on while we were busy')
      const rest = this.#identReader ? this.#readIdent(this.#identReader, chunk) : chunk
      if (rest === null) return
      this.#received.bytes += rest.length
      this.#frames.push(rest)
      this.#readFrames()
    })
  }

  /** The peer will send nothing more. */
  receiveEnd(): void {
    if (!this.#isEnded) this.#end(this.#isReady ? {} : { error: new ProtocolError('closed during the key exchange') })
  }

  #readIdent(reader: IdentReader, chunk: Buffer): Buffer | null {
    const done = reader.push(chunk)
    if (!done) return null
    this.#identReader = null
    this.#idents.peer = done.ident
    return done.rest
  }

  #readFrames(): void {
    if (this.#isReading) return
    this.#isReading = true
    try {
      this.#deliverHeld()
      while (this.wantsInput) {
        const limit = this.#isAuthenticated ? MAX_PACKET : MAX_PACKET_BEFORE_SIGN_IN
        const frame = this.#frames.next(this.#opener, limit)
        if (frame === null) return
        this.#onBody(this.#opener.open(frame))
      }
    } finally {
      this.#isReading = false
    }
  }

  #onBody(body: Buffer): void {
    const payload = payloadOf(body)
    this.#sequence = (this.#sequence + 1) >>> 0
    if (++this.#received.packets >= this.#rekeyAt.packets || this.#received.bytes >= this.#rekeyAt.bytes) this.rekey()
    const type = payload[0] ?? 0
    if (type !== MESSAGE.IGNORE) this.#heard++
    const exchange = this.#exchange
    if (exchange && (!this.#isReady || !exchange.isBeforePeerInit)) this.#onExchangeMessage(exchange, type, payload)
    else if (type >= MESSAGE.USERAUTH_REQUEST && type !== MESSAGE.PING) this.#deliver(payload, body)
    else this.#onTransportMessage(type, payload, body)
  }

  #deliver(payload: Buffer, body: Buffer): void {
    if (this.#isPaused) {
      this.#held.push(body)
      this.#heldBytes += body.length
      return
    }
    if (!this.#isAuthenticated && (payload[0] ?? 0) >= MESSAGE.GLOBAL_REQUEST) {
      throw new ProtocolError(`message ${payload[0]} before sign-in`)
    }
    this.#events.onPacket(payload, body)
  }

  #deliverHeld(): void {
    let count = 0
    for (const body of this.#held) {
      if (this.#isPaused || this.#isEnded) break
      count++
      this.#heldBytes -= body.length
      this.#events.onPacket(payloadOf(body), body)
    }
    if (count > 0) this.#held = this.#held.slice(count)
  }

  /** From the peer's KEXINIT to its NEWKEYS. Strict: nothing else at all, the first time; later DISCONNECT and the like. */
  #onExchangeMessage(exchange: KeyExchange, type: number, payload: Buffer): void {
    if (type === MESSAGE.DISCONNECT) return this.#onDisconnect(payload)
    if (this.#isReady && (type === MESSAGE.IGNORE || type === MESSAGE.DEBUG || type === MESSAGE.UNIMPLEMENTED)) return
    const work = exchange.handle(payload)
    if (!work) return
    this.#isWorking = true
    this.#events.onWantsInput()
    void work.then(
      () => this.#onWorkDone(),
      (error: unknown) => this.#fail(error),
    )
  }

  #onWorkDone(): void {
    if (this.#isEnded) return
    this.#isWorking = false
    this.#guarded(() => this.#readFrames())
    if (!this.#isEnded) this.#events.onWantsInput()
  }

  #onTransportMessage(type: number, payload: Buffer, body: Buffer): void {
    switch (type) {
      case MESSAGE.DISCONNECT:
        return this.#onDisconnect(payload)
      case MESSAGE.IGNORE:
      case MESSAGE.DEBUG:
      case MESSAGE.UNIMPLEMENTED:
        return
      case MESSAGE.SERVICE_REQUEST:
      case MESSAGE.SERVICE_ACCEPT:
        return this.#deliver(payload, body)
      case MESSAGE.EXT_INFO:
        this.#peerSignatureAlgorithms = readSignatureAlgorithms(payload) ?? this.#peerSignatureAlgorithms
        return
      case MESSAGE.KEXINIT:
        return this.#onPeerRekey(payload)
      case MESSAGE.PING:
        if (!this.#isAuthenticated) throw new ProtocolError('message 192 before sign-in')
        this.send(pongFor(payload))
        return
      default:
        if (type >= MESSAGE.KEXINIT) throw new ProtocolError(`message ${type} outside a key exchange`)
        // Counted from zero and already counted up.
        this.send(unimplemented((this.#sequence - 1) >>> 0))
    }
  }

  /** Before sign-in nobody needs new keys, and each exchange costs us a signature. */
  #onPeerRekey(payload: Buffer): void {
    if (!this.#isAuthenticated) throw new ProtocolError('key exchange before sign-in is over')
    const exchange = this.#exchange ?? this.#startExchange()
    this.#onExchangeMessage(exchange, MESSAGE.KEXINIT, payload)
  }

  #onDisconnect(payload: Buffer): void {
    const peerText = readDisconnect(payload)
    this.#end(this.#isReady ? { peerText } : { peerText, error: new ProtocolError('disconnected in the key exchange') })
  }

  /** Sends one message, or queues a copy during a key exchange. False: too much is queued. */
  send(payload: Uint8Array): boolean {
    return !this.#isEnded && this.#outbound.send(payload)
  }

  /** Sends on what another transport delivered. The frame belongs to us from here. False: too much is queued. */
  forward(payload: Buffer, frame: Buffer | null): boolean {
    return !this.#isEnded && this.#outbound.forward(payload, frame)
  }

  /** Asks for new keys. Does nothing before sign-in or when an exchange is going on. */
  rekey(): void {
    if (this.#isAuthenticated && !this.#exchange && !this.#isEnded) this.#startExchange()
  }

  #startExchange(): KeyExchange {
    const { side, ciphers = CIPHER_NAMES } = this.#options
    const setup = { ciphers, idents: this.#idents, session: this.#session }
    const exchange = new KeyExchange(side, setup, {
      send: (payload) => this.#sendOfExchange(payload),
      useForSending: (keys) => this.#onOwnNewKeys(exchange, new GcmSealer(keys)),
      useForReceiving: (keys) => this.#onPeerNewKeys(exchange, new GcmOpener(keys)),
    })
    this.#exchange = exchange
    this.#exchangeSince = null
    this.#outbound.sendNow(exchange.ownInit)
    this.#outbound.holdBack()
    if (this.#isPaused) this.#events.onWantsInput()
    return exchange
  }

  /** A signature may come when the connection is long gone. */
  #sendOfExchange(payload: Buffer): void {
    if (!this.#isEnded) this.#outbound.sendNow(payload)
  }

  #onOwnNewKeys(exchange: KeyExchange, sealer: Sealer): void {
    this.#outbound.useKeys(sealer)
    this.#session = exchange.session
    if (!this.#isReady && exchange.peerWantsExtInfo && this.#options.side.role === 'server') this.send(extInfo())
    if (this.#isReady) this.#flushQueue()
  }

  #onPeerNewKeys(exchange: KeyExchange, opener: Opener): void {
    this.#opener = opener
    this.#received.bytes = 0
    this.#received.packets = 0
    this.#sequence = 0
    this.#negotiated = exchange.negotiated
    this.#exchange = null
    this.#keysSince = null
    if (this.#isReady) return this.#events.onWantsInput()
    this.#isReady = true
    this.#events.onReady()
    this.#flushQueue()
  }

  #flushQueue(): void {
    if (!this.#isEnded && this.#outbound.flush()) this.#events.onQueueEmpty()
  }

  /** For a moment in which nothing waits: makes what the next packet of either direction needs. */
  prepare(): void {
    if (this.#isEnded) return
    this.#opener.prepare()
    this.#outbound.prepare()
  }

  /** The connection is idle: holds nothing that can be made anew. */
  rest(): void {
    this.#opener.rest()
    this.#outbound.rest()
    this.#frames.rest()
  }

  /** Says nothing, so that TCP's acknowledgement has something to travel with. */
  acknowledge(): void {
    if (this.#isReady && !this.#exchange && !this.#isEnded) this.#outbound.sendNow(ignore())
  }

  /** To be called every few seconds with a monotonic clock's milliseconds. */
  tick(now: number): void {
    if (this.#isEnded || !this.#isReady) return
    if (this.#exchange) {
      this.#exchangeSince ??= now
      if (now - this.#exchangeSince > REKEY_DEADLINE) this.#fail(new ProtocolError('key exchange takes too long'))
      return
    }
    this.#keysSince ??= now
    if (now - this.#keysSince > this.#rekeyAt.age) this.rekey()
  }

  /** RFC 4253 section 11.1. Ends the transport. */
  disconnect(reason: number, text: string): void {
    this.#sendDisconnect(reason, text)
    this.#end({})
  }

  /** Ends the transport; the peer is told why when it is the peer's doing. */
  #fail(cause: unknown): void {
    if (this.#isEnded) return
    const error = asError(cause)
    if (error instanceof ProtocolError) this.#sendDisconnect(error.reason, error.message)
    else if (this.#isReady) this.#sendDisconnect(DISCONNECT_REASON.PROTOCOL_ERROR, 'internal error')
    else this.#sendDisconnect(DISCONNECT_REASON.KEY_EXCHANGE_FAILED, 'key exchange failed')
    this.#end({ error })
  }

  #sendDisconnect(reason: number, text: string): void {
    if (!this.#isEnded) this.#outbound.sendNow(disconnect(reason, text))
  }

  #end(why: { readonly error?: Error; readonly peerText?: string }): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#held = []
    this.#events.onEnd(why)
  }

  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#fail(error)
    }
  }
}

function asError(cause: unknown): Error {
  if (cause instanceof FormatError) return new ProtocolError(`malformed message: ${cause.message}`)
  return cause instanceof Error ? cause : new Error(String(cause))
}
