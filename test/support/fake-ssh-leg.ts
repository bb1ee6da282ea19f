import type { InboundPacket, SshLeg } from '../../src/connection/relay/ssh/ssh-leg.ts'

/** A leg whose peer is the test: `receive` is what the peer sends, `sent` what it was sent. Payloads are copies. */
export class FakeLeg implements SshLeg {
  readonly sessionId = Buffer.alloc(32, 7)
  readonly peerVersion = 'SSH-2.0-Fake'
  readonly peerAddress = '192.0.2.1'
  readonly localAddress = '192.0.2.2'
  isAuthenticated = false
  isPaused = false
  isDestroyed = false
  /** False: every send reports that the peer is above its high-water mark. */
  hasRoom = true
  sent: Buffer[] = []
  disconnected: { readonly reason: number; readonly text: string } | null = null
  /** Set when the handler threw: the leg closes itself then, as the real one does. */
  failure: Error | null = null
  onPacket: (packet: InboundPacket) => void = () => {}
  onClose: (why: { readonly error?: Error; readonly peerText?: string }) => void = () => {}
  onDrain: () => void = () => {}
  #isClosed = false

  /** The peer sends a message. It lies in memory that is poisoned afterwards, so that nobody may keep it. */
  receive(...payloads: readonly Uint8Array[]): void {
    for (const payload of payloads) {
      if (this.#isClosed) return
      const frame = Buffer.concat([Buffer.alloc(5), payload, Buffer.alloc(16)])
      const view = frame.subarray(5, 5 + payload.length)
      try {
        this.onPacket({ payload: view, frame })
      } catch (error) {
        this.failure = error as Error
        this.close(this.failure)
      }
      frame.fill(0xa5)
    }
  }

  /** The peer goes away, or the connection breaks. */
  close(error?: Error, peerText?: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onClose({ ...(error ? { error } : {}), ...(peerText === undefined ? {} : { peerText }) })
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Takes what was sent since the last call. */
  take(): Buffer[] {
    const taken = this.sent
    this.sent = []
    return taken
  }

  authenticated(): void {
    this.isAuthenticated = true
  }

  send(payload: Buffer): boolean {
    if (!this.#isClosed) this.sent.push(Buffer.from(payload))
    return this.hasRoom
  }

  forward(packet: InboundPacket): boolean {
    const hasRoom = this.send(packet.payload)
    // The real one encrypts in place: nobody may look at the packet afterwards.
    packet.payload.fill(0xcc)
    return hasRoom
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
  }

  disconnect(reason: number, text: string): void {
    this.disconnected ??= { reason, text }
    // Like the real one: the end is told at once, from within the call.
    this.close()
  }

  destroy(error?: Error): void {
    this.isDestroyed = true
    this.close(error)
  }

  rekey(): void {}
}
