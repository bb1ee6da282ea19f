import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { FormatError } from './format-error.ts'

// A checkpoint of the audit chain as a signed note (C2SP signed-note and tlog-checkpoint, with the chain's head in the place
// of a tree's root):
//
//   <origin>                                   `sallyport/<installation id>`
//   <size>                                     events in the chain, decimal
//   <head, base64 of 32 bytes>                 of the chain after that many events
//   time <ms since 1970>
//   previous <hex digest of the note before it, or none>
//   session <id> <chunks> <bytes> <hex digest> one line for each session file that is open, sorted by id
//                                              (empty line ends the text; everything above it is signed)
//   — <key name> <base64 of key id, 4 bytes, and Ed25519 signature, 64 bytes>

export interface SessionHead {
  readonly id: string
  readonly chunks: number
  readonly bytes: number
  /** Hex SHA-256 of the file's last chunk */
  readonly digest: string
}

export interface Checkpoint {
  readonly origin: string
  readonly size: number
  /** Hex */
  readonly head: string
  readonly time: number
  /** Hex `checkpointDigest` of the one before; null for the first */
  readonly previous: string | null
  readonly sessions: readonly SessionHead[]
}

export interface NoteSignature {
  readonly name: string
  /** Hex, 4 bytes */
  readonly keyId: string
  readonly signature: Uint8Array
}

export interface ParsedNote {
  readonly checkpoint: Checkpoint
  /** What is signed, with its last line break */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

const LONGEST_NOTE = 4 * 1024 * 1024
const MOST_SESSIONS = 20_000
const MOST_SIGNATURES = 16
/** The last that a Date can show */
const LAST_INSTANT = 8_640_000_000_000_000
const NAME = /^[^\s+]{1,200}$/
const ID = /^[A-Za-z0-9_-]{1,100}$/
const HEX = /^[0-9a-f]{64}$/
const NUMBER = /^(0|[1-9][0-9]{0,15})$/
const BASE64 = /^[A-Za-z0-9+/]{1,200}={0,2}$/

/** The text to be signed. Errors: FormatError when a value has no place in it. */
export function checkpointText(checkpoint: Checkpoint): string {
  const sessions = checkpoint.sessions.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const lines = [
    checkpoint.origin,
    String(checkpoint.size),
    Buffer.from(checkpoint.head, 'hex').toString('base64'),
    `time ${String(checkpoint.time)}`,
    `previous ${checkpoint.previous ?? 'none'}`,
    ...sessions.map((s) => `session ${s.id} ${String(s.chunks)} ${String(s.bytes)} ${s.digest}`),
  ]
  const text = `${lines.join('\n')}\n`
  parseText(text)
  return text
}

/** Identifies a checkpoint in the next one's `previous`. Signatures do not enter. */
export function checkpointDigest(text: string): string {
  return hash('sha256', `sallyport audit checkpoint v1\n${text}`)
}

export function signedNote(text: string, keyName: string, publicKey: KeyObject, signature: Uint8Array): string {
  if (!NAME.test(keyName)) throw new FormatError('a key name has no blanks and no +')
  if (signature.length !== 64) throw new FormatError('an Ed25519 signature has 64 bytes')
  const blob = Buffer.concat([Buffer.from(noteKeyId(keyName, publicKey), 'hex'), signature])
  return `${text}\n\u2014 ${keyName} ${blob.toString('base64')}\n`
}

/** First 4 bytes of SHA-256(name, line break, 0x01, public key), hex. */
export function noteKeyId(keyName: string, publicKey: KeyObject): string {
  const { x = '' } = publicKey.export({ format: 'jwk' })
  const bytes = Buffer.concat([Buffer.from(`${keyName}\n\u0001`), Buffer.from(x, 'base64url')])
  return hash('sha256', bytes, 'hex').slice(0, 8)
}

/** Errors: FormatError for anything that `signedNote` does not write. */
export function parseNote(note: string): ParsedNote {
  if (note.length > LONGEST_NOTE) throw new FormatError('the note is too long')
  const end = note.indexOf('\n\n')
  if (end < 0) throw new FormatError('the note has no signatures')
  const text = note.slice(0, end + 1)
  const rest = note.slice(end + 2)
  if (!rest.endsWith('\n')) throw new FormatError('the note is cut short')
  const lines = rest.slice(0, -1).split('\n', MOST_SIGNATURES + 1)
  if (lines.length > MOST_SIGNATURES) throw new FormatError('too many signatures')
  return { checkpoint: parseText(text), text, signatures: lines.map(parseSignature) }
}

function parseText(text: string): Checkpoint {
  const [origin = '', size = '', head = '', time = '', previous = '', ...sessions] = text.slice(0, -1).split('\n')
  if (!text.endsWith('\n') || !NAME.test(origin)) throw new FormatError('a checkpoint starts with its origin')
  const before = wordAfter('previous', previous)
  if (before !== 'none' && !HEX.test(before)) throw new FormatError('no digest of the checkpoint before')
  if (sessions.length > MOST_SESSIONS) throw new FormatError('too many session files')
  const heads = sessions.map(parseSession)
  for (const [index, { id }] of heads.entries()) {
    if (index > 0 && (heads[index - 1]?.id ?? '') >= id) throw new FormatError('session files are out of order')
  }
  return {
    origin,
    size: parseNumber(size),
    head: parseHead(head),
    time: parseTime(wordAfter('time', time)),
    previous: before === 'none' ? null : before,
    sessions: heads,
  }
}

function parseSession(line: string): SessionHead {
  const [word, id = '', chunks = '', bytes = '', digest = '', more] = line.split(' ')
  if (word !== 'session' || more !== undefined || !ID.test(id) || !HEX.test(digest)) {
    throw new FormatError('no session line')
  }
  return { id, chunks: parseNumber(chunks), bytes: parseNumber(bytes), digest }
}

function parseSignature(line: string): NoteSignature {
  const [dash, name = '', base64 = '', more] = line.split(' ')
  if (dash !== '\u2014' || more !== undefined || !NAME.test(name)) throw new FormatError('no signature line')
  const blob = decodeBase64(base64)
  if (blob.length < 5) throw new FormatError('the signature is too short')
  return { name, keyId: blob.toString('hex', 0, 4), signature: blob.subarray(4) }
}

function parseHead(base64: string): string {
  const bytes = decodeBase64(base64)
  if (bytes.length !== 32) throw new FormatError('the head has 32 bytes')
  return bytes.toString('hex')
}

function decodeBase64(text: string): Buffer {
  const bytes = Buffer.from(BASE64.test(text) ? text : '', 'base64')
  // Buffer skips what it does not understand; one value must have one spelling.
  if (bytes.length === 0 || bytes.toString('base64') !== text) throw new FormatError('no canonical base64')
  return bytes
}

function wordAfter(key: string, line: string): string {
  const [word, value, more] = line.split(' ')
  if (word !== key || value === undefined || more !== undefined) throw new FormatError(`no line "${key}"`)
  return value
}

function parseTime(text: string): number {
  const time = parseNumber(text)
  if (time > LAST_INSTANT) throw new FormatError('no instant')
  return time
}

function parseNumber(text: string): number {
  const value = NUMBER.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(value)) throw new FormatError('no decimal number')
  return value
}

/** True when one of the note's signatures is by one of `keys` (Ed25519). A signature by nobody we know is ignored. */
export function isSignedBy(note: ParsedNote, keys: readonly KeyObject[]): boolean {
  const text = Buffer.from(note.text)
  return note.signatures.some(({ name, keyId, signature }) =>
    keys.some((key) => noteKeyId(name, key) === keyId && verify(null, text, key, signature)),
  )
}

/** Reads an Ed25519 public key in SPKI PEM. Errors: FormatError for every other kind. */
export function checkpointKey(pem: string): KeyObject {
  let key: KeyObject
  try {
    key = createPublicKey(pem)
  } catch {
    throw new FormatError('no public key in PEM')
  }
  if (key.asymmetricKeyType !== 'ed25519') throw new FormatError('checkpoints are signed with Ed25519')
  return key
}
