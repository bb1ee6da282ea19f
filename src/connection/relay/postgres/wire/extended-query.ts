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

/** Compared byte by byte with other names; the client's encoding does not matter. */
const nameOf = (bytes: Buffer, from: number, to: number): string =>
  from === to ? '' : bytes.toString('latin1', from, to)

function zeroAfter(bytes: Buffer, from: number): number {
  const found = bytes.indexOf(0, from)
  if (found < 0) throw new ProtocolError('invalid message format: a text does not end')
  return found
}
