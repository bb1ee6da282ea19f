import { MESSAGE } from './messages.ts'
import { bodyOf, clearSealer } from './packet-codec.ts'
import type { Room, Sealer } from './packet-codec.ts'

/** What may wait for the end of a key exchange, in bytes: above the first `send` says no, above the second we give up. */
const QUEUE_FULL = 256 * 1024
const QUEUE_LIMIT = 8 * 1024 * 1024
/** What a small message costs besides its bytes */
const OVERHEAD = 128

export interface KeyUse {
  /** Bytes in one direction under one set of keys */
  readonly bytes: number
  /** Packets in one direction; RFC 4344 section 3.1 allows 2^32 */
  readonly packets: number
}

export interface OutboundEvents {
  /** Memory for the frame that is written next */
  readonly room: Room
  write(frame: Buffer): void
  /** The keys were used enough. Called for each packet from then on. */
  onKeysUsedUp(): void
  onQueueOverflow(): void
}

/** The sending half: seals messages, and holds them back while a key exchange forbids them. */
export class Outbound {
  readonly #limit: KeyUse
  readonly #events: OutboundEvents
  #sealer: Sealer = clearSealer
  #bytes = 0
  #packets = 0
  /** Our KEXINIT is out and our NEWKEYS is not. */
  #isHoldingBack = false
  #queue: Buffer[] = []
  #queuedBytes = 0

  constructor(limit: KeyUse, events: OutboundEvents) {
    this.#limit = limit
    this.#events = events
  }

  /** Sends one message, or queues a copy of it. False: too much is queued. */
  send(payload: Uint8Array): boolean {
    // RFC 4253 section 7.1: in a key exchange only the generic messages 1 to 4, not SERVICE_* or EXT_INFO.
    const isGeneric = (payload[0] ?? 0) <= MESSAGE.DEBUG
    if (this.#isHoldingBack && !isGeneric) return this.#enqueue(Buffer.from(payload))
    this.sendNow(payload)
    return true
  }

  /** Like send, for what another transport delivered. The frame belongs to us from here. */
  forward(payload: Buffer, frame: Buffer | null): boolean {
    if (this.#isHoldingBack) return this.#enqueue(payload)
    this.#write(frame ?? bodyOf(payload, this.#sealer.isEncrypting))
    return true
  }

  /** For messages of the key exchange itself, and for last words. */
  sendNow(payload: Uint8Array): void {
    this.#write(bodyOf(payload, this.#sealer.isEncrypting))
  }

  holdBack(): void {
    this.#isHoldingBack = true
  }

  useKeys(sealer: Sealer): void {
    this.#sealer = sealer
    this.#bytes = 0
    this.#packets = 0
    this.#isHoldingBack = false
  }

  /** Makes what the next frame needs. */
  prepare(): void {
    this.#sealer.prepare()
  }

  rest(): void {
    this.#sealer.rest()
  }

  /** Sends what was held back. True when there was something and the queue is short again. */
  flush(): boolean {
    const queue = this.#queue
    if (queue.length === 0) return false
    this.#queue = []
    this.#queuedBytes = 0
    // This may start the next key exchange, which holds the rest back again, in order.
    for (const payload of queue) this.send(payload)
    return this.#queuedBytes <= QUEUE_FULL
  }

  #enqueue(payload: Buffer): boolean {
    this.#queue.push(payload)
    this.#queuedBytes += payload.length + OVERHEAD
    if (this.#queuedBytes > QUEUE_LIMIT) this.#events.onQueueOverflow()
    return this.#queuedBytes <= QUEUE_FULL
  }

  #write(body: Buffer): void {
    const frame = this.#sealer.seal(body, this.#events.room)
    this.#bytes += frame.length
    this.#packets++
    this.#events.write(frame)
    if (this.#bytes >= this.#limit.bytes || this.#packets >= this.#limit.packets) this.#events.onKeysUsedUp()
  }
}
