import { DISCONNECT_REASON } from './messages.ts'

/** The peer did what the protocol forbids, or we have nothing in common. The message is shown to the peer. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  /** For DISCONNECT */
  readonly reason: number

  constructor(message: string, reason: number = DISCONNECT_REASON.PROTOCOL_ERROR) {
    super(message)
    this.reason = reason
  }
}
