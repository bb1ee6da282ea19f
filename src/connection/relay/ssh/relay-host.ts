import type { SshPermissions } from '../../authorization.ts'
import type { SessionRecordEvent } from '../../control-plane.ts'
import type { Side } from './channel-rules.ts'
import type { Channel, ChannelKind, ChannelTable } from './channel.ts'
import type { Lane } from './lane.ts'
import type { InboundPacket } from './ssh-leg.ts'

export type Stream = 'stdin' | 'stdout' | 'stderr'

/**
 * Is told of everything before it is passed on. A promise means: not stored yet, pass it on when it resolves. Throwing or
 * rejecting means that it cannot be stored, which ends the session. Bytes are valid only during the call.
 */
export interface SessionObserver {
  channelOpened(channel: number, kind: ChannelKind): void
  pty(channel: number, term: string, columns: number, rows: number): void
  resize(channel: number, columns: number, rows: number): void
  shell(channel: number): void
  exec(channel: number, command: string): void
  sftp(channel: number): void
  forward(channel: number, direction: 'local' | 'remote', target: string): void
  data(channel: number, stream: Stream, bytes: Buffer): Promise<void> | undefined
  exit(channel: number, status: number | null, signal: string | null): void
  notice(channel: number, text: string): void
  channelClosed(channel: number): void
}

/** What the relay needs from the session around it. */
export interface RelayHost {
  readonly observer: SessionObserver
  /** Stores what is about to happen. Rejects = it must not happen. */
  append(event: SessionRecordEvent): Promise<void>
  /** Somebody or something is at work: restarts the idle time. */
  active(): void
  /** Ends the session. `side`: whose fault it is, null: ours. */
  fail(error: Error, side: Side | null): void
}

/** What the parts of the relay share. */
export interface RelayContext {
  readonly host: RelayHost
  readonly permissions: SshPermissions
  readonly channels: ChannelTable
  /** False as soon as the end has begun: nothing may be started or passed on any more. */
  readonly isRelaying: boolean
  newChannel(kind: ChannelKind, opener: Side): Channel
  newLane(side: Side, deliver: (packet: InboundPacket) => void): Lane
  /** Sends one of our own messages, or a held one, to that side. */
  send(to: Side, payload: Buffer): void
  /** Passes an inbound message on to that side, patched in place. */
  pass(to: Side, packet: InboundPacket): void
}
