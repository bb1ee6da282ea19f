import type { Side } from './channel-rules.ts'
import { Credit } from './credit.ts'
import type { Lane } from './lane.ts'
import type { ReplyQueue } from './reply-queue.ts'
import { ProtocolError } from './wire/protocol-error.ts'

export type ChannelKind = 'session' | 'local-forward' | 'remote-forward' | 'agent'

/** Longest text that the proxy puts on a terminal, in bytes; that much window is kept back for it. */
export const NOTICE_RESERVE = 4096
/** Data of one message, in bytes; what a peer offers above this is passed on as this. */
const LARGEST_PACKET = 128 * 1024
const SMALLEST_PACKET = 256

/** What belongs to one of the two peers of a channel. */
export class ChannelEnd {
  /** The number by which this peer knows the channel. */
  peerId = 0
  /** Largest data in one message that this peer takes, as passed on to the other. */
  maxPacket = 0
  /** What may be sent to this peer. */
  readonly credit: Credit
  /** What this peer sends, in order. */
  readonly lane: Lane
  /** Answers that this peer waits for. */
  readonly replies: ReplyQueue
  /** It will send no more data. */
  sentEof = false
  /** Its CLOSE arrived; it will send nothing any more on this channel. */
  sentClose = false
  /** Its CLOSE was passed on. */
  closePassed = false

  constructor(lane: Lane, replies: ReplyQueue, reserve: number) {
    this.lane = lane
    this.replies = replies
    this.credit = new Credit(reserve)
  }

  /** The peer named its number, window and packet size. Returns the window and packet size to pass on. */
  opened(peerId: number, window: number, maxPacket: number): { readonly window: number; readonly maxPacket: number } {
    if (maxPacket < SMALLEST_PACKET) throw new ProtocolError(`maximum packet size of ${maxPacket}`)
    this.peerId = peerId
    this.maxPacket = Math.min(maxPacket, LARGEST_PACKET)
    return { window: this.credit.grant(window), maxPacket: this.maxPacket }
  }
}

/** One channel through the relay. Both peers know it by our `id`; each has a number of its own besides. */
export class Channel {
  readonly id: number
  readonly kind: ChannelKind
  readonly opener: Side
  readonly client: ChannelEnd
  readonly target: ChannelEnd
  isOpen = false
  hasTerminal = false
  /** A program was started: a channel starts one only. */
  hasStarted = false
  /** We closed it towards both; only their CLOSE is still waited for. */
  isAbandoned = false

  constructor(id: number, kind: ChannelKind, opener: Side, client: ChannelEnd, target: ChannelEnd) {
    this.id = id
    this.kind = kind
    this.opener = opener
    this.client = client
    this.target = target
  }

  /** The client can still be shown something on it. */
  get canShow(): boolean {
    return this.isOpen && !this.isAbandoned && !this.target.sentEof && !this.target.sentClose
  }
}

/** All channels of one connection, capped: refused and closed ones leave nothing behind. */
export class ChannelTable {
  readonly #most: number
  readonly #channels = new Map<number, Channel>()
  #next = 0
  #deciding = 0

  constructor(most: number) {
    this.#most = most
  }

  get isFull(): boolean {
    return this.#channels.size + this.#deciding >= this.#most
  }

  /** A place is kept while it is being decided whether a channel may be opened. */
  reserve(): () => void {
    this.#deciding++
    return () => {
      this.#deciding--
    }
  }

  nextId(): number {
    return this.#next++
  }

  add(channel: Channel): void {
    this.#channels.set(channel.id, channel)
  }

  get(id: number): Channel {
    const channel = this.#channels.get(id)
    if (!channel) throw new ProtocolError('no such channel')
    return channel
  }

  remove(channel: Channel): void {
    this.#channels.delete(channel.id)
  }

  values(): IterableIterator<Channel> {
    return this.#channels.values()
  }
}
