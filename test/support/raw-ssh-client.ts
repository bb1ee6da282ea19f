// An SSH client that does what it is told, right or wrong: our own transport with every message made by the test.
import type { KeyObject } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { openLeg } from '../../src/connection/relay/ssh/leg-over-socket.ts'
import type { SshLeg } from '../../src/connection/relay/ssh/ssh-leg.ts'
import { bytesToSign, publicKeyRequest, serviceRequest } from '../../src/connection/relay/ssh/wire/auth-messages.ts'
import { payload } from '../../src/connection/relay/ssh/wire/payload.ts'
import { makeSignature } from '../../src/formats/openssh/signature.ts'
import { systemClock } from '../../src/foundation/clock.ts'

const ED25519_CERTIFICATE = 'ssh-ed25519-cert-v01@openssh.com'

export interface RawIdentity {
  readonly key: KeyObject
  readonly certificate: Buffer
}

export class RawSshClient {
  readonly leg: SshLeg
  readonly socket: Socket
  readonly received: Buffer[] = []
  /** Set when the connection has ended */
  ended: { readonly error?: Error; readonly peerText?: string } | null = null
  /** False: nothing is kept, only counted */
  keeps = true
  bytes = 0
  #look: () => void = () => {}

  private constructor(leg: SshLeg, socket: Socket) {
    this.leg = leg
    this.socket = socket
    leg.onClose = (why) => {
      this.ended = why
      this.#look()
    }
    leg.onPacket = ({ payload: bytes }) => {
      this.bytes += bytes.length
      if (this.keeps) this.received.push(Buffer.from(bytes))
      this.#look()
    }
  }

  /** After the key exchange. Whatever host key is shown is taken. */
  static async connect(port: number): Promise<RawSshClient> {
    const socket = connect(port, '127.0.0.1')
    await new Promise((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const task = { signal: new AbortController().signal, clock: systemClock }
    const leg = await openLeg(socket, { task, peerAddress: '127.0.0.1', verifyHostKey: () => {} })
    return new RawSshClient(leg, socket)
  }

  send(...messages: readonly Buffer[]): void {
    for (const message of messages) this.leg.send(message)
  }

  askForService(): void {
    this.send(serviceRequest('ssh-userauth'))
  }

  /** A signed request; `sign` and `over` let it be signed by another key, or over something else. */
  signedRequest(
    user: string,
    identity: RawIdentity,
    sign: KeyObject = identity.key,
    over = this.leg.sessionId,
  ): Buffer {
    const request = publicKeyRequest(user, ED25519_CERTIFICATE, identity.certificate)
    const signature = makeSignature(sign, 'ssh-ed25519', bytesToSign(over, request))
    return Buffer.concat([request, payload(0, signature).subarray(1)])
  }

  keyQuery(user: string, identity: RawIdentity): Buffer {
    return payload(50, user, 'ssh-connection', 'publickey', false, ED25519_CERTIFICATE, identity.certificate)
  }

  async signIn(user: string, identity: RawIdentity): Promise<void> {
    this.askForService()
    this.send(this.signedRequest(user, identity))
    await this.until(52)
    this.leg.authenticated()
  }

  /** Opens a session and runs `command` in it. Returns the number the relay knows it by. */
  async exec(command: string, window = 2_000_000, maxPacket = 32_768): Promise<number> {
    this.send(payload(90, 'session', 0, window, maxPacket))
    const id = (await this.until(91)).readUInt32BE(5)
    this.send(payload(98, id, 'exec', true, command))
    await this.until(99)
    return id
  }

  /** The next message of this number, taking away what came before it. Fails when the connection ends first. */
  async until(message: number): Promise<Buffer> {
    for (;;) {
      const next = this.received.shift()
      if (next?.[0] === message) return next
      if (next) continue
      if (this.ended)
        throw new Error(`ended before message ${message}: ${this.ended.peerText ?? this.ended.error?.message}`)
      await this.#moved()
    }
  }

  /** The text with which it was ended, or '' */
  async untilEnd(): Promise<string> {
    while (!this.ended) await this.#moved()
    return this.ended.peerText ?? ''
  }

  close(): void {
    this.socket.destroy()
  }

  #moved(): Promise<void> {
    return new Promise((resolve, reject) => {
      const guard = setTimeout(() => reject(new Error('nothing happened for 30 s')), 30_000)
      this.#look = () => {
        clearTimeout(guard)
        resolve()
      }
    })
  }
}
