import type { SessionRecordEvent } from '../../control-plane.ts'
import { openVerdict, otherSide, type Side } from './channel-rules.ts'
import type { Channel, ChannelKind } from './channel.ts'
import type { GlobalRequests } from './global-requests.ts'
import type { RelayContext } from './relay-host.ts'
import type { InboundPacket } from './ssh-leg.ts'
import {
  CONFIRMATION_SENDER_AT,
  OPEN_FAILURE,
  openFailure,
  readChannelOpen,
  readOpenConfirmation,
  readStreamlocal,
  readTcpForward,
  type ChannelOpen,
} from './wire/connection-messages.ts'
import { isPeersFault } from './wire/payload.ts'

/** Refused attempts that are reported one by one; what comes after them on the same connection is more of the same. */
const MOST_REFUSALS_REPORTED = 16

/** CHANNEL_OPEN and its answers (RFC 4254 section 5.1). */
export class ChannelOpens {
  readonly #relay: RelayContext
  readonly #globals: GlobalRequests
  #refusalsReported = 0
  /** An agent was offered to the target on some channel. */
  agentWasOffered = false

  constructor(relay: RelayContext, globals: GlobalRequests) {
    this.#relay = relay
    this.#globals = globals
  }

  receive(side: Side, packet: InboundPacket): void {
    const open = readChannelOpen(packet.payload)
    if (this.#relay.channels.isFull) {
      this.#refuse(side, open.sender, OPEN_FAILURE.resourceShortage, 'too many channels on this connection')
      return
    }
    const verdict = openVerdict(side, open.type, this.#relay.permissions)
    switch (verdict.kind) {
      case 'session':
        if (this.#globals.noMoreSessions) this.#prohibit(side, open, 'no more sessions on this connection')
        else this.#passOn(side, 'session', open, packet)
        return
      case 'local-forward':
        this.#localForward(open, packet, verdict.form, verdict.allowed)
        return
      case 'remote-forward':
        this.#remoteForward(open, packet, verdict.form)
        return
      case 'agent':
        if (this.agentWasOffered) this.#passOn(side, 'agent', open, packet)
        else this.#prohibit(side, open, 'no agent was offered')
        return
      case 'unknown':
        this.#refuse(side, open.sender, OPEN_FAILURE.unknownType, 'this type of channel is not relayed')
        return
    }
  }

  /** `side` accepted the channel that the other had asked it to open. */
  confirmed(side: Side, channel: Channel, packet: InboundPacket): void {
    const { payload } = packet
    const confirmation = readOpenConfirmation(payload)
    const passed = channel[side].opened(confirmation.sender, confirmation.window, confirmation.maxPacket)
    channel.isOpen = true
    payload.writeUInt32BE(channel[channel.opener].peerId, 1)
    writeOpening(payload, CONFIRMATION_SENDER_AT, channel.id, passed)
    this.#relay.pass(channel.opener, packet)
  }

  failed(channel: Channel, packet: InboundPacket): void {
    this.#relay.channels.remove(channel)
    this.#relay.host.observer.channelClosed(channel.id)
    packet.payload.writeUInt32BE(channel[channel.opener].peerId, 1)
    this.#relay.pass(channel.opener, packet)
  }

  /** Stores that something was attempted and refused. Nothing waits for it. */
  reportRefusal(event: SessionRecordEvent): void {
    if (this.#refusalsReported++ >= MOST_REFUSALS_REPORTED) return
    this.#relay.host.append(event).catch(() => undefined)
  }

  #localForward(open: ChannelOpen, packet: InboundPacket, form: 'tcp' | 'streamlocal', allowed: boolean): void {
    const target = readForwardTarget(open, form, true)
    const id = this.#relay.channels.nextId()
    const event = { type: 'port_forward', channel: id, direction: 'local', target, allowed } as const
    if (!allowed) {
      this.reportRefusal(event)
      this.#prohibit('client', open, 'port forwarding is not permitted here')
      return
    }
    const release = this.#relay.channels.reserve()
    const held = { payload: Buffer.from(packet.payload), frame: null }
    this.#relay.host
      .append(event)
      .then(
        () => {
          release()
          if (!this.#relay.isRelaying) return
          const channel = this.#passOn('client', 'local-forward', open, held)
          this.#relay.host.observer.forward(channel.id, 'local', target)
        },
        () => {
          release()
          this.#prohibit('client', open, 'this could not be stored, so it must not happen')
        },
      )
      .catch((error: Error) => this.#relay.host.fail(error, isPeersFault(error) ? 'client' : null))
  }

  #remoteForward(open: ChannelOpen, packet: InboundPacket, form: 'tcp' | 'streamlocal'): void {
    const from = form === 'tcp' ? readTcpForward(open.rest) : readStreamlocal(open.rest, false)
    const isAskedFor = typeof from === 'string' ? this.#globals.listensOn(from) : this.#globals.listensOn(from.port)
    if (!isAskedFor) {
      this.#prohibit('target', open, 'nobody listens there')
      return
    }
    const channel = this.#passOn('target', 'remote-forward', open, packet)
    const target = typeof from === 'string' ? from : `${from.host}:${from.port}`
    this.#relay.host.observer.forward(channel.id, 'remote', printable(target))
  }

  #passOn(side: Side, kind: ChannelKind, open: ChannelOpen, packet: InboundPacket): Channel {
    const channel = this.#relay.newChannel(kind, side)
    const passed = channel[side].opened(open.sender, open.window, open.maxPacket)
    this.#relay.channels.add(channel)
    this.#relay.host.observer.channelOpened(channel.id, kind)
    writeOpening(packet.payload, open.senderAt, channel.id, passed)
    this.#relay.pass(otherSide(side), packet)
    return channel
  }

  #prohibit(side: Side, open: ChannelOpen, text: string): void {
    this.#refuse(side, open.sender, OPEN_FAILURE.prohibited, text)
  }

  #refuse(side: Side, recipient: number, reason: number, text: string): void {
    this.#relay.send(side, openFailure(recipient, reason, text))
  }
}

/** uint32 sender | uint32 window | uint32 maximum packet, over what the peer had written there */
function writeOpening(
  payload: Buffer,
  at: number,
  id: number,
  passed: { readonly window: number; readonly maxPacket: number },
): void {
  payload.writeUInt32BE(id, at)
  payload.writeUInt32BE(passed.window, at + 4)
  payload.writeUInt32BE(passed.maxPacket, at + 8)
}

function readForwardTarget(open: ChannelOpen, form: 'tcp' | 'streamlocal', direct: boolean): string {
  if (form === 'streamlocal') return printable(readStreamlocal(open.rest, direct))
  const { host, port } = readTcpForward(open.rest)
  return printable(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)
}

/** For events: what a peer wrote, without characters that do something to a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd').slice(0, 512)
}
