// u32 capabilities | u32 longest packet | u8 collation | 23 bytes 0      (SSLRequest ends here)
// nul-text user | u8 length, answer to the scramble | nul-text database (CONNECT_WITH_DB) | nul-text method (PLUGIN_AUTH)
import { CAPABILITY, has } from './capabilities.ts'
import { MysqlReader, nameOf, nulText, u32 } from './mysql-bytes.ts'
import { ERROR, ProtocolError } from './protocol-error.ts'

const FIXED = 32
const LONGEST_PACKET = 0x40000000
/** MariaDB's longest user name is 80 characters, with +database behind it; MySQL's is shorter. */
const LONGEST_NAME = 384

export interface HandshakeResponse {
  readonly capabilities: number
  readonly collation: number
  readonly user: string
  readonly answer: Buffer
  readonly database: string | null
  /** null: a client from before plugins */
  readonly method: string | null
}

/** True: the client wants TLS now, and nothing else is said before. Throws where it goes on in clear. */
export function readSslRequest(payload: Buffer): void {
  const reader = new MysqlReader(payload)
  // The flag is what counts: a client that does not want TLS has sent its user name in clear.
  const capabilities = payload.length >= 4 ? reader.u32() : reader.u16()
  if (!has(capabilities, CAPABILITY.SSL))
    throw new ProtocolError('TLS with a client certificate is required: run sally db login', ERROR.tlsRequired)
  if (payload.length !== FIXED) throw new ProtocolError('the request for TLS has a wrong length', ERROR.badHandshake)
}

export function writeSslRequest(capabilities: number, collation: number): Buffer {
  return Buffer.concat([
    u32(capabilities | CAPABILITY.SSL),
    u32(LONGEST_PACKET),
    Buffer.from([collation]),
    Buffer.alloc(23),
  ])
}

export function readHandshakeResponse(payload: Buffer): HandshakeResponse {
  const reader = new MysqlReader(payload)
  const capabilities = reader.u32()
  reader.skip(4)
  const collation = reader.u8()
  reader.skip(23)
  const user = nameOf(reader.upToNul(LONGEST_NAME), 'the user name')
  const answer = readAnswer(reader, capabilities)
  const database = has(capabilities, CAPABILITY.CONNECT_WITH_DB)
    ? nameOf(reader.upToNulOrEnd(LONGEST_NAME), 'the database name')
    : ''
  const method = has(capabilities, CAPABILITY.PLUGIN_AUTH) ? reader.upToNulOrEnd(64).toString('latin1') : null
  // Attributes may follow; they were not offered and mean nothing here.
  return { capabilities, collation, user, answer, database: database === '' ? null : database, method }
}

function readAnswer(reader: MysqlReader, capabilities: number): Buffer {
  if (has(capabilities, CAPABILITY.PLUGIN_AUTH_LENENC)) return reader.raw(reader.lenenc())
  if (has(capabilities, CAPABILITY.SECURE_CONNECTION)) return reader.raw(reader.u8())
  return reader.upToNul(255)
}

export interface HandshakeAnswer {
  readonly capabilities: number
  readonly collation: number
  readonly user: string
  /** At most 255 bytes */
  readonly answer: Uint8Array
  /** Only with CONNECT_WITH_DB */
  readonly database: string | null
  readonly method: string
}

export function writeHandshakeResponse({
  capabilities,
  collation,
  user,
  answer,
  database,
  method,
}: HandshakeAnswer): Buffer {
  return Buffer.concat([
    u32(capabilities),
    u32(LONGEST_PACKET),
    Buffer.from([collation]),
    Buffer.alloc(23),
    nulText(user),
    Buffer.from([answer.length]),
    answer,
    ...(has(capabilities, CAPABILITY.CONNECT_WITH_DB) ? [nulText(database ?? '')] : []),
    ...(has(capabilities, CAPABILITY.PLUGIN_AUTH) ? [nulText(method)] : []),
  ])
}
