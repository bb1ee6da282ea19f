// One SSH connection on one side of the relay: transport done (RFC 4253), user authentication and channels not.
// wire/transport.ts implements the protocol without I/O; leg-over-socket.ts binds it to a Duplex and implements this.

/** An inbound message. `payload[0]` is the message number. Both views are valid only until the handler returns. */
export interface InboundPacket {
  readonly payload: Buffer
  /** The whole decrypted frame, which `forward` encrypts in place; null after the packet was held and copied. */
  readonly frame: Buffer | null
}

export interface SshLeg {
  /** Exchange hash of the first key exchange (RFC 4253 section 7.2). */
  readonly sessionId: Buffer
  readonly peerVersion: string
  /** Address of the peer, without port */
  readonly peerAddress: string
  readonly localAddress: string | null
  /** True after `authenticated()`: bigger packets, channel messages allowed. */
  readonly isAuthenticated: boolean
  /** Messages 50 and above, and SERVICE_*, in order. An exception thrown by the handler closes the leg with PROTOCOL_ERROR. */
  onPacket: (packet: InboundPacket) => void
  /** Once. `error` is undefined on an orderly end; `peerText` is the peer's DISCONNECT text. */
  onClose: (why: { readonly error?: Error; readonly peerText?: string }) => void
  /** The peer can take more: resume the other leg. */
  onDrain: () => void
  authenticated(): void
  /** Sends one message. False: above the high-water mark, pause the source until onDrain. During a rekey it queues, bounded. */
  send(payload: Buffer): boolean
  /** Passes on another leg's inbound packet (its payload may have been patched in place, same length) without copying. */
  forward(packet: InboundPacket): boolean
  /** Stops and restarts reading from the peer (control messages of a rekey still work). */
  pause(): void
  resume(): void
  /** RFC 4253 section 11.1; flushes what was sent before it, then closes. */
  disconnect(reason: number, text: string): void
  destroy(error?: Error): void
  rekey(): void
}
