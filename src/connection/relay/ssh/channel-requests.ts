import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import type { SessionRecordEvent } from '../../control-plane.ts'
import { mayPassEnv, otherSide, requestVerdict, type Side } from './channel-rules.ts'
import type { ChannelOpens } from './channel-opens.ts'
import { printable } from './channel-opens.ts'
import type { Channel } from './channel.ts'
import { EXIT_FAILED, type Notices } from './notices.ts'
import { scpCommand } from './observe/scp-command.ts'
import { textOfBytes } from './observe/text-of-bytes.ts'
import type { RelayContext } from './relay-host.ts'
import type { InboundPacket } from './ssh-leg.ts'
import {
  bare,
  execRequest,
  exitStatus,
  readChannelRequest,
  readCommand,
  readEnv,
  readExitSignal,
  readExitStatus,
  readPty,
  readSubsystem,
  readWindowChange,
  type ChannelRequest,
} from './wire/connection-messages.ts'
import { MESSAGE } from './wire/messages.ts'

const NOT_STORED = 'sallyport: this could not be stored in the audit log, so it was not started'

/** CHANNEL_REQUEST (RFC 4254 sections 5.4 and 6): what may pass, and what must be stored before it does. */
export class ChannelRequests {
  readonly #relay: RelayContext
  readonly #opens: ChannelOpens
  readonly #notices: Notices

  constructor(relay: RelayContext, opens: ChannelOpens, notices: Notices) {
    this.#relay = relay
    this.#opens = opens
    this.#notices = notices
  }

  receive(side: Side, channel: Channel, packet: InboundPacket): void {
    const request = readChannelRequest(packet.payload)
    const { observer } = this.#relay.host
    switch (requestVerdict(side, channel.kind === 'session', request.type)) {
      case 'pass':
        this.#passOn(side, channel, request, packet)
        return
      case 'refuse':
        this.#refuse(side, channel, request)
        return
      case 'pty':
        this.#pty(channel, request, packet)
        return
      case 'resize': {
        const size = readWindowChange(request.rest)
        observer.resize(channel.id, size.columns, size.rows)
        this.#passOn(side, channel, request, packet)
        return
      }
      case 'env': {
        const { name, value } = readEnv(request.rest)
        if (channel.hasStarted || !mayPassEnv(name, value)) this.#refuse(side, channel, request)
        else this.#passOn(side, channel, request, packet)
        return
      }
      case 'agent':
        this.#agent(channel, request, packet)
        return
      case 'shell':
      case 'exec':
      case 'subsystem':
        this.#start(channel, request, packet)
        return
      case 'exit-status':
        observer.exit(channel.id, readExitStatus(request.rest), null)
        this.#passOn(side, channel, request, packet)
        return
      case 'exit-signal':
        observer.exit(channel.id, null, printable(readExitSignal(request.rest)))
        this.#passOn(side, channel, request, packet)
        return
    }
  }

  #pty(channel: Channel, request: ChannelRequest, packet: InboundPacket): void {
    const { term, columns, rows } = readPty(request.rest)
    if (!this.#relay.permissions.pty || channel.hasTerminal || channel.hasStarted) {
      this.#refuse('client', channel, request)
      return
    }
    channel.hasTerminal = true
    this.#relay.host.observer.pty(channel.id, printable(term), columns, rows)
    this.#passOn('client', channel, request, packet)
  }

  #agent(channel: Channel, request: ChannelRequest, packet: InboundPacket): void {
    const allowed = this.#relay.permissions.agentForwarding && this.#relay.permissions.forceCommand === null
    const event = { type: 'agent_forward', channel: channel.id, allowed } as const
    if (!allowed) {
      this.#opens.reportRefusal(event)
      this.#refuse('client', channel, request)
      return
    }
    this.#afterStoring(event, channel, request, packet.payload, (held) => {
      this.#opens.agentWasOffered = true
      this.#passOn('client', channel, request, held)
    })
  }

  #start(channel: Channel, request: ChannelRequest, packet: InboundPacket): void {
    const start = this.#readStart(channel.id, request)
    if (channel.hasStarted || !start) {
      this.#refuse('client', channel, request)
      return
    }
    this.#afterStoring(start.event, channel, request, packet.payload, (held) => {
      channel.hasStarted = true
      start.observe()
      const forced = this.#relay.permissions.forceCommand
      if (forced === null) {
        this.#passOn('client', channel, request, held)
        return
      }
      if (request.wantReply) channel.client.replies.passedOn()
      this.#relay.send('target', execRequest(channel.target.peerId, request.wantReply, forced))
    })
  }

  /** null: not to be started. A forced command takes the place of whatever was asked for. */
  #readStart(
    channel: number,
    request: ChannelRequest,
  ): { readonly event: SessionRecordEvent; readonly observe: () => void } | null {
    const { observer } = this.#relay.host
    const forced = this.#relay.permissions.forceCommand
    const asked = request.type === 'exec' ? readCommand(request.rest) : null
    const subsystem = request.type === 'subsystem' ? readSubsystem(request.rest) : null
    const bytes = forced === null ? asked : Buffer.from(forced)
    if (bytes) {
      const command = textOfBytes(bytes, bytes.length)
      const isScp = scpCommand(command) !== null
      return {
        event: { type: isScp ? 'scp' : 'exec', channel, command, ...digestUnlessText(bytes) },
        observe: () => observer.exec(channel, command),
      }
    }
    if (subsystem === null) {
      request.rest.end()
      return { event: { type: 'shell', channel }, observe: () => observer.shell(channel) }
    }
    if (subsystem !== 'sftp') return null
    return { event: { type: 'sftp', channel }, observe: () => observer.sftp(channel) }
  }

  /** What comes behind on this channel waits with it. `then` gets a copy, because the packet is gone by then. */
  #afterStoring(
    event: SessionRecordEvent,
    channel: Channel,
    request: ChannelRequest,
    payload: Buffer,
    then: (held: InboundPacket) => void,
  ): void {
    const held = { payload: Buffer.from(payload), frame: null }
    channel.client.lane.waitFor(this.#relay.host.append(event), (error) => {
      if (!this.#relay.isRelaying) return
      if (!error) {
        then(held)
        return
      }
      if (event.type === 'agent_forward') this.#refuse('client', channel, request)
      else this.#abandon(channel, request)
    })
  }

  /**
   * Ends a channel whose program must not start. Not by CHANNEL_FAILURE: the stock client gives up at that without
   * printing what it was sent before. All of it goes behind the replies that the client still waits for.
   */
  #abandon(channel: Channel, request: ChannelRequest): void {
    const { peerId, replies } = channel.client
    const notice = this.#notices.noticeFor(channel, NOT_STORED)
    channel.isAbandoned = true
    if (request.wantReply) replies.answer(bare(MESSAGE.CHANNEL_SUCCESS, peerId))
    for (const message of notice) replies.answer(message)
    replies.answer(exitStatus(peerId, EXIT_FAILED))
    replies.answer(bare(MESSAGE.CHANNEL_EOF, peerId))
    replies.answer(bare(MESSAGE.CHANNEL_CLOSE, peerId))
    this.#relay.send('target', bare(MESSAGE.CHANNEL_CLOSE, channel.target.peerId))
  }

  #passOn(side: Side, channel: Channel, request: ChannelRequest, packet: InboundPacket): void {
    const to = otherSide(side)
    if (request.wantReply) channel[side].replies.passedOn()
    packet.payload.writeUInt32BE(channel[to].peerId, 1)
    this.#relay.pass(to, packet)
  }

  #refuse(side: Side, channel: Channel, request: ChannelRequest): void {
    if (request.wantReply) channel[side].replies.answer(bare(MESSAGE.CHANNEL_FAILURE, channel[side].peerId))
  }
}

/** A command is bytes. What it looks like may stand for several of them: where they are no UTF-8, their digest tells which. */
function digestUnlessText(bytes: Buffer): { readonly sha256?: string } {
  return isUtf8(bytes) ? {} : { sha256: hash('sha256', bytes) }
}
