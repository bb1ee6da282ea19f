// A client that says exactly what it is told to, for what no stock client would say.
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { once } from 'node:events'
import { until } from './until.ts'

/** A message of protocol 3: type, length, body. `length`: a wrong one */
export function message(type: string, body: Uint8Array | string = '', length?: number): Buffer {
  const bytes = Buffer.concat([Buffer.from(type, 'latin1'), Buffer.alloc(4), Buffer.from(body)])
  bytes.writeUInt32BE(length ?? bytes.length - 1, 1)
  return bytes
}

/** Without a type: the first packets of a connection. */
export function packet(code: number, body: Uint8Array | string = '', length?: number): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(8), Buffer.from(body)])
  bytes.writeUInt32BE(length ?? bytes.length, 0)
  bytes.writeUInt32BE(code, 4)
  return bytes
}

export const SSL_REQUEST = packet(80877103)
export const GSS_REQUEST = packet(80877104)

export const startup = (parameters: Readonly<Record<string, string>>, minor = 0): Buffer =>
  packet(
    (3 << 16) | minor,
    `${Object.entries(parameters)
      .map(([name, value]) => `${name}\0${value}\0`)
      .join('')}\0`,
  )

export interface ReceivedMessage {
  readonly type: string
  readonly body: Buffer
}

/** Fields of an ErrorResponse or NoticeResponse */
export function fieldsOf({ body }: ReceivedMessage): Readonly<Record<string, string>> {
  const parts = body
    .toString('utf8')
    .split('\0')
    .filter((part) => part !== '')
  return Object.fromEntries(parts.map((part) => [part[0] ?? '', part.slice(1)]))
}

export class RawPostgresClient implements Disposable {
  readonly socket: Socket | TLSSocket
  #received: Buffer[] = []
  ended = false

  private constructor(socket: Socket | TLSSocket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#received.push(chunk))
    socket.once('close', () => (this.ended = true))
    socket.once('end', () => (this.ended = true))
  }

  static async plain(port: number): Promise<RawPostgresClient> {
    const socket = connectTcp(port, '127.0.0.1')
    await once(socket, 'connect')
    return new RawPostgresClient(socket)
  }

  /** SSLRequest, then TLS. `direct`: TLS at once */
  static async secure(port: number, tls: ConnectionOptions, direct = false): Promise<RawPostgresClient> {
    const socket = connectTcp(port, '127.0.0.1')
    await once(socket, 'connect')
    if (!direct) {
      socket.write(SSL_REQUEST)
      const [answer] = (await once(socket, 'data')) as [Buffer]
      if (answer.toString() !== 'S') throw new Error(`answered ${JSON.stringify(answer.toString())} to SSLRequest`)
    }
    const secure = connectTls({ socket, servername: 'localhost', ALPNProtocols: ['postgresql'], ...tls })
    await once(secure, 'secureConnect')
    return new RawPostgresClient(secure)
  }

  send(...pieces: readonly Uint8Array[]): void {
    this.socket.write(Buffer.concat(pieces))
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#received)
  }

  /** Whole messages so far. */
  messages(): readonly ReceivedMessage[] {
    const bytes = this.bytes
    const found: ReceivedMessage[] = []
    for (let at = 0; at + 5 <= bytes.length;) {
      const end = at + 1 + bytes.readUInt32BE(at + 1)
      if (end > bytes.length) break
      found.push({ type: bytes.toString('latin1', at, at + 1), body: bytes.subarray(at + 5, end) })
      at = end
    }
    return found
  }

  types(): string {
    return this.messages()
      .map(({ type }) => type)
      .join('')
  }

  /** The first message of this type, when it has come. */
  async gets(type: string, count = 1): Promise<ReceivedMessage> {
    return until(
      `${String(count)} messages ${type}`,
      () => this.messages().filter((one) => one.type === type)[count - 1],
    )
  }

  async closes(): Promise<void> {
    await until('the connection to be closed', () => this.ended)
  }

  /** What has come so far is not looked at any more. */
  forget(): void {
    this.#received = []
  }

  [Symbol.dispose](): void {
    this.socket.destroy()
  }
}
