// A client that says what it is told to and shows every byte that comes back.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { PacketChannel } from '../../src/connection/relay/mysql/packet-channel.ts'
import { CAPABILITY, OFFERED } from '../../src/connection/relay/mysql/wire/capabilities.ts'
import { readGreeting } from '../../src/connection/relay/mysql/wire/greeting.ts'
import { writeHandshakeResponse, writeSslRequest } from '../../src/connection/relay/mysql/wire/handshake-response.ts'
import { framed } from '../../src/connection/relay/mysql/wire/packets.ts'
import { nativeAnswer } from '../../src/connection/relay/mysql/wire/sign-in-methods.ts'
import type { KeyAndCertificate } from './test-authority.ts'
import { until } from './until.ts'

export interface RawMysqlOptions {
  readonly port: number
  readonly user: string
  readonly password?: string
  readonly database?: string
  /** Besides those that any client has */
  readonly capabilities?: number
  readonly certificate?: KeyAndCertificate
}

const PLAIN_CLIENT = OFFERED & ~CAPABILITY.DEPRECATE_EOF & ~CAPABILITY.SSL

export class RawMysqlClient implements Disposable {
  readonly socket: Socket
  readonly threadId: number
  received: Buffer = Buffer.alloc(0)
  isClosed = false

  private constructor(socket: Socket, threadId: number) {
    this.socket = socket
    this.threadId = threadId
    socket.on('error', () => {})
    socket.on('close', () => (this.isClosed = true))
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk])
    })
    socket.resume()
  }

  /** Signs in over TLS; what is said to that is not among what is received. */
  static async connect(options: RawMysqlOptions): Promise<RawMysqlClient> {
    const { port, user, password = '', database = null, certificate } = options
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    const plain = new PacketChannel(socket)
    const greeting = readGreeting((await plain.receive()).payload)
    const flags = PLAIN_CLIENT | (options.capabilities ?? 0) | CAPABILITY.SSL
    const capabilities = database === null ? flags & ~CAPABILITY.CONNECT_WITH_DB : flags
    plain.send(writeSslRequest(capabilities, 45))
    plain.release()
    const cert = certificate ? { key: certificate.keyPem, cert: certificate.certificatePem } : {}
    const secure = connectTls({ socket, rejectUnauthorized: false, ...cert })
    await once(secure, 'secureConnect')
    const channel = new PacketChannel(secure).countsOn(plain)
    const answer = password === '' ? Buffer.alloc(0) : nativeAnswer(Buffer.from(password), greeting.scramble)
    channel.send(
      writeHandshakeResponse({ capabilities, collation: 45, user, answer, database, method: greeting.method }),
    )
    const { payload } = await channel.receive()
    if (payload[0] !== 0) throw new Error(`sign-in failed: ${payload.toString('latin1')}`)
    channel.release()
    return new RawMysqlClient(secure, greeting.threadId)
  }

  send(command: number, body: Buffer | string = ''): void {
    this.socket.write(framed(0, Buffer.from([command]), Buffer.from(body)))
  }

  /** Waits for so many bytes more than were there. */
  async bytes(count: number): Promise<Buffer> {
    await until(`${String(count)} bytes`, () => this.received.length >= count || this.isClosed)
    return this.received
  }

  async closed(): Promise<Buffer> {
    await until('the connection closes', () => this.isClosed)
    return this.received
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
