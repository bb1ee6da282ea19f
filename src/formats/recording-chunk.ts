// The file of one recorded session: a file header, then chunks back to back. Nothing before the end of the file is ever
// rewritten, so a file that was cut keeps every chunk before the cut. Integers are unsigned and big-endian.
//
// File header, 106 + k bytes
//     0   8  magic: 89 'S' 'P' 'R' 'E' 'C' 0D 0A
//     8   1  version: 1
//     9   1  suite: 1 = HKDF-SHA-256, AES-256-GCM, SHA-256
//    10   2  zero
//    12   4  length of this header in all
//    16  16  session: the UUID of its id `ses_<uuid>`
//    32  32  salt, random per file
//    64  32  key check: tells a wrong key from an altered file
//    96   8  time of creation, ms since 1970
//   104   2  k, 1 .. 64
//   106   k  key id, printable ASCII: which sealed session key opens the file
//
// Chunk, 120 + n + 16 bytes
//     0   3  magic: 'S' 'R' 'C'
//     3   1  version: 1
//     4   1  flags: 1 last chunk of the file, 2 the recording misses something (here or before); other bits zero
//     5   3  n, length of the body, 1 .. 1 048 576
//     8   8  index, from 0
//    16  16  session, as in the file header
//    32  16  key mark: the first half of SHA-256(key id)
//    48  32  SHA-256 of the whole chunk before this one; for chunk 0, of the file header
//    80   8  time of sealing, ms since 1970
//    88   8  bytes      counted since the session's start, this chunk included: what streams carried, kept or not
//    96   8  packets    messages that carried them
//   104   8  statements commands, subsystems, file operations, and what later protocols call a statement
//   112   8  channels   channels opened
//   120   n  body (recording-record.ts), AES-256-GCM
// 120+n  16  tag; associated data = bytes 0 .. 119
//
// Keys: HKDF-SHA-256(ikm = the session's key, salt = salt, info = 'sallyport recording 1' | 00 | session) gives 32 bytes
// content key | 12 bytes nonce base | 32 bytes key check. The nonce of a chunk is the base with the index XORed into its last
// eight bytes. A chunk is sealed once: a writer that could not store it whole stores the rest of the very same bytes later or
// gives up, and nobody appends to a file that another process began, so no nonce meets two plaintexts. Even the same session
// key in two files gives two content keys.
//
// The chain runs over cipher text: whoever holds the digest of the last chunk checks the whole file without any key.
import { hash } from 'node:crypto'

const FILE_MAGIC = Buffer.from('8953505245430d0a', 'hex')
const CHUNK_MAGIC = 0x53524301
const SESSION_ID = /^ses_[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const KEY_ID = /^[\x21-\x7e]{1,64}$/

export const FILE_HEADER_SIZE = 106
export const LONGEST_FILE_HEADER = FILE_HEADER_SIZE + 64
export const CHUNK_HEADER_SIZE = 120
export const TAG_SIZE = 16
export const LONGEST_BODY = 1024 * 1024
export const LONGEST_CHUNK = CHUNK_HEADER_SIZE + LONGEST_BODY + TAG_SIZE

/** The file is not what the writer wrote. `chunk` is the first wrong one; -1 is the file header. */
export class RecordingAltered extends Error {
  override readonly name = 'RecordingAltered'
  readonly chunk: number

  constructor(chunk: number, why: string) {
    super(chunk < 0 ? `the file header ${why}` : `chunk ${chunk} ${why}`)
    this.chunk = chunk
  }
}

/** Running totals since the session's start. */
export interface Counters {
  readonly bytes: number
  readonly packets: number
  readonly statements: number
  readonly channels: number
}

export interface FileHeader {
  /** `ses_<uuid>` */
  readonly session: string
  readonly keyId: string
  /** 32 bytes */
  readonly salt: Buffer
  /** 32 bytes */
  readonly keyCheck: Buffer
  /** ms since 1970 */
  readonly time: number
}

export interface ChunkHeader {
  readonly last: boolean
  readonly gap: boolean
  /** Bytes of the body; the chunk is CHUNK_HEADER_SIZE + this + TAG_SIZE long. */
  readonly bodyLength: number
  readonly index: number
  /** 16 bytes */
  readonly session: Buffer
  /** 16 bytes */
  readonly keyMark: Buffer
  /** 32 bytes */
  readonly previous: Buffer
  readonly time: number
  readonly counters: Counters
}

export function sha256(bytes: Uint8Array): Buffer {
  return hash('sha256', bytes, 'buffer')
}

/** The 16 bytes that stand for a session id. Errors: RangeError when it is none. */
export function sessionBytes(id: string): Buffer {
  if (!SESSION_ID.test(id)) throw new RangeError(`not a session id: ${JSON.stringify(id)}`)
  return Buffer.from(id.slice(4).replaceAll('-', ''), 'hex')
}

export function keyMark(keyId: string): Buffer {
  return sha256(Buffer.from(keyId, 'latin1')).subarray(0, 16)
}

function sessionId(bytes: Buffer): string {
  const h = bytes.toString('hex')
  return `ses_${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`
}

export function encodeFileHeader(header: FileHeader): Buffer {
  if (!KEY_ID.test(header.keyId)) throw new RangeError('a key id is 1 to 64 printable ASCII characters')
  const size = FILE_HEADER_SIZE + header.keyId.length
  const bytes = Buffer.alloc(size)
  FILE_MAGIC.copy(bytes)
  bytes[8] = 1
  bytes[9] = 1
  bytes.writeUInt32BE(size, 12)
  sessionBytes(header.session).copy(bytes, 16)
  header.salt.copy(bytes, 32)
  header.keyCheck.copy(bytes, 64)
  writeUint53(bytes, header.time, 96)
  bytes.writeUInt16BE(header.keyId.length, 104)
  bytes.write(header.keyId, FILE_HEADER_SIZE, 'latin1')
  return bytes
}

/**
 * Reads the header at the start of `bytes` (give LONGEST_FILE_HEADER bytes, or the whole file). `null`: the file ends before
 * its header does. Errors: RecordingAltered.
 */
export function decodeFileHeader(bytes: Buffer): { readonly header: FileHeader; readonly size: number } | null {
  const magic = bytes.subarray(0, 8)
  if (!magic.equals(FILE_MAGIC.subarray(0, magic.length))) throw new RecordingAltered(-1, 'is not that of a recording')
  if (bytes.length < FILE_HEADER_SIZE) return null
  if (bytes.readUInt32BE(8) !== 0x01010000) throw new RecordingAltered(-1, 'is of an unknown version')
  const keyIdLength = bytes.readUInt16BE(104)
  const size = FILE_HEADER_SIZE + keyIdLength
  if (keyIdLength < 1 || keyIdLength > 64 || bytes.readUInt32BE(12) !== size) {
    throw new RecordingAltered(-1, 'has a wrong length')
  }
  if (bytes.length < size) return null
  const keyId = bytes.toString('latin1', FILE_HEADER_SIZE, size)
  if (!KEY_ID.test(keyId)) throw new RecordingAltered(-1, 'has a malformed key id')
  const time = readUint53(bytes, 96)
  if (time === null) throw new RecordingAltered(-1, 'has a time out of range')
  return {
    header: {
      session: sessionId(bytes.subarray(16, 32)),
      keyId,
      salt: bytes.subarray(32, 64),
      keyCheck: bytes.subarray(64, 96),
      time,
    },
    size,
  }
}

/** `previous`: 32 bytes, a byte a character */
export function writeChunkHeader(
  into: Buffer,
  header: Omit<ChunkHeader, 'previous'> & { readonly previous: string },
): void {
  into.writeUInt32BE(CHUNK_MAGIC, 0)
  into.writeUInt32BE((((header.last ? 1 : 0) | (header.gap ? 2 : 0)) << 24) | header.bodyLength, 4)
  writeUint53(into, header.index, 8)
  header.session.copy(into, 16)
  header.keyMark.copy(into, 32)
  into.write(header.previous, 48, 32, 'latin1')
  writeUint53(into, header.time, 80)
  writeUint53(into, header.counters.bytes, 88)
  writeUint53(into, header.counters.packets, 96)
  writeUint53(into, header.counters.statements, 104)
  writeUint53(into, header.counters.channels, 112)
}

/** `index`: where the chunk stands, for the error. `bytes` holds at least CHUNK_HEADER_SIZE. Errors: RecordingAltered. */
export function decodeChunkHeader(bytes: Buffer, index: number): ChunkHeader {
  if (bytes.readUInt32BE(0) !== CHUNK_MAGIC) throw new RecordingAltered(index, 'does not begin like a chunk')
  const flags = bytes[4] ?? 0
  if ((flags & ~3) !== 0) throw new RecordingAltered(index, 'has unknown flags')
  const bodyLength = bytes.readUIntBE(5, 3)
  if (bodyLength < 1 || bodyLength > LONGEST_BODY) throw new RecordingAltered(index, 'has an impossible length')
  const number = (offset: number): number => {
    const value = readUint53(bytes, offset)
    if (value === null) throw new RecordingAltered(index, 'has a number out of range')
    return value
  }
  return {
    last: (flags & 1) !== 0,
    gap: (flags & 2) !== 0,
    bodyLength,
    index: number(8),
    session: bytes.subarray(16, 32),
    keyMark: bytes.subarray(32, 48),
    previous: bytes.subarray(48, 80),
    time: number(80),
    counters: { bytes: number(88), packets: number(96), statements: number(104), channels: number(112) },
  }
}

function writeUint53(into: Buffer, value: number, offset: number): void {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a count: ${value}`)
  into.writeUInt32BE(Math.floor(value / 2 ** 32), offset)
  into.writeUInt32BE(value % 2 ** 32, offset + 4)
}

function readUint53(from: Buffer, offset: number): number | null {
  const value = from.readUInt32BE(offset) * 2 ** 32 + from.readUInt32BE(offset + 4)
  return Number.isSafeInteger(value) ? value : null
}
