// What a recording holds: compact binary records, back to back, in the body of a chunk (recording-chunk.ts). Integers are
// big-endian; `varint` is unsigned LEB128 up to 2^53-1; `text` is varint length | UTF-8; `rest` reaches to the record's end.
//
//   uint8 kind | uint24 length of what follows | varint at (microseconds since the session's start, monotonic) | fields
//
//    1 start      text session | text user | text node | text login | varint time (ms since 1970)
//    2 channel    varint channel | text type
//    3 pty        varint channel | varint columns | varint rows | text term
//    4 shell      varint channel
//    5 exec       varint channel | text command
//    6 subsystem  varint channel | text name
//    7 resize     varint channel | varint columns | varint rows
//    8 output     varint channel | uint8 stream | rest bytes
//    9 input      varint channel | rest bytes
//   10 stream     varint channel | uint8 stream | varint length | 32 bytes SHA-256
//   11 file       varint channel | uint8 via | uint8 operation | uint8 flags | text path | [text to] | [varint size]
//                 | [32 bytes SHA-256] | [text error]       flags: 1 ok, 2 to, 4 size, 8 hash, 16 hash is null, 32 error
//   12 forward    varint channel | uint8 direction | text target
//   13 exit       varint channel | uint8 flags (1 status, 2 signal) | [varint status] | [text signal]
//   14 notice     varint channel | text text
//   15 gap        varint bytes | text reason
//   16 end        text reason
//   17 unparsed   varint channel | text reason
//   18 database, 19 statement, 20 result: statement-record.ts
//
// Kinds are never re-used. A reader that meets a kind it does not know says so in an `unparsed` record and goes on.
import { type RecordBytes, RecordReader } from './recording-bytes.ts'
import {
  type DatabaseEntry,
  decodeDatabase,
  decodeResult,
  decodeStatement,
  encodeDatabase,
  encodeResult,
  encodeStatement,
  type ResultEntry,
  type StatementEntry,
} from './statement-record.ts'

export const STREAMS = ['stdin', 'stdout', 'stderr'] as const
export type StreamName = (typeof STREAMS)[number]

export const FILE_OPERATIONS = [
  'open',
  'read',
  'write',
  'remove',
  'rename',
  'mkdir',
  'rmdir',
  'symlink',
  'setstat',
  'list',
  'link',
  'copy',
  'extended',
] as const
export type FileOperation = (typeof FILE_OPERATIONS)[number]

export interface FileEntry {
  readonly kind: 'file'
  readonly channel: number
  readonly via: 'sftp' | 'scp'
  readonly operation: FileOperation
  readonly path: string
  readonly to?: string
  /** Bytes moved */
  readonly size?: number
  /** Hex, of the bytes in order; null: not read or written in one run from the start. */
  readonly sha256?: string | null
  readonly ok: boolean
  readonly error?: string
}

/** A record before the writer stamped it. `bytes` are copied before `write` returns, so a view of a packet will do. */
export type RecordingEntry =
  | {
      readonly kind: 'start'
      readonly session: string
      readonly user: string
      readonly node: string
      readonly login: string
      /** Milliseconds since 1970 */
      readonly time: number
    }
  | { readonly kind: 'channel'; readonly channel: number; readonly type: string }
  | {
      readonly kind: 'pty'
      readonly channel: number
      readonly term: string
      readonly columns: number
      readonly rows: number
    }
  | { readonly kind: 'shell'; readonly channel: number }
  | { readonly kind: 'exec'; readonly channel: number; readonly command: string }
  | { readonly kind: 'subsystem'; readonly channel: number; readonly name: string }
  | { readonly kind: 'resize'; readonly channel: number; readonly columns: number; readonly rows: number }
  | {
      readonly kind: 'output'
      readonly channel: number
      readonly stream: 'stdout' | 'stderr'
      readonly bytes: Uint8Array
    }
  | { readonly kind: 'input'; readonly channel: number; readonly bytes: Uint8Array }
  | {
      readonly kind: 'stream'
      readonly channel: number
      readonly stream: StreamName
      /** Of the whole stream, kept bytes included */
      readonly length: number
      readonly sha256: string
    }
  | FileEntry
  | {
      readonly kind: 'forward'
      readonly channel: number
      readonly direction: 'local' | 'remote'
      readonly target: string
    }
  | { readonly kind: 'exit'; readonly channel: number; readonly status: number | null; readonly signal: string | null }
  | { readonly kind: 'notice'; readonly channel: number; readonly text: string }
  | { readonly kind: 'gap'; readonly bytes: number; readonly reason: string }
  | { readonly kind: 'end'; readonly reason: string }
  | { readonly kind: 'unparsed'; readonly channel: number; readonly reason: string }
  | DatabaseEntry
  | StatementEntry
  | ResultEntry

/** `at`: milliseconds since the session's start, in steps of a microsecond. */
export type RecordingRecord = RecordingEntry & { readonly at: number }

const KINDS = {
  start: 1,
  channel: 2,
  pty: 3,
  shell: 4,
  exec: 5,
  subsystem: 6,
  resize: 7,
  output: 8,
  input: 9,
  stream: 10,
  file: 11,
  forward: 12,
  exit: 13,
  notice: 14,
  gap: 15,
  end: 16,
  unparsed: 17,
  database: 18,
  statement: 19,
  result: 20,
} as const satisfies Record<RecordingEntry['kind'], number>

const HAS = { ok: 1, to: 2, size: 4, hash: 8, noHash: 16, error: 32 } as const

/** Appends one record. Errors: RangeError when a text or the record is longer than its limit; nothing is appended then. */
export function encodeRecord(into: RecordBytes, entry: RecordingEntry, at: number): void {
  const start = into.length
  try {
    into.uint8(KINDS[entry.kind])
    into.uint24(0)
    into.varint(Math.max(0, Math.round(at * 1000)))
    encodeFields(into, entry)
    into.patchUint24(start + 1, into.length - start - 4)
  } catch (error) {
    into.truncate(start)
    throw error
  }
}

function encodeFields(into: RecordBytes, entry: RecordingEntry): void {
  if (entry.kind === 'statement') encodeStatement(into, entry)
  else if (entry.kind === 'result') encodeResult(into, entry)
  else if (entry.kind === 'database') encodeDatabase(into, entry)
  else encodeOtherFields(into, entry)
}

function encodeOtherFields(
  into: RecordBytes,
  entry: Exclude<RecordingEntry, DatabaseEntry | StatementEntry | ResultEntry>,
): void {
  if ('channel' in entry) into.varint(entry.channel)
  switch (entry.kind) {
    case 'output':
      into.uint8(STREAMS.indexOf(entry.stream))
      return into.rest(entry.bytes)
    case 'input':
      return into.rest(entry.bytes)
    case 'shell':
      return
    case 'resize':
      into.varint(entry.columns)
      return into.varint(entry.rows)
    case 'pty':
      into.varint(entry.columns)
      into.varint(entry.rows)
      return into.text(entry.term)
    case 'start':
      for (const text of [entry.session, entry.user, entry.node, entry.login]) into.text(text)
      return into.varint(entry.time)
    case 'channel':
      return into.text(entry.type)
    case 'exec':
      return into.text(entry.command)
    case 'subsystem':
      return into.text(entry.name)
    case 'stream':
      into.uint8(STREAMS.indexOf(entry.stream))
      into.varint(entry.length)
      return into.hash(entry.sha256)
    case 'file':
      return encodeFile(into, entry)
    case 'forward':
      into.uint8(entry.direction === 'local' ? 0 : 1)
      return into.text(entry.target)
    case 'exit':
      into.uint8((entry.status === null ? 0 : 1) | (entry.signal === null ? 0 : 2))
      if (entry.status !== null) into.varint(entry.status)
      if (entry.signal !== null) into.text(entry.signal)
      return
    case 'notice':
      return into.text(entry.text)
    case 'gap':
      into.varint(entry.bytes)
      return into.text(entry.reason)
    case 'end':
    case 'unparsed':
      return into.text(entry.reason)
  }
}

function encodeFile(into: RecordBytes, entry: FileEntry): void {
  into.uint8(entry.via === 'sftp' ? 0 : 1)
  into.uint8(FILE_OPERATIONS.indexOf(entry.operation))
  let flags = entry.ok ? HAS.ok : 0
  if (entry.to !== undefined) flags |= HAS.to
  if (entry.size !== undefined) flags |= HAS.size
  if (entry.sha256 !== undefined) flags |= entry.sha256 === null ? HAS.noHash : HAS.hash
  if (entry.error !== undefined) flags |= HAS.error
  into.uint8(flags)
  into.text(entry.path)
  if (entry.to !== undefined) into.text(entry.to)
  if (entry.size !== undefined) into.varint(entry.size)
  if (typeof entry.sha256 === 'string') into.hash(entry.sha256)
  if (entry.error !== undefined) into.text(entry.error)
}

/** The records of one chunk's body. `bytes` of the answer are views of `body`. Errors: RangeError when it is malformed. */
export function* decodeRecords(body: Buffer): Generator<RecordingRecord> {
  let position = 0
  while (position < body.length) {
    if (body.length - position < 4) throw new RangeError('a record is cut')
    const kind = body[position] ?? 0
    const end = position + 4 + body.readUIntBE(position + 1, 3)
    if (end > body.length) throw new RangeError('a record is longer than its chunk')
    const reader = new RecordReader(body.subarray(position + 4, end))
    const at = reader.varint() / 1000
    const entry = decodeFields(kind, reader)
    if (entry.kind !== 'unparsed' || kind === KINDS.unparsed) reader.finish()
    yield { ...entry, at }
    position = end
  }
}

function decodeFields(kind: number, from: RecordReader): RecordingEntry {
  switch (kind) {
    case KINDS.start:
      return {
        kind: 'start',
        session: from.text(),
        user: from.text(),
        node: from.text(),
        login: from.text(),
        time: from.varint(),
      }
    case KINDS.gap:
      return { kind: 'gap', bytes: from.varint(), reason: from.text() }
    case KINDS.end:
      return { kind: 'end', reason: from.text() }
    case KINDS.database:
      return decodeDatabase(from)
    case KINDS.statement:
      return decodeStatement(from)
    case KINDS.result:
      return decodeResult(from)
    default:
      return decodeChannelFields(kind, from)
  }
}

function decodeChannelFields(kind: number, from: RecordReader): RecordingEntry {
  if (kind < KINDS.channel || kind > KINDS.unparsed) {
    return { kind: 'unparsed', channel: 0, reason: `a record of kind ${kind}, which this version does not know` }
  }
  const channel = from.varint()
  switch (kind) {
    case KINDS.channel:
      return { kind: 'channel', channel, type: from.text() }
    case KINDS.pty:
      return { kind: 'pty', channel, columns: from.varint(), rows: from.varint(), term: from.text() }
    case KINDS.shell:
      return { kind: 'shell', channel }
    case KINDS.exec:
      return { kind: 'exec', channel, command: from.text() }
    case KINDS.subsystem:
      return { kind: 'subsystem', channel, name: from.text() }
    case KINDS.resize:
      return { kind: 'resize', channel, columns: from.varint(), rows: from.varint() }
    case KINDS.output:
      return { kind: 'output', channel, stream: from.oneOf(['stdout', 'stderr'], 1), bytes: from.rest() }
    case KINDS.input:
      return { kind: 'input', channel, bytes: from.rest() }
    case KINDS.stream:
      return { kind: 'stream', channel, stream: from.oneOf(STREAMS), length: from.varint(), sha256: from.hash() }
    case KINDS.file:
      return decodeFile(channel, from)
    case KINDS.forward:
      return { kind: 'forward', channel, direction: from.oneOf(['local', 'remote']), target: from.text() }
    case KINDS.exit:
      return decodeExit(channel, from)
    case KINDS.notice:
      return { kind: 'notice', channel, text: from.text() }
    default:
      return { kind: 'unparsed', channel, reason: from.text() }
  }
}

function decodeExit(channel: number, from: RecordReader): RecordingEntry {
  const flags = from.uint8()
  const status = flags & 1 ? from.varint() : null
  return { kind: 'exit', channel, status, signal: flags & 2 ? from.text() : null }
}

function decodeFile(channel: number, from: RecordReader): FileEntry {
  const via = from.oneOf(['sftp', 'scp'])
  const operation = from.oneOf(FILE_OPERATIONS)
  const flags = from.uint8()
  return {
    kind: 'file',
    channel,
    via,
    operation,
    path: from.text(),
    ...(flags & HAS.to ? { to: from.text() } : {}),
    ...(flags & HAS.size ? { size: from.varint() } : {}),
    ...(flags & HAS.hash ? { sha256: from.hash() } : {}),
    ...(flags & HAS.noHash ? { sha256: null } : {}),
    ok: (flags & HAS.ok) !== 0,
    ...(flags & HAS.error ? { error: from.text() } : {}),
  }
}
