// The SSH transport layer (RFC 4253, RFC 8308, strict key exchange of OpenSSH PROTOCOL section 1.10) without I/O.
import { FormatError } from '../../../../formats/format-error.ts'
import { SIGNATURE_ALGORITHMS } from '../../../../formats/openssh/algorithms.ts'
import { SshReader, SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import { FrameReader } from './frame-reader.ts'
import { IdentReader } from './ident-reader.ts'
import { KeyExchange } from './key-exchange.ts'
import type { KexSide, Session } from './key-exchange.ts'
import { CIPHER_NAMES } from './kex-init.ts'
import type { Negotiated } from './kex-init.ts'
import { DISCONNECT_REASON, MESSAGE } from './messages.ts'
import { bodyOf, clearOpener, clearSealer, GcmOpener, GcmSealer, payloadOf } from './packet-codec.ts'
import type { Opener, Sealer } from './packet-codec.ts'
import { ProtocolError } from './protocol-error.ts'

/** RFC 4253 section 6.1 asks for 35000 at least. */
const MAX_PACKET_BEFORE_SIGN_IN = 35_000
/** OpenSSH's limit, and room for headers */
const MAX_PACKET = 256 * 1024 + 1024
/** A later key exchange must be over in this time, in milliseconds. */
const REKEY_DEADLINE = 60_000
/** What may wait for the end of a key exchange, in bytes: above the first `send` says no, above the second we give up. */
const QUEUE_FULL = 256 * 1024
const QUEUE_LIMIT = 8 * 1024 * 1024
/** What a paused transport takes in while a key exchange forces it to read, in bytes. */
const HELD_LIMIT = 8 * 1024 * 1024
const MAX_PING = 1024

export interface RekeyLimits {
  /** Bytes in one direction under one set of keys */
  readonly bytes: number
  /** Packets in one direction; RFC 4344 section 3.1 allows 2^32 */
  readonly packets: number
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

interface DirectionCount {
  bytes: number
  packets: number
}

export class SshTransport {
  readonly #options: TransportOptions
  readonly #events: TransportEvents
  readonly #idents: { own: string; peer: string }
  readonly #rekeyAt: RekeyLimits
  readonly #frames = new FrameReader()
  #identReader: IdentReader | null
  #sealer: Sealer = clearSealer
  #opener: Opener = clearOpener
  #exchange: KeyExchange | null = null
  #session: Session | null = null
  #negotiated: Negotiated | null = null
  /** Our KEXINIT is out and our NEWKEYS is not: only messages of the exchange may be sent. */
  #sendsOnlyKex = false
  #isReady = false
  #isAuthenticated = false
  #isEnded = false
  /** The exchange waits for a signature or a verdict. */
  #isWorking = false
  #isReading = false
  #isPaused = false
  /** Bodies for onPacket that came while paused */
  #held: Buffer[] = []
  #heldBytes = 0
  #queue: Buffer[] = []
  #queuedBytes = 0
  readonly #sent: DirectionCount = { bytes: 0, packets: 0 }
  readonly #received: DirectionCount = { bytes: 0, packets: 0 }
  /** Packets received since the last NEWKEYS, for UNIMPLEMENTED */
  #sequence = 0
  #exchangeSince: number | null = null
  #keysSince: number | null = null
  #peerSignatureAlgorithms: readonly string[] | null = null

  constructor(options: TransportOptions, events: TransportEvents) {
    this.#options = options
    this.#events = events
    this.#rekeyAt = options.rekey ?? REKEY_LIMITS
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
      const rest = this.#identReader ? this.#readIdent(this.#identReader, chunk) : chunk
      if (rest === null) return
      this.#received.bytes += rest.length
      this.#frames.push(rest)
      if (this.#frames.buffered > 2 * MAX_PACKET) throw new ProtocolError('sent on while we were busy')
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
        return this.#onExtInfo(payload)
      case MESSAGE.KEXINIT:
        return this.#onPeerRekey(payload)
      case MESSAGE.PING:
        return this.#onPing(payload)
      default:
        if (type >= MESSAGE.KEXINIT) throw new ProtocolError(`message ${type} outside a key exchange`)
        // Counted from zero and already counted up.
        this.send(
          new SshWriter(8)
            .u8(MESSAGE.UNIMPLEMENTED)
            .u32((this.#sequence - 1) >>> 0)
            .toBuffer(),
        )
    }
  }

  /** Before sign-in nobody needs new keys, and each exchange costs us a signature. */
  #onPeerRekey(payload: Buffer): void {
    if (!this.#isAuthenticated) throw new ProtocolError('key exchange before sign-in is over')
    const exchange = this.#exchange ?? this.#startExchange()
    this.#onExchangeMessage(exchange, MESSAGE.KEXINIT, payload)
  }

  #onPing(payload: Buffer): void {
    if (!this.#isAuthenticated) throw new ProtocolError('message 192 before sign-in')
    const reader = new SshReader(payload, 1)
    const data = reader.string(MAX_PING)
    reader.end()
    this.send(new SshWriter(8 + data.length).u8(MESSAGE.PONG).string(data).toBuffer())
  }

  #onExtInfo(payload: Buffer): void {
    const reader = new SshReader(payload, 1)
    const count = reader.u32()
    if (count > 64) throw new ProtocolError('too many extensions')
    for (let i = 0; i < count; i++) {
      const name = reader.text(256)
      const value = reader.string(MAX_PACKET_BEFORE_SIGN_IN)
      if (name === 'server-sig-algs') this.#peerSignatureAlgorithms = value.toString('latin1').split(',')
    }
    reader.end()
  }

  #onDisconnect(payload: Buffer): void {
    const reader = new SshReader(payload, 1)
    reader.u32()
    const text = reader.string(MAX_PACKET_BEFORE_SIGN_IN).toString('utf8', 0, 1024)
    // Shown and logged: no control characters.
    const peerText = text.replace(/[\p{Cc}\p{Cf}]/gu, ' ')
    this.#end(this.#isReady ? { peerText } : { peerText, error: new ProtocolError('disconnected in the key exchange') })
  }

  /** Sends one message, or queues a copy during a key exchange. False: too much is queued. */
  send(payload: Uint8Array): boolean {
    if (this.#isEnded) return false
    const type = payload[0] ?? 0
    // RFC 4253 section 7.1: between KEXINIT and NEWKEYS only the transport's generic messages, not SERVICE_* or EXT_INFO.
    if (this.#sendsOnlyKex && type > MESSAGE.DEBUG) return this.#enqueue(Buffer.from(payload))
    this.#write(bodyOf(payload, this.#sealer.isEncrypting))
    return true
  }

  /** Sends on what another transport delivered. The frame belongs to us from here. False: too much is queued. */
  forward(payload: Buffer, frame: Buffer | null): boolean {
    if (this.#isEnded) return false
    if (this.#sendsOnlyKex) return this.#enqueue(payload)
    this.#write(frame ?? bodyOf(payload, true))
    return true
  }

  #enqueue(payload: Buffer): boolean {
    this.#queue.push(payload)
    // What many small messages cost besides their bytes counts too.
    this.#queuedBytes += payload.length + 128
    if (this.#queuedBytes > QUEUE_LIMIT) this.#fail(new ProtocolError('too much to send during a key exchange'))
    return this.#queuedBytes <= QUEUE_FULL
  }

  #write(body: Buffer): void {
    if (this.#isEnded) return
    const frame = this.#sealer.seal(body)
    this.#sent.bytes += frame.length
    this.#sent.packets++
    this.#events.write(frame)
    if (this.#sent.bytes >= this.#rekeyAt.bytes || this.#sent.packets >= this.#rekeyAt.packets) this.rekey()
  }

  /** Asks for new keys. Does nothing before sign-in or when an exchange is going on. */
  rekey(): void {
    if (this.#isAuthenticated && !this.#exchange && !this.#isEnded) this.#startExchange()
  }

  #startExchange(): KeyExchange {
    const { side, ciphers = CIPHER_NAMES } = this.#options
    const setup = { ciphers, idents: this.#idents, session: this.#session }
    const exchange = new KeyExchange(side, setup, {
      send: (payload) => this.#write(bodyOf(payload, this.#sealer.isEncrypting)),
      useForSending: (keys) => this.#onOwnNewKeys(exchange, new GcmSealer(keys)),
      useForReceiving: (keys) => this.#onPeerNewKeys(exchange, new GcmOpener(keys)),
    })
    this.#exchange = exchange
    this.#exchangeSince = null
    this.#write(bodyOf(exchange.ownInit, this.#sealer.isEncrypting))
    this.#sendsOnlyKex = true
    if (this.#isPaused) this.#events.onWantsInput()
    return exchange
  }

  #onOwnNewKeys(exchange: KeyExchange, sealer: Sealer): void {
    this.#sealer = sealer
    this.#sent.bytes = 0
    this.#sent.packets = 0
    this.#sendsOnlyKex = false
    this.#session = exchange.session
    if (!this.#isReady && exchange.peerWantsExtInfo && this.#options.side.role === 'server') this.#sendExtInfo()
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

  #sendExtInfo(): void {
    const writer = new SshWriter().u8(MESSAGE.EXT_INFO).u32(2)
    writer.string('server-sig-algs').names(SIGNATURE_ALGORITHMS).string('ping@openssh.com').string('0')
    this.send(writer.toBuffer())
  }

  #flushQueue(): void {
    const queue = this.#queue
    if (queue.length === 0) return
    this.#queue = []
    this.#queuedBytes = 0
    // Sending may start the next exchange, which queues the rest again, in order.
    for (const payload of queue) this.send(payload)
    if (this.#queuedBytes <= QUEUE_FULL) this.#events.onQueueEmpty()
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
    if (this.#isEnded) return
    const writer = new SshWriter().u8(MESSAGE.DISCONNECT).u32(reason).string(text).string('')
    this.#events.write(this.#sealer.seal(bodyOf(writer.toBuffer(), this.#sealer.isEncrypting)))
  }

  #end(why: { readonly error?: Error; readonly peerText?: string }): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#queue = []
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
