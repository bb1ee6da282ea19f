import { globalVerdict, otherSide, type Side } from './channel-rules.ts'
import { printable } from './channel-opens.ts'
import type { Lane } from './lane.ts'
import type { RelayContext } from './relay-host.ts'
import { ReplyQueue, type OnReply } from './reply-queue.ts'
import type { InboundPacket } from './ssh-leg.ts'
import {
  readGlobalRequest,
  readStreamlocalListen,
  readTcpListen,
  type ChannelRequest,
} from './wire/connection-messages.ts'
import { MESSAGE } from './wire/messages.ts'
import { payload } from './wire/payload.ts'

const MOST_UNANSWERED = 64
const MOST_LISTENERS = 64

interface Place {
  /** What `listensOn` is asked for: a port or a path */
  readonly key: number | string
  readonly text: string
}

/** Requests that belong to no channel (RFC 4254 section 4), in order on either side. */
export class GlobalRequests {
  readonly #relay: RelayContext
  readonly #lanes: Readonly<Record<Side, Lane>>
  /** Answers that this side waits for. */
  readonly #replies: Readonly<Record<Side, ReplyQueue>>
  /** Ports and paths on the target from which the client takes connections. */
  readonly #listening = new Set<number | string>()
  readonly #reportRefusal: (target: string) => void
  noMoreSessions = false

  constructor(relay: RelayContext, reportRefusal: (target: string) => void) {
    this.#relay = relay
    this.#reportRefusal = reportRefusal
    this.#lanes = { client: this.#newLane('client'), target: this.#newLane('target') }
    this.#replies = { client: this.#newQueue('client'), target: this.#newQueue('target') }
  }

  receive(side: Side, packet: InboundPacket): void {
    this.#lanes[side].push(packet)
  }

  /** REQUEST_SUCCESS or REQUEST_FAILURE from `side`. */
  replied(side: Side, packet: InboundPacket): void {
    const asker = otherSide(side)
    const ok = packet.payload[0] === MESSAGE.REQUEST_SUCCESS
    this.#replies[asker].replied(ok, packet.payload, () => this.#relay.pass(asker, packet))
  }

  listensOn(place: number | string): boolean {
    return this.#listening.has(place)
  }

  #deliver(side: Side, packet: InboundPacket): void {
    const request = readGlobalRequest(packet.payload)
    switch (globalVerdict(side, request.type)) {
      case 'no-more-sessions':
        this.noMoreSessions = true
        this.#passOn(side, request, packet)
        return
      case 'pass':
        this.#passOn(side, request, packet)
        return
      case 'drop':
      case 'refuse':
        this.#refuse(side, request)
        return
      case 'listen-tcp':
        this.#listen(request, packet, tcpPlace(request))
        return
      case 'listen-streamlocal':
        this.#listen(request, packet, pathPlace(request))
        return
      case 'cancel-tcp':
        this.#cancel(request, packet, tcpPlace(request))
        return
      case 'cancel-streamlocal':
        this.#cancel(request, packet, pathPlace(request))
        return
    }
  }

  #listen(request: ChannelRequest, packet: InboundPacket, place: Place): void {
    const { permissions, host } = this.#relay
    const allowed = permissions.portForwarding && permissions.forceCommand === null
    // Without a reply nobody would learn which port was taken, or that none was.
    if (!allowed || !request.wantReply || this.#listening.size >= MOST_LISTENERS) {
      this.#reportRefusal(place.text)
      this.#refuse('client', request)
      return
    }
    const held = { payload: Buffer.from(packet.payload), frame: null }
    const event = { type: 'port_forward', channel: -1, direction: 'remote', target: place.text, allowed } as const
    this.#lanes.client.waitFor(host.append(event), (error) => {
      if (!this.#relay.isRelaying) return
      if (error) this.#refuse('client', request)
      else this.#passOn('client', request, held, (ok, reply) => this.#listened(place, ok, reply))
    })
  }

  /** Asked for port 0, the target names the one it took: byte 81 | uint32 port */
  #listened(place: Place, ok: boolean, reply: Buffer): void {
    if (!ok) return
    this.#listening.add(place.key === 0 && reply.length === 5 ? reply.readUInt32BE(1) : place.key)
  }

  #cancel(request: ChannelRequest, packet: InboundPacket, place: Place): void {
    if (!this.#listening.delete(place.key)) this.#refuse('client', request)
    else this.#passOn('client', request, packet)
  }

  #passOn(side: Side, request: ChannelRequest, packet: InboundPacket, onReply: OnReply | null = null): void {
    if (request.wantReply) this.#replies[side].passedOn(onReply)
    this.#relay.pass(otherSide(side), packet)
  }

  #refuse(side: Side, request: ChannelRequest): void {
    if (request.wantReply) this.#replies[side].answer(payload(MESSAGE.REQUEST_FAILURE))
  }

  #newLane(side: Side): Lane {
    return this.#relay.newLane(side, (packet) => this.#deliver(side, packet))
  }

  #newQueue(side: Side): ReplyQueue {
    return new ReplyQueue(MOST_UNANSWERED, (reply) => this.#relay.send(side, reply))
  }
}

function tcpPlace(request: ChannelRequest): Place {
  const { host, port } = readTcpListen(request.rest)
  return { key: port, text: printable(`${host === '' ? '*' : host}:${port}`) }
}

function pathPlace(request: ChannelRequest): Place {
  const path = readStreamlocalListen(request.rest)
  return { key: path, text: printable(path) }
}
