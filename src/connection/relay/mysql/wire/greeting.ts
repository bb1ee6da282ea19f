// u8 10 | nul-text version | u32 thread id | 8 bytes scramble | u8 0 | u16 capabilities, low | u8 collation | u16 status |
// u16 capabilities, high | u8 length of the scramble, NUL included | 10 bytes 0 | rest of the scramble, NUL | nul-text method
import { MysqlReader, nulText, u16, u32 } from './mysql-bytes.ts'
import { ProtocolError } from './protocol-error.ts'

export const SCRAMBLE_BYTES = 20
const FIRST_PART = 8
const PROTOCOL_VERSION = 10
const UTF8MB4_GENERAL = 45
const AUTOCOMMIT = 2

export interface Greeting {
  readonly version: string
  readonly threadId: number
  /** 20 bytes */
  readonly scramble: Buffer
  readonly capabilities: number
  readonly method: string
}

export function writeGreeting({ version, threadId, scramble, capabilities, method }: Greeting): Buffer {
  return Buffer.concat([
    Buffer.from([PROTOCOL_VERSION]),
    nulText(version),
    u32(threadId),
    scramble.subarray(0, FIRST_PART),
    Buffer.from([0]),
    u16(capabilities & 0xffff),
    Buffer.from([UTF8MB4_GENERAL]),
    u16(AUTOCOMMIT),
    u16(capabilities >>> 16),
    Buffer.from([SCRAMBLE_BYTES + 1]),
    Buffer.alloc(10),
    scramble.subarray(FIRST_PART),
    Buffer.from([0]),
    nulText(method),
  ])
}

export function readGreeting(payload: Buffer): Greeting {
  const reader = new MysqlReader(payload)
  if (reader.u8() !== PROTOCOL_VERSION) throw new ProtocolError('the server does not speak protocol 10')
  const version = reader.upToNul(128).toString('latin1')
  const threadId = reader.u32()
  const first = reader.raw(FIRST_PART)
  reader.skip(1)
  const low = reader.u16()
  reader.skip(3)
  const capabilities = (low | (reader.u16() << 16)) >>> 0
  reader.skip(11)
  const second = reader.raw(SCRAMBLE_BYTES - FIRST_PART)
  reader.skip(1)
  // Servers from before plugins end here.
  const method = reader.left === 0 ? 'mysql_native_password' : reader.upToNulOrEnd(64).toString('latin1')
  return { version, threadId, scramble: Buffer.concat([first, second]), capabilities, method }
}
