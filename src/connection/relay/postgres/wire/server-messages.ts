// Messages as a server sends them: built for our clients, read from the real servers while we sign in.
//   byte type | int32 length (counts itself) | body

import { FROM_SERVER, HEADER } from './codes.ts'
import { ProtocolError } from './protocol-error.ts'

export type Severity = 'FATAL' | 'ERROR' | 'NOTICE' | 'WARNING'

export interface ErrorFields {
  readonly severity: string
  /** SQLSTATE */
  readonly code: string
  readonly message: string
}

export interface Complaint {
  readonly severity: Severity
  readonly code: string
  readonly message: string
  readonly hint?: string
}

/** 'E' ErrorResponse or 'N' NoticeResponse: (byte field | cstring value)* | 0 */
export function complaint({ severity, code, message, hint }: Complaint): Buffer {
  const isError = severity === 'FATAL' || severity === 'ERROR'
  const fields = [`S${severity}`, `V${severity}`, `C${code}`, `M${plain(message)}`]
  if (hint !== undefined) fields.push(`H${plain(hint)}`)
  const body = Buffer.from(`${fields.map((field) => `${field}\0`).join('')}\0`)
  return framed(isError ? FROM_SERVER.error : FROM_SERVER.notice, body)
}

/** 'R' | 8 | 0 */
export const AUTHENTICATION_OK: Buffer = framed(FROM_SERVER.authentication, Buffer.alloc(4))

/** 'K' | length | process id and secret. Up to protocol 3.1 the secret has 4 bytes. */
export const keyData = (key: Uint8Array): Buffer => framed(FROM_SERVER.keyData, key)

/** 'S' | length | cstring name | cstring value */
export const parameterStatus = (name: string, value: string): Buffer =>
  framed(FROM_SERVER.parameterStatus, Buffer.from(`${name}\0${value}\0`))

/** 'v' | length | int32 newest version | int32 n | cstring extension of the protocol that is not known here (n times) */
export function negotiateVersion(minor: number, unknown: readonly string[]): Buffer {
  const names = Buffer.from(unknown.map((name) => `${name}\0`).join(''))
  const body = Buffer.alloc(8 + names.length)
  body.writeUInt32BE((3 << 16) | minor, 0)
  body.writeUInt32BE(unknown.length, 4)
  names.copy(body, 8)
  return framed(FROM_SERVER.negotiateVersion, body)
}

function framed(type: number, body: Uint8Array): Buffer {
  const bytes = Buffer.alloc(HEADER + body.length)
  bytes[0] = type
  bytes.writeUInt32BE(4 + body.length, 1)
  bytes.set(body, HEADER)
  return bytes
}

const plain = (text: string): string => text.replaceAll('\0', '')

/** Of an ErrorResponse, which may be cut anywhere: a field that is not there is empty. */
export function readErrorFields(body: Buffer): ErrorFields {
  const found = new Map<string, string>()
  for (let at = 0; at < body.length && body[at] !== 0;) {
    const end = body.indexOf(0, at + 1)
    const stop = end < 0 ? body.length : end
    const field = String.fromCharCode(body[at] ?? 0)
    if (!found.has(field)) found.set(field, body.toString('utf8', at + 1, stop))
    at = stop + 1
  }
  const severity = found.get('V') ?? found.get('S') ?? ''
  return { severity, code: found.get('C') ?? '', message: found.get('M') ?? '' }
}

/** `name` and `value` of a ParameterStatus */
export function readParameterStatus(body: Buffer): readonly [string, string] {
  const parts = body.toString('utf8').split('\0')
  if (parts.length !== 3 || parts[2] !== '') throw new ProtocolError('malformed parameter status')
  return [parts[0] ?? '', parts[1] ?? '']
}

export type AuthenticationAsk =
  | { readonly kind: 'ok' }
  | { readonly kind: 'cleartext' }
  | { readonly kind: 'md5'; readonly salt: Buffer }
  | { readonly kind: 'sasl'; readonly mechanisms: readonly string[] }
  | { readonly kind: 'sasl_continue'; readonly data: Buffer }
  | { readonly kind: 'sasl_final'; readonly data: Buffer }
  /** Kerberos, SSPI and whatever comes */
  | { readonly kind: 'other'; readonly code: number }

/** Body of an Authentication message: int32 code | rest */
export function readAuthentication(body: Buffer): AuthenticationAsk {
  if (body.length < 4) throw new ProtocolError('malformed authentication request')
  const code = body.readUInt32BE(0)
  const rest = body.subarray(4)
  switch (code) {
    case 0:
      return { kind: 'ok' }
    case 3:
      return { kind: 'cleartext' }
    case 5:
      if (rest.length !== 4) throw new ProtocolError('malformed authentication request')
      return { kind: 'md5', salt: rest }
    case 10:
      return { kind: 'sasl', mechanisms: readMechanisms(rest) }
    case 11:
      return { kind: 'sasl_continue', data: rest }
    case 12:
      return { kind: 'sasl_final', data: rest }
    default:
      return { kind: 'other', code }
  }
}

/** cstring* | 0 */
function readMechanisms(rest: Buffer): readonly string[] {
  const names = rest.toString('latin1').split('\0')
  if (names.length < 3 || names.at(-1) !== '' || names.at(-2) !== '')
    throw new ProtocolError('malformed list of mechanisms')
  return names.slice(0, -2)
}
