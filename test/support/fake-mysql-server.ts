// A MySQL server for what MariaDB does not do: caching_sha2_password as the protocol's page has it, and bad manners.
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { DatabaseFacts } from '../../src/connection/authorization.ts'
import { PacketChannel } from '../../src/connection/relay/mysql/packet-channel.ts'
import { CAPABILITY, OFFERED } from '../../src/connection/relay/mysql/wire/capabilities.ts'
import { writeGreeting } from '../../src/connection/relay/mysql/wire/greeting.ts'
import { readHandshakeResponse } from '../../src/connection/relay/mysql/wire/handshake-response.ts'
import { writeError } from '../../src/connection/relay/mysql/wire/replies.ts'
import { TestAuthority, type KeyAndCertificate } from './test-authority.ts'

const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0])
const DENIED = { code: 1045, state: '28000' }

export interface FakeMysqlOptions {
  readonly password?: string
  /** It knows the password already, so that a scramble is enough */
  readonly isCached?: boolean
  /** Without: it offers none */
  readonly tls?: boolean
  /** In place of the greeting and everything behind it */
  readonly greeting?: Buffer
  /** In place of asking for the password */
  readonly signIn?: readonly Buffer[]
  /** What is sent for a command (its payload), as it is */
  readonly answer?: (command: Buffer) => Buffer
}

export class FakeMysqlServer implements AsyncDisposable {
  readonly authority: TestAuthority
  readonly port: number
  /** What it was told in full, over TLS alone */
  readonly passwordsTold: string[] = []
  readonly commands: Buffer[] = []
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #leaf: KeyAndCertificate
  readonly #options: FakeMysqlOptions

  private constructor(server: Server, authority: TestAuthority, leaf: KeyAndCertificate, options: FakeMysqlOptions) {
    this.#server = server
    this.authority = authority
    this.#leaf = leaf
    this.#options = options
    this.port = (server.address() as AddressInfo).port
    server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      this.#serve(socket).catch(() => socket.destroy())
    })
  }

  static async start(options: FakeMysqlOptions): Promise<FakeMysqlServer> {
    const authority = await TestAuthority.make('fake server')
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FakeMysqlServer(server, authority, await authority.server(['localhost', '127.0.0.1']), options)
  }

  /** What makes a session go here. */
  facts(mode: 'verify-full' | 'insecure-disable' = 'verify-full'): Pick<DatabaseFacts, 'database' | 'tls'> {
    return {
      database: { id: 'dtb_fake', name: 'fake', host: '127.0.0.1', port: this.port },
      tls: { mode, authorities: this.authority.certificatePem, serverName: '127.0.0.1' },
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
    return Promise.resolve()
  }

  async #serve(socket: Socket): Promise<void> {
    const { tls = true, greeting, signIn } = this.#options
    const scramble = Buffer.from(randomBytes(20).map((byte) => byte & 0x7f || 1))
    const capabilities = tls ? OFFERED : OFFERED & ~CAPABILITY.SSL
    const plain = new PacketChannel(socket)
    const method = 'caching_sha2_password'
    plain.send(greeting ?? writeGreeting({ version: '8.4.0', threadId: 77, scramble, capabilities, method }))
    let channel = plain
    let stream: Socket = socket
    const first = await plain.receive()
    let { payload } = first
    if (tls) {
      const rest = plain.release()
      if (rest.length > 0) socket.unshift(rest)
      stream = new TLSSocket(socket, { isServer: true, key: this.#leaf.keyPem, cert: this.#leaf.certificatePem })
      stream.on('error', () => {})
      channel = new PacketChannel(stream).countsOn(plain)
      payload = (await channel.receive()).payload
    }
    const { answer, method: theirs } = readHandshakeResponse(payload)
    if (signIn) for (const message of signIn) channel.send(message)
    else if (theirs !== method) channel.end(writeError(DENIED, 'another method than was offered'))
    else await this.#checkSha2(channel, answer, scramble, tls)
    channel.release()
    this.#answer(stream)
  }

  /** Only what such a server stores, SHA256(SHA256(password)), is used: so a wrong answer cannot pass. */
  async #checkSha2(channel: PacketChannel, answer: Buffer, scramble: Buffer, isSecret: boolean): Promise<void> {
    const sha = (...parts: Buffer[]): Buffer => createHash('sha256').update(Buffer.concat(parts)).digest()
    const stored = sha(sha(Buffer.from(this.#options.password ?? '')))
    const mask = sha(stored, scramble)
    const once = Buffer.from(answer.map((byte, index) => byte ^ (mask[index] ?? 0)))
    if (answer.length !== 32 || !sha(once).equals(stored)) {
      channel.end(writeError(DENIED, 'Access denied: wrong scramble'))
      return
    }
    if (this.#options.isCached) {
      channel.send(Buffer.from([1, 3]))
    } else {
      channel.send(Buffer.from([1, 4]))
      const told = (await channel.receive()).payload
      if (!isSecret) throw new Error('a password in clear')
      this.passwordsTold.push(told.toString())
      if (told.at(-1) !== 0 || !sha(sha(told.subarray(0, -1))).equals(stored)) {
        channel.end(writeError(DENIED, 'Access denied: wrong password'))
        return
      }
    }
    channel.send(OK)
  }

  #answer(stream: Socket): void {
    stream.on('data', (chunk: Buffer) => {
      const command = chunk.subarray(4)
      this.commands.push(Buffer.from(command))
      if (command[0] === 1) stream.end()
      else stream.write(this.#options.answer?.(command) ?? Buffer.from([7, 0, 0, 1, ...OK]))
    })
    stream.resume()
  }
}
