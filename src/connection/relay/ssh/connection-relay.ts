import type { Clock } from '../../../foundation/clock.ts'
import type { SshPermissions } from '../../authorization.ts'
import { ChannelOpens } from './channel-opens.ts'
import { ChannelRequests } from './channel-requests.ts'
import { otherSide, type Side } from './channel-rules.ts'
import { Channel, ChannelEnd, ChannelTable, NOTICE_RESERVE, type ChannelKind } from './channel.ts'
import { GlobalRequests } from './global-requests.ts'
import { asError, Lane } from './lane.ts'
import { Notices } from './notices.ts'
import { Reading } from './reading.ts'
import type { RelayContext, RelayHost, Stream } from './relay-host.ts'
import { ReplyQueue } from './reply-queue.ts'
import type { InboundPacket, SshLeg } from './ssh-leg.ts'
import {
  dataOf,
  extendedDataOf,
  mustBeBare,
  recipientOf,
  signalRequest,
  WINDOW_AMOUNT_AT,
  windowAdjust,
  windowAmountOf,
} from './wire/connection-messages.ts'
import { MESSAGE } from './wire/messages.ts'
import { isPeersFault } from './wire/payload.ts'
import { ProtocolError } from './wire/protocol-error.ts'

const MOST_UNANSWERED = 64

export interface RelayOptions {
  readonly client: SshLeg
  readonly target: SshLeg
  readonly host: RelayHost
  readonly permissions: SshPermissions
  readonly channelsPerConnection: number
  readonly clock: Clock
}

/**
 * Passes messages between two legs: translates channel numbers, keeps to the tables of channel-rules, holds each side to
 * its windows, and shows everything to the observer first. Windows stay end to end, so what a peer has not asked for is
 * never stored here.
 */
export class ConnectionRelay implements RelayContext {
  readonly host: RelayHost
  readonly permissions: SshPermissions
  readonly channels: ChannelTable
  readonly #legs: Readonly<Record<Side, SshLeg>>
  readonly #reading: Readonly<Record<Side, Reading>>
  readonly #opens: ChannelOpens
  readonly #globals: GlobalRequests
  readonly #requests: ChannelRequests
  readonly #notices: Notices
  /** relaying; ending: only the client's windows still count, for the last notice; stopped: nothing is looked at */
  #phase: 'relaying' | 'ending' | 'stopped' = 'relaying'

  constructor(options: RelayOptions) {
    this.host = options.host
    this.permissions = options.permissions
    this.channels = new ChannelTable(options.channelsPerConnection)
    this.#legs = { client: options.client, target: options.target }
    this.#reading = { client: new Reading(options.client), target: new Reading(options.target) }
    this.#notices = new Notices(this, options.clock, (payload) => options.client.send(payload))
    this.#globals = new GlobalRequests(this, (target) => {
      this.#opens.reportRefusal({ type: 'port_forward', channel: -1, direction: 'remote', target, allowed: false })
    })
    this.#opens = new ChannelOpens(this, this.#globals)
    this.#requests = new ChannelRequests(this, this.#opens, this.#notices)
  }

  /** From now on the legs' packets are relayed. */
  start(): void {
    const { client, target } = this.#legs
    client.onPacket = (packet) => this.receive('client', packet)
    target.onPacket = (packet) => this.receive('target', packet)
    client.onDrain = () => this.#reading.target.allow('full')
    target.onDrain = () => this.#reading.client.allow('full')
  }

  /** Text on every terminal, while the session goes on. */
  injectNotice(text: string): Promise<void> {
    return this.#phase === 'relaying' ? this.#notices.tellTerminals(text) : Promise.resolve()
  }

  /** Stops relaying, shows why on terminals, and ends the programs on the target. */
  async windUp(text: string): Promise<void> {
    if (this.#phase !== 'relaying') return
    this.#phase = 'ending'
    this.#hangUp()
    await this.#notices.closeTerminals(text)
    this.#phase = 'stopped'
  }

  stop(): void {
    this.#phase = 'stopped'
  }

  /** Throws for what the peer does wrong; what goes wrong here ends the session by way of the host. */
  receive(side: Side, packet: InboundPacket): void {
    try {
      this.#receive(side, packet)
    } catch (error) {
      if (isPeersFault(error)) throw error
      this.host.fail(asError(error), null)
    }
  }

  #receive(side: Side, packet: InboundPacket): void {
    if (this.#phase !== 'relaying') {
      this.#receiveWhileEnding(side, packet)
      return
    }
    const message = packet.payload[0]!
    if (message > MESSAGE.CHANNEL_OPEN && message <= MESSAGE.CHANNEL_FAILURE) {
      this.#channelMessage(side, message, packet)
    } else if (message === MESSAGE.CHANNEL_OPEN) {
      this.host.active()
      this.#opens.receive(side, packet)
    } else if (message === MESSAGE.GLOBAL_REQUEST) {
      this.#globals.receive(side, packet)
    } else if (message === MESSAGE.REQUEST_SUCCESS || message === MESSAGE.REQUEST_FAILURE) {
      this.#globals.replied(side, packet)
    } else if (side !== 'client' || message !== MESSAGE.USERAUTH_REQUEST) {
      // RFC 4252 section 5.1: requests to sign in that come after success are ignored.
      throw new ProtocolError(`unexpected message ${message}`)
    }
  }

  get isRelaying(): boolean {
    return this.#phase === 'relaying'
  }

  send(to: Side, payload: Buffer): void {
    if (this.#phase === 'relaying') this.#sent(to, this.#legs[to].send(payload))
  }

  pass(to: Side, packet: InboundPacket): void {
    if (this.#phase !== 'relaying') return
    this.#sent(to, packet.frame ? this.#legs[to].forward(packet) : this.#legs[to].send(packet.payload))
  }

  newChannel(kind: ChannelKind, opener: Side): Channel {
    const reserve = kind === 'session' ? NOTICE_RESERVE : 0
    const end = (side: Side): ChannelEnd => {
      const lane = this.newLane(side, (packet) => this.#deliver(side, channel, packet))
      return new ChannelEnd(
        lane,
        new ReplyQueue(MOST_UNANSWERED, (reply) => this.send(side, reply)),
        side === 'client' ? reserve : 0,
      )
    }
    const channel: Channel = new Channel(this.channels.nextId(), kind, opener, end('client'), end('target'))
    return channel
  }

  newLane(side: Side, deliver: (packet: InboundPacket) => void): Lane {
    const lane: Lane = new Lane({
      deliver,
      pressure: (high) => (high ? this.#reading[side].stop(lane) : this.#reading[side].allow(lane)),
      fail: (error) => this.host.fail(error, isPeersFault(error) ? side : null),
    })
    return lane
  }

  #channelMessage(side: Side, message: number, packet: InboundPacket): void {
    const channel = this.channels.get(recipientOf(packet.payload))
    const from = channel[side]
    if (!channel.isOpen) {
      this.#opening(side, channel, message, packet)
      return
    }
    if (from.sentClose) throw new ProtocolError('a message behind CLOSE')
    switch (message) {
      case MESSAGE.CHANNEL_OPEN_CONFIRMATION:
      case MESSAGE.CHANNEL_OPEN_FAILURE:
        throw new ProtocolError('the channel is open already')
      case MESSAGE.CHANNEL_DATA:
      case MESSAGE.CHANNEL_EXTENDED_DATA:
        if (from.sentEof) throw new ProtocolError('data behind EOF')
        break
      case MESSAGE.CHANNEL_EOF:
        from.sentEof = true
        break
      case MESSAGE.CHANNEL_CLOSE:
        from.sentClose = true
        break
    }
    from.lane.push(packet)
  }

  #opening(side: Side, channel: Channel, message: number, packet: InboundPacket): void {
    if (side === channel.opener) throw new ProtocolError('a message for a channel that is not open')
    if (message === MESSAGE.CHANNEL_OPEN_CONFIRMATION) this.#opens.confirmed(side, channel, packet)
    else if (message === MESSAGE.CHANNEL_OPEN_FAILURE) this.#opens.failed(channel, packet)
    else throw new ProtocolError('a message for a channel that is not open')
  }

  #deliver(side: Side, channel: Channel, packet: InboundPacket): void {
    if (this.#phase !== 'relaying') return
    if (channel.isAbandoned) {
      this.#deliverAbandoned(side, channel, packet)
      return
    }
    const { payload } = packet
    switch (payload[0]) {
      case MESSAGE.CHANNEL_DATA:
        this.#data(side, channel, packet, dataOf(payload), side === 'client' ? 'stdin' : 'stdout')
        return
      case MESSAGE.CHANNEL_EXTENDED_DATA:
        if (side === 'client') throw new ProtocolError('extended data from a client')
        this.#data(side, channel, packet, extendedDataOf(payload), 'stderr')
        return
      case MESSAGE.CHANNEL_WINDOW_ADJUST:
        this.#windowAdjust(side, channel, packet)
        return
      case MESSAGE.CHANNEL_REQUEST:
        if (side === 'client') this.host.active()
        this.#requests.receive(side, channel, packet)
        return
      case MESSAGE.CHANNEL_SUCCESS:
      case MESSAGE.CHANNEL_FAILURE:
        this.#reply(side, channel, packet)
        return
      case MESSAGE.CHANNEL_EOF:
        mustBeBare(payload)
        this.#patched(side, channel, packet)
        return
      case MESSAGE.CHANNEL_CLOSE:
        mustBeBare(payload)
        this.#patched(side, channel, packet)
        this.#closed(side, channel)
        return
    }
  }

  #data(side: Side, channel: Channel, packet: InboundPacket, bytes: Buffer, stream: Stream): void {
    const to = channel[otherSide(side)]
    if (bytes.length > to.maxPacket) throw new ProtocolError('a packet larger than the channel allows')
    to.credit.take(bytes.length)
    if (side === 'client' || !channel.hasTerminal) this.host.active()
    const stored = this.host.observer.data(channel.id, stream, bytes)
    if (stored === undefined) {
      this.#patched(side, channel, packet)
      this.#releaseReserve(side, channel)
      return
    }
    const held = { payload: Buffer.from(packet.payload), frame: null }
    channel[side].lane.waitFor(stored, (error) => {
      if (error) throw error
      this.#patched(side, channel, held)
      this.#releaseReserve(side, channel)
    })
  }

  #releaseReserve(sender: Side, channel: Channel): void {
    const released = channel[otherSide(sender)].credit.releaseWhenEmpty()
    if (released > 0) this.send(sender, windowAdjust(channel[sender].peerId, released))
  }

  #windowAdjust(side: Side, channel: Channel, packet: InboundPacket): void {
    const passedOn = channel[side].credit.grant(windowAmountOf(packet.payload))
    if (side === 'client') this.#notices.clientMoved(channel)
    if (passedOn === 0) return
    packet.payload.writeUInt32BE(passedOn, WINDOW_AMOUNT_AT)
    this.#patched(side, channel, packet)
  }

  #reply(side: Side, channel: Channel, packet: InboundPacket): void {
    mustBeBare(packet.payload)
    const asker = channel[otherSide(side)]
    const ok = packet.payload[0] === MESSAGE.CHANNEL_SUCCESS
    asker.replies.replied(ok, packet.payload, () => this.#patched(side, channel, packet))
  }

  #closed(side: Side, channel: Channel): void {
    channel[side].closePassed = true
    if (!channel[otherSide(side)].closePassed) return
    this.channels.remove(channel)
    this.host.observer.channelClosed(channel.id)
  }

  /** What both sides had sent before they knew that we closed the channel. */
  #deliverAbandoned(side: Side, channel: Channel, packet: InboundPacket): void {
    const message = packet.payload[0]
    if (message === MESSAGE.CHANNEL_CLOSE) this.#closed(side, channel)
    else if (message === MESSAGE.CHANNEL_SUCCESS || message === MESSAGE.CHANNEL_FAILURE) {
      this.#reply(side, channel, packet)
    }
  }

  #patched(side: Side, channel: Channel, packet: InboundPacket): void {
    const to = otherSide(side)
    packet.payload.writeUInt32BE(channel[to].peerId, 1)
    this.pass(to, packet)
  }

  /** Of all that still comes, only what a terminal is waited for counts. */
  #receiveWhileEnding(side: Side, { payload }: InboundPacket): void {
    const message = payload[0]
    if (this.#phase !== 'ending' || side !== 'client') return
    if (message !== MESSAGE.CHANNEL_WINDOW_ADJUST && message !== MESSAGE.CHANNEL_CLOSE) return
    const channel = this.channels.get(recipientOf(payload))
    if (message === MESSAGE.CHANNEL_CLOSE) channel.client.sentClose = true
    else channel.client.credit.grant(windowAmountOf(payload))
    this.#notices.clientMoved(channel)
  }

  /** RFC 4254 section 6.9: both, because a shell ignores TERM and a daemon HUP. */
  #hangUp(): void {
    for (const channel of this.channels.values()) {
      if (channel.kind !== 'session' || !channel.hasStarted || channel.client.sentClose) continue
      this.#legs.target.send(signalRequest(channel.target.peerId, 'HUP'))
      this.#legs.target.send(signalRequest(channel.target.peerId, 'TERM'))
    }
  }

  #sent(to: Side, hasRoom: boolean): void {
    if (!hasRoom) this.#reading[otherSide(to)].stop('full')
  }
}
