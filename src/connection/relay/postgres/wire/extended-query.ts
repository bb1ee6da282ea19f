// The fields of Parse, Bind, Execute and Close that a statement's record needs, of bodies that are there as a whole.

import { ProtocolError } from './protocol-error.ts'

/** Of a prepared statement or a portal; the server itself has no limit */
export const LONGEST_NAME = 10_000

/** cstring name | cstring sql | int16 n | int32 type (n times) */
export function readParse(body: Buffer): { readonly name: string; readonly sql: Buffer } {
  const nameEnd = zeroAfter(body, 0)
  const sqlEnd = zeroAfter(body, nameEnd + 1)
  return { name: nameOf(body, 0, nameEnd), sql: body.subarray(nameEnd + 1, sqlEnd) }
}

/**
 * cstring portal | cstring prepared | int16 n | int16 format (n times) | int16 m | (int32 length | value) m times | result formats
 * `parameters` is everything behind the names: it is stored as it is and read by nobody here.
 */
export function readBind(body: Buffer): {
  readonly portal: string
  readonly prepared: string
  readonly parameters: Buffer
} {
  const portalEnd = zeroAfter(body, 0)
  const preparedEnd = zeroAfter(body, portalEnd + 1)
  return {
    portal: nameOf(body, 0, portalEnd),
    prepared: nameOf(body, portalEnd + 1, preparedEnd),
    parameters: body.subarray(preparedEnd + 1),
  }
}

/** Execute: cstring portal | int32 most rows */
export const readExecute = (body: Buffer): string => nameOf(body, 0, zeroAfter(body, 0))

/** Close: byte 'S' or 'P' | cstring name */
export function readClose(body: Buffer): { readonly what: 'prepared' | 'portal'; readonly name: string } {
  return { what: body[0] === 0x53 ? 'prepared' : 'portal', name: nameOf(body, 1, zeroAfter(body, 1)) }
}

/** Query: cstring sql */
export function readQuery(body: Buffer): Buffer {
  return body.subarray(0, zeroAfter(body, 0))
}

/** Names that fit are looked at here: asking Node for so little costs more. */
const SHORT = 64

/** Clients say the same name again and again. */
let lastName = ''

/** Compared byte by byte with other names; the client's encoding does not matter. */
function nameOf(bytes: Buffer, from: number, to: number): string {
  if (from === to) return ''
  if (!saysAgain(lastName, bytes, from, to)) lastName = bytes.toString('latin1', from, to)
  return lastName
}

/** `text`: a byte a character */
export function saysAgain(text: string, bytes: Buffer, from: number, to: number): boolean {
  if (text.length !== to - from || text.length > SHORT) return false
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[from + i]) return false
  return true
}

function zeroAfter(bytes: Buffer, from: number): number {
  const near = Math.min(bytes.length, from + SHORT)
  for (let at = from; at < near; at++) if (bytes[at] === 0) return at
  const found = bytes.indexOf(0, near)
  if (found < 0) throw new ProtocolError('invalid message format: a text does not end')
  return found
}
