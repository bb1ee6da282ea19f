import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { CERTIFICATE_SUFFIX } from '../../../formats/openssh/algorithms.ts'
import { leftInBuffers } from '../../../foundation/buffer-garbage.ts'
import type { Task, Timer } from '../../../foundation/clock.ts'
import type { InboundPacket, SshLeg } from './ssh-leg.ts'
import { Outgoing } from './outgoing.ts'
import type { HostIdentity, KexSide, VerifyHostKey } from './wire/key-exchange.ts'
import { SshTransport } from './wire/transport.ts'
import type { RekeyLimits } from './wire/transport.ts'

/** Bytes that may wait for a slow peer before `send` says no. */
const HIGH_WATER = 512 * 1024
/** Above this we also stop listening to a peer that does not read: our answers to it would pile up. */
const FLOOD = 8 * HIGH_WATER
const TICK = 5_000
/** Milliseconds an ended connection has to take our last words. */
const LAST_WORDS = 2_000
const HANDSHAKE = 30_000
/** Milliseconds: an echo is back sooner, and must not wait for preparations. */
const PREPARE_AFTER = 3
/**
 * So many chunks without an answer are acknowledged by a message of ours. OpenSSH sends small packets by Nagle's rule until
 * a terminal is there: the next one waits for TCP's acknowledgement, which the kernel holds back for 40 ms where nothing is
 * sent. It is the signing in and the opening of the first channel that suffer.
 */
const ACKNOWLEDGED = 16

const HOST_KEY_ALGORITHMS: readonly string[] = [
  ...['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'].map(
    (n) => n + CERTIFICATE_SUFFIX,
  ),
  ...['rsa-sha2-512', 'rsa-sha2-256'].map((name) => name + CERTIFICATE_SUFFIX),
  ...[
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
]

export interface LegOptions {
  /** Its signal ends the handshake; an open leg is ended by disconnect() or destroy(). */
  readonly task: Task
  /** Without port */
  readonly peerAddress: string
  /** Without port; taken from a socket when not given */
  readonly localAddress?: string | null
  /** What follows `SSH-2.0-` */
  readonly software?: string
  /** In the order we like them */
  readonly ciphers?: readonly string[]
  readonly rekey?: RekeyLimits
  /** Milliseconds for the key exchange, 30 000 when not given */
  readonly handshakeMs?: number
}

export interface AcceptLegOptions extends LegOptions {
  readonly hostIdentity: HostIdentity
}

export interface OpenLegOptions extends LegOptions {
  /** Called once, after the signature of the key was verified. Throws to refuse. */
  readonly verifyHostKey: VerifyHostKey
  /** In the order we like them; all we know, certificates first, when not given */
  readonly hostKeyAlgorithms?: readonly string[]
}

/**
 * The server's side of a connection whose first bytes are not yet read. Resolves after the key exchange; packets wait
 * until onPacket is set. Rejects, with the connection destroyed, when the handshake fails, is aborted or takes too long.
 */
export function acceptLeg(duplex: Duplex, options: AcceptLegOptions): Promise<SshLeg> {
  return shakeHands(duplex, options, { role: 'server', identity: options.hostIdentity })
}

/** The client's side. Rejects with what verifyHostKey threw, when it did. */
export function openLeg(duplex: Duplex, options: OpenLegOptions): Promise<SshLeg> {
  const { verifyHostKey, hostKeyAlgorithms = HOST_KEY_ALGORITHMS } = options
  return shakeHands(duplex, options, { role: 'client', verifyHostKey, hostKeyAlgorithms })
}

function shakeHands(duplex: Duplex, options: LegOptions, side: KexSide): Promise<SshLeg> {
  const { task, handshakeMs = HANDSHAKE } = options
  return new Promise((resolve, reject) => {
    const abort = (): void => leg.destroy(asError(task.signal.reason))
    const timer = task.clock.after(handshakeMs, () => leg.destroy(new Error('the SSH handshake takes too long')))
    const settled = (): void => {
      timer.cancel()
      task.signal.removeEventListener('abort', abort)
    }
    const leg = new LegOverSocket(duplex, options, side, {
      done() {
        settled()
        resolve(leg)
      },
      failed(error) {
        settled()
        reject(error)
      },
    })
    task.signal.addEventListener('abort', abort, { once: true })
    if (task.signal.aborted) abort()
    else leg.start()
  })
}

interface Handshake {
  done(): void
  failed(error: Error): void
}

type Why = { readonly error?: Error; readonly peerText?: string }

/** Legs that were written to while a chunk is worked on; null: none is. */
let written: LegOverSocket[] | null = null
/** Legs whose ciphers were used since they were last prepared. */
let used: LegOverSocket[] = []

/** Everything that is written while one chunk is worked on leaves at its end, in one system call for each leg. */
function workOn(chunk: () => void): void {
  const legs: LegOverSocket[] = (written = [])
  try {
    chunk()
  } finally {
    written = null
    for (const leg of legs) leg.flush()
  }
}

function prepareUsed(): void {
  const legs = used
  used = []
  for (const leg of legs) leg.prepare()
}

class LegOverSocket implements SshLeg {
  readonly peerAddress: string
  readonly localAddress: string | null
  onDrain: () => void = () => {}
  readonly #duplex: Duplex
  readonly #task: Task
  readonly #transport: SshTransport
  readonly #highWater: number
  #handshake: Handshake | null
  #onPacket: ((packet: InboundPacket) => void) | null = null
  #onClose: ((why: Why) => void) | null = null
  /** Set when the leg has ended */
  #ended: Why | null = null
  #isToldEnd = false
  #isFull = false
  readonly #outgoing = new Outgoing()
  #writes = 0
  #acknowledged = 0
  #isUsed = false
  /** Nothing has come or gone since the last tick. */
  #isQuiet = true
  #isReading = true
  #tick: Timer | null = null

  constructor(duplex: Duplex, options: LegOptions, side: KexSide, handshake: Handshake) {
    this.#duplex = duplex
    this.#task = options.task
    this.#handshake = handshake
    this.#highWater = Math.max(HIGH_WATER, duplex.writableHighWaterMark)
    this.peerAddress = options.peerAddress
    this.localAddress = options.localAddress ?? (duplex instanceof Socket ? (duplex.localAddress ?? null) : null)
    if (duplex instanceof Socket) duplex.setNoDelay(true)
    const { software = 'Sallyport', ciphers, rekey } = options
    const transportOptions = { side, software, ...(ciphers && { ciphers }), ...(rekey && { rekey }) }
    this.#transport = new SshTransport(transportOptions, {
      // Other streams may hand the very same memory to their reader.
      ...(duplex instanceof Socket && { room: (bytes: number) => this.#outgoing.room(bytes) }),
      write: (bytes) => this.#write(bytes),
      onReady: () => this.#onReady(),
      onPacket: (payload, frame) => this.#onPacket?.({ payload, frame }),
      onQueueEmpty: () => this.#onRoom(),
      onWantsInput: () => this.#updateReading(),
      onEnd: (why) => this.#onTransportEnd(why),
    })
  }

  start(): void {
    const duplex = this.#duplex
    duplex.on('data', (chunk: Buffer) => this.#onData(chunk))
    duplex.on('end', () => this.#transport.receiveEnd())
    duplex.on('drain', () => this.#onRoom())
    duplex.on('error', (error) => this.#onEnd({ error }))
    duplex.on('close', () => this.#onGone())
    // Whoever looked at the first bytes has paused it, and a listener alone does not undo that.
    duplex.resume()
    this.#transport.start()
    this.#armTick()
  }

  get sessionId(): Buffer {
    return this.#transport.sessionId
  }

  get peerVersion(): string {
    return this.#transport.peerVersion
  }

  get isAuthenticated(): boolean {
    return this.#transport.isAuthenticated
  }

  get onPacket(): (packet: InboundPacket) => void {
    return this.#onPacket ?? (() => {})
  }

  /** The first handler starts the flow of packets. */
  set onPacket(handler: (packet: InboundPacket) => void) {
    const isFirst = this.#onPacket === null
    this.#onPacket = handler
    if (isFirst) queueMicrotask(() => this.#transport.resume())
  }

  get onClose(): (why: Why) => void {
    return this.#onClose ?? (() => {})
  }

  set onClose(handler: (why: Why) => void) {
    this.#onClose = handler
    if (this.#ended) queueMicrotask(() => this.#tellEnd())
  }

  authenticated(): void {
    this.#transport.authenticated()
  }

  send(payload: Buffer): boolean {
    return !this.#ended && this.#hasRoom(this.#transport.send(payload))
  }

  forward(packet: InboundPacket): boolean {
    return !this.#ended && this.#hasRoom(this.#transport.forward(packet.payload, packet.frame))
  }

  pause(): void {
    this.#transport.pause()
  }

  resume(): void {
    if (this.#onPacket) this.#transport.resume()
  }

  disconnect(reason: number, text: string): void {
    this.#transport.disconnect(reason, text)
  }

  rekey(): void {
    this.#transport.rekey()
  }

  destroy(error?: Error): void {
    this.#onEnd(error ? { error } : {})
    this.#duplex.destroy()
  }

  #onData(chunk: Buffer): void {
    this.#prepareSoon()
    workOn(() => {
      const { heard } = this.#transport
      const writes = this.#writes
      this.#transport.receive(chunk)
      if (this.#acknowledged === ACKNOWLEDGED || this.#writes !== writes) return
      // Two that acknowledge each other's acknowledgements would go on until both had sent all of theirs.
      if (this.#transport.heard !== heard) this.#acknowledge()
    })
    if (this.#duplex.writableLength > FLOOD) this.#updateReading()
    leftInBuffers(chunk.length)
  }

  #write(bytes: Buffer): void {
    if (!this.#duplex.writable) return
    if (this.#outgoing.bytes === 0) {
      if (written) written.push(this)
      else process.nextTick(() => this.flush())
    }
    this.#writes += 1
    this.#outgoing.add(bytes)
    this.#prepareSoon()
  }

  #acknowledge(): void {
    this.#acknowledged += 1
    this.#transport.acknowledge()
  }

  flush(): void {
    const { pieces, release } = this.#outgoing.take()
    const duplex = this.#duplex
    const last = pieces.length - 1
    if (!duplex.writable || last < 0) return
    if (last > 0) duplex.cork()
    for (let piece = 0; piece < last; piece++) duplex.write(pieces[piece])
    duplex.write(pieces[last], release)
    if (last > 0) duplex.uncork()
  }

  /** Once per turn of the event loop and leg, after everything that is ready was relayed. */
  #prepareSoon(): void {
    this.#isQuiet = false
    if (this.#isUsed) return
    this.#isUsed = true
    if (used.push(this) === 1) this.#task.clock.after(PREPARE_AFTER, prepareUsed)
  }

  prepare(): void {
    this.#isUsed = false
    this.#transport.prepare()
  }

  #hasRoom(isQueueShort: boolean): boolean {
    const waiting = this.#outgoing.bytes + this.#duplex.writableLength
    const hasRoom = isQueueShort && waiting < this.#highWater
    if (!hasRoom) this.#isFull = true
    return hasRoom
  }

  /** The socket took everything, or what waited for new keys was written. */
  #onRoom(): void {
    this.#updateReading()
    if (!this.#isFull || this.#duplex.writableLength >= this.#highWater || this.#ended) return
    this.#isFull = false
    this.onDrain()
  }

  #updateReading(): void {
    if (this.#ended) return
    const shouldRead = this.#transport.wantsInput && this.#duplex.writableLength <= FLOOD
    if (shouldRead === this.#isReading) return
    this.#isReading = shouldRead
    if (shouldRead) this.#duplex.resume()
    else this.#duplex.pause()
  }

  #onReady(): void {
    this.#transport.pause()
    this.#handshake?.done()
    this.#handshake = null
  }

  #armTick(): void {
    const { clock } = this.#task
    this.#tick = clock.after(TICK, () => {
      this.#transport.tick(clock.monotonic())
      if (this.#isQuiet) this.#transport.rest()
      this.#isQuiet = true
      if (!this.#ended) this.#armTick()
    })
  }

  /** DISCONNECT, ours or the peer's, or the peer's end of stream: let what was written go out, then close. */
  #onTransportEnd(why: Why): void {
    this.#onEnd(why)
    const duplex = this.#duplex
    if (duplex.destroyed) return
    this.flush()
    // What still comes is read and dropped: unread, it would make the kernel reset the connection and lose our last words.
    duplex.resume()
    duplex.end()
    const timer = this.#task.clock.after(LAST_WORDS, () => duplex.destroy())
    duplex.once('close', () => timer.cancel())
  }

  #onGone(): void {
    this.#transport.receiveEnd()
    this.#onEnd({})
  }

  #onEnd(why: Why): void {
    if (this.#ended) return
    this.#ended = why
    this.#tick?.cancel()
    if (this.#handshake) this.#handshake.failed(why.error ?? new Error('closed during the SSH handshake'))
    else this.#tellEnd()
    this.#handshake = null
  }

  #tellEnd(): void {
    if (this.#isToldEnd || !this.#onClose || !this.#ended) return
    this.#isToldEnd = true
    this.#onClose(this.#ended)
  }
}

function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new Error(String(cause))
}
