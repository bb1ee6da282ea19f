import { connect, type Socket } from 'node:net'
import type { Clock } from '../../foundation/clock.ts'
import { PacketChannel } from '../relay/mysql/packet-channel.ts'
import { signInUpstream, type MysqlUpstream } from '../relay/mysql/upstream-side.ts'
import { COMMAND } from '../relay/mysql/wire/commands.ts'
import { MysqlReader } from '../relay/mysql/wire/mysql-bytes.ts'
import { framed } from '../relay/mysql/wire/packets.ts'
import { ProtocolError } from '../relay/mysql/wire/protocol-error.ts'
import { readError } from '../relay/mysql/wire/replies.ts'
import type { JustInTimeServer } from './just-in-time-server.ts'
import type { AdminCredential } from './server-users.ts'

/** From the connection to the last answer */
const WITHIN_MS = 12_000
const UTF8MB4 = 45
const MOST_ROWS = 1000
const MOST_COLUMNS = 50

/** The server has refused a statement. */
export class StatementRefused extends Error {
  override readonly name = 'StatementRefused'
  readonly code: number

  constructor(code: number, text: string) {
    super(text)
    this.code = code
  }
}

export type Rows = readonly (readonly (string | null)[])[]

/** One connection to a server that is asked a few statements, one after the other. */
export class MariadbConnection {
  readonly #socket: Socket
  readonly #channel: PacketChannel

  private constructor({ socket, rest }: MysqlUpstream) {
    if (rest.length > 0) throw new ProtocolError('the server speaks before it is asked')
    this.#socket = socket
    this.#channel = new PacketChannel(socket)
  }

  /** Errors: UpstreamFailed; whatever `work` throws. After twelve seconds the connection is gone. */
  static async use<T>(
    server: JustInTimeServer,
    user: string,
    credential: AdminCredential,
    clock: Clock,
    work: (connection: MariadbConnection) => Promise<T>,
  ): Promise<T> {
    const socket = connect({ host: server.host, port: server.port, noDelay: true })
    socket.on('error', () => {})
    const late = clock.after(WITHIN_MS, () => socket.destroy())
    try {
      await connected(socket)
      const target = { host: server.host, tls: server.tls, user, database: null }
      // Nothing that changes how answers look is asked for.
      const upstream = await signInUpstream(socket, target, credential, { accepted: 0, collation: UTF8MB4 })
      return await work(new MariadbConnection(upstream))
    } finally {
      late.cancel()
      socket.destroy()
    }
  }

  /** Errors: StatementRefused, ProtocolError, PeerLeft. */
  async ask(statement: string): Promise<Rows> {
    this.#socket.write(framed(0, Buffer.from([COMMAND.QUERY]), Buffer.from(statement, 'utf8')))
    const head = await this.#next()
    if (head[0] === 0) return []
    const columns = new MysqlReader(head).lenenc()
    if (columns < 1 || columns > MOST_COLUMNS) throw new ProtocolError('the server answers something else')
    for (let column = 0; column < columns; column++) await this.#next()
    if (!isEnd(await this.#next())) throw new ProtocolError('the server describes more than it said')
    const rows: (string | null)[][] = []
    for (let row = await this.#next(); !isEnd(row); row = await this.#next()) {
      if (rows.length === MOST_ROWS) throw new ProtocolError('the server answers too much')
      rows.push(readRow(row, columns))
    }
    return rows
  }

  async #next(): Promise<Buffer> {
    const { payload } = await this.#channel.receive()
    if (payload[0] !== 0xff) return payload
    const { code, text } = readError(payload)
    throw new StatementRefused(code, text)
  }
}

const isEnd = (payload: Buffer): boolean => payload[0] === 0xfe && payload.length < 9

function readRow(payload: Buffer, columns: number): (string | null)[] {
  const reader = new MysqlReader(payload)
  return Array.from({ length: columns }, () => {
    if (payload[reader.position] !== 0xfb) return reader.raw(reader.lenenc()).toString('utf8')
    reader.skip(1)
    return null
  })
}

function connected(socket: Socket): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const fail = (error?: Error): void => reject(error instanceof Error ? error : new Error('it cannot be reached'))
  socket.once('error', fail)
  socket.once('close', () => fail())
  socket.once('connect', () => {
    socket.off('error', fail)
    resolve()
  })
  return promise
}
