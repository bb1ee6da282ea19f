// The first packet of a connection, or of a connection that has just become TLS. It has no type byte.
//   int32 length (counts itself) | int32 code | rest
//   SSLRequest, GSSENCRequest: no rest      CancelRequest: int32 process id | secret, 4 bytes (protocol 3.2: up to 256)
//   StartupMessage: code = major << 16 | minor; rest = (cstring name | cstring value)* | 0

import { LONGEST_OPENING, OPENING_CODE, SQLSTATE } from './codes.ts'
import { ProtocolError } from './protocol-error.ts'

export type Opening =
  | { readonly kind: 'need_more' }
  | { readonly kind: 'ssl'; readonly consumed: number }
  | { readonly kind: 'gss'; readonly consumed: number }
  /** Process id and secret, as they were given out in BackendKeyData */
  | { readonly kind: 'cancel'; readonly key: Buffer; readonly consumed: number }
  | ({ readonly kind: 'startup'; readonly consumed: number } & Startup)

export interface Startup {
  /** Minor version of protocol 3 */
  readonly minor: number
  readonly parameters: ReadonlyMap<string, string>
  /** Names that begin with `_pq_.`: extensions of the protocol that are asked for */
  readonly extensions: readonly string[]
}

const LONGEST_SECRET = 256
const MOST_PARAMETERS = 64
const EXTENSION = '_pq_.'

/** Errors: ProtocolError. Never looks past the packet: `consumed` bytes belong to it. */
export function readOpening(bytes: Buffer): Opening {
  if (bytes.length < 4) return { kind: 'need_more' }
  const length = bytes.readUInt32BE(0)
  if (length < 8 || length > LONGEST_OPENING) throw new ProtocolError('invalid length of startup packet')
  if (bytes.length < 8) return { kind: 'need_more' }
  const code = bytes.readUInt32BE(4)
  if (code === OPENING_CODE.ssl || code === OPENING_CODE.gss) {
    if (length !== 8) throw new ProtocolError('invalid length of startup packet')
    return { kind: code === OPENING_CODE.ssl ? 'ssl' : 'gss', consumed: 8 }
  }
  if (code === OPENING_CODE.cancel && (length < 16 || length > 12 + LONGEST_SECRET)) {
    throw new ProtocolError('invalid length of cancel request')
  }
  if (code !== OPENING_CODE.cancel && code >>> 16 !== 3) {
    const version = `${code >>> 16}.${code & 0xffff}`
    throw new ProtocolError(
      `unsupported frontend protocol ${version}: 3.0 to 3.2 are spoken`,
      SQLSTATE.featureNotSupported,
    )
  }
  if (bytes.length < length) return { kind: 'need_more' }
  if (code === OPENING_CODE.cancel) {
    return { kind: 'cancel', key: Buffer.from(bytes.subarray(8, length)), consumed: length }
  }
  return { kind: 'startup', consumed: length, ...readStartup(bytes.subarray(8, length), code & 0xffff) }
}

function readStartup(body: Buffer, minor: number): Startup {
  const parameters = new Map<string, string>()
  const extensions: string[] = []
  let at = 0
  const cstring = (): string => {
    const end = body.indexOf(0, at)
    if (end < 0) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte')
    const text = decode(body.subarray(at, end))
    at = end + 1
    return text
  }
  for (;;) {
    const name = cstring()
    if (name === '') break
    const value = cstring()
    if (parameters.has(name)) throw new ProtocolError(`startup parameter ${JSON.stringify(name)} is given twice`)
    if (parameters.size + extensions.length >= MOST_PARAMETERS) throw new ProtocolError('too many startup parameters')
    if (name.startsWith(EXTENSION)) extensions.push(name)
    else parameters.set(name, value)
  }
  if (at !== body.length) throw new ProtocolError('invalid startup packet layout: expected terminator as last byte')
  return { minor, parameters, extensions }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw new ProtocolError('a startup parameter is not UTF-8')
  }
}

/** A StartupMessage of protocol 3.0. Names and values must be without zero bytes. */
export function startupMessage(parameters: Iterable<readonly [string, string]>): Buffer {
  const fields = [...parameters].flatMap(([name, value]) => [name, value])
  if (fields.some((field) => field.includes('\0'))) throw new ProtocolError('a startup parameter has a zero byte in it')
  return opening(3 << 16, Buffer.from(`${fields.map((field) => `${field}\0`).join('')}\0`))
}

export const SSL_REQUEST: Buffer = opening(OPENING_CODE.ssl, Buffer.alloc(0))

/** `key`: process id and secret */
export const cancelRequest = (key: Uint8Array): Buffer => opening(OPENING_CODE.cancel, key)

function opening(code: number, rest: Uint8Array): Buffer {
  const packet = Buffer.alloc(8 + rest.length)
  packet.writeUInt32BE(packet.length, 0)
  packet.writeUInt32BE(code, 4)
  packet.set(rest, 8)
  return packet
}
