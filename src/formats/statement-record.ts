// Records of a database session (recording-record.ts has the frame around them):
//
//   18 database   uint8 flags (1 parameters are recorded) | text protocol | text database | text user | text name
//   19 statement  varint number | uint8 command | uint8 flags (1 prepared, 2 name, 4 text, 8 parameters)
//                 | [varint prepared] | [text name] | [kept text] | [kept parameters]
//   20 result     varint number | uint8 outcome | uint8 flags (1 rows, 2 took) | [varint rows] | [varint took, microseconds]
//                 | text code | text text
//
// `kept` is varint length of what is kept | bytes | varint how many more there were | if any: 32 bytes SHA-256 of all.
// A statement's number counts from 1 within its session. `execute` names the statement that prepared it, so that a text
// that is run a thousand times is stored once. Parameters stand as PostgreSQL's Bind message has them, for every protocol
// (statement-parameters.ts). Texts and parameters are bytes as they came.
import type { RecordBytes, RecordReader } from './recording-bytes.ts'

export const STATEMENT_COMMANDS = ['query', 'prepare', 'execute', 'command'] as const
/** `command`: one of the protocol's own that is no SQL, as text */
export type StatementCommand = (typeof STATEMENT_COMMANDS)[number]

export const STATEMENT_OUTCOMES = ['ok', 'error', 'denied', 'skipped', 'suspended'] as const
/**
 * `denied`: the proxy did not pass it on. `skipped`: not run, because one before it in its pipeline failed. `suspended`: it
 * may go on.
 */
export type StatementOutcome = (typeof STATEMENT_OUTCOMES)[number]

/** So much of a text, and of the parameters of one statement, is kept. */
export const LONGEST_KEPT = 64 * 1024

/** Bytes of which only the front may be kept. */
export interface KeptBytes {
  /** At most LONGEST_KEPT */
  readonly bytes: Uint8Array
  /** Of all of them */
  readonly length: number
  /** Hex, of all of them; null: everything is kept */
  readonly sha256: string | null
}

export interface DatabaseEntry {
  readonly kind: 'database'
  readonly protocol: string
  /** The resource */
  readonly database: string
  /** Within the server */
  readonly user: string
  readonly name: string
  /** False: statements have none, whatever they were run with. */
  readonly recordsParameters: boolean
}

export interface StatementEntry {
  readonly kind: 'statement'
  readonly number: number
  readonly command: StatementCommand
  /** `execute`: number of the statement that prepared it; null: not known */
  readonly prepared: number | null
  /** What the client calls it */
  readonly name: string
  readonly text: KeptBytes | null
  readonly parameters: KeptBytes | null
}

export interface ResultEntry {
  readonly kind: 'result'
  readonly number: number
  readonly outcome: StatementOutcome
  /** Sent to the client, or changed; null: the protocol does not say */
  readonly rows: number | null
  /** Milliseconds in steps of a microsecond; null: not known */
  readonly took: number | null
  /** SQLSTATE or the server's error number; empty when there is none */
  readonly code: string
  /** What the server said: `INSERT 0 1`, or its error */
  readonly text: string
}

const HAS = { prepared: 1, name: 2, text: 4, parameters: 8 } as const
const HAS_RESULT = { rows: 1, took: 2 } as const

export function encodeDatabase(into: RecordBytes, entry: DatabaseEntry): void {
  into.uint8(entry.recordsParameters ? 1 : 0)
  for (const text of [entry.protocol, entry.database, entry.user, entry.name]) into.text(text)
}

export function decodeDatabase(from: RecordReader): DatabaseEntry {
  const recordsParameters = (from.uint8() & 1) !== 0
  const [protocol, database, user, name] = [from.text(), from.text(), from.text(), from.text()]
  return { kind: 'database', protocol, database, user, name, recordsParameters }
}

export function encodeStatement(into: RecordBytes, entry: StatementEntry): void {
  const { prepared, name, text, parameters } = entry
  into.varint(entry.number)
  into.uint8(STATEMENT_COMMANDS.indexOf(entry.command))
  let flags = 0
  if (prepared !== null) flags |= HAS.prepared
  if (name !== '') flags |= HAS.name
  if (text !== null) flags |= HAS.text
  if (parameters !== null) flags |= HAS.parameters
  into.uint8(flags)
  if (prepared !== null) into.varint(prepared)
  if (name !== '') into.text(name)
  if (text !== null) encodeKept(into, text)
  if (parameters !== null) encodeKept(into, parameters)
}

export function decodeStatement(from: RecordReader): StatementEntry {
  const number = from.varint()
  const command = from.oneOf(STATEMENT_COMMANDS)
  const flags = from.uint8()
  return {
    kind: 'statement',
    number,
    command,
    prepared: flags & HAS.prepared ? from.varint() : null,
    name: flags & HAS.name ? from.text() : '',
    text: flags & HAS.text ? decodeKept(from) : null,
    parameters: flags & HAS.parameters ? decodeKept(from) : null,
  }
}

export function encodeResult(into: RecordBytes, entry: ResultEntry): void {
  const { rows, took } = entry
  into.varint(entry.number)
  into.uint8(STATEMENT_OUTCOMES.indexOf(entry.outcome))
  into.uint8((rows === null ? 0 : HAS_RESULT.rows) | (took === null ? 0 : HAS_RESULT.took))
  if (rows !== null) into.varint(rows)
  if (took !== null) into.varint(Math.max(0, Math.round(took * 1000)))
  into.text(entry.code)
  into.text(entry.text)
}

export function decodeResult(from: RecordReader): ResultEntry {
  const number = from.varint()
  const outcome = from.oneOf(STATEMENT_OUTCOMES)
  const flags = from.uint8()
  return {
    kind: 'result',
    number,
    outcome,
    rows: flags & HAS_RESULT.rows ? from.varint() : null,
    took: flags & HAS_RESULT.took ? from.varint() / 1000 : null,
    code: from.text(),
    text: from.text(),
  }
}

function encodeKept(into: RecordBytes, { bytes, length, sha256 }: KeptBytes): void {
  if (bytes.length > LONGEST_KEPT) throw new RangeError(`${bytes.length} bytes are over the limit of ${LONGEST_KEPT}`)
  if ((length !== bytes.length) !== (sha256 !== null)) throw new RangeError('only what was cut has a SHA-256')
  into.varint(bytes.length)
  into.rest(bytes)
  into.varint(length - bytes.length)
  if (sha256 !== null) into.hash(sha256)
}

function decodeKept(from: RecordReader): KeptBytes {
  const bytes = from.bytes()
  const more = from.varint()
  return { bytes, length: bytes.length + more, sha256: more > 0 ? from.hash() : null }
}
