// The fields of Parse, Bind, Execute and Close that a statement's record needs. Bodies may be cut (CapturedBody): what is not
// there is said to be missing, never guessed.

import { ProtocolError } from './protocol-error.ts'

/** cstring name | cstring sql | int16 n | int32 type (n times) */
export interface Parse {
  readonly name: string
  /** As far as it was captured */
  readonly sql: Buffer
}

export function readParse(head: Buffer): Parse {
  const nameEnd = zeroAfter(head, 0)
  const sqlEnd = head.indexOf(0, nameEnd + 1)
  return {
    name: head.toString('latin1', 0, nameEnd),
    sql: head.subarray(nameEnd + 1, sqlEnd < 0 ? head.length : sqlEnd),
  }
}

/**
 * cstring portal | cstring prepared | int16 n | int16 format (n times) | int16 m | (int32 length | value) m times | result formats
 */
export interface Bind {
  readonly portal: string
  readonly prepared: string
  readonly parameters: readonly Parameter[]
  /** As the client counts them: more than `parameters` holds where the body was cut. Null: cut before the count */
  readonly parameterCount: number | null
}

/** null: SQL's NULL. `isText`: the value is text in the client's encoding; else the type's binary form. Valid as long as the body */
export type Parameter = { readonly isText: boolean; readonly value: Buffer } | null

/** `isCut`: the body goes on behind `head` */
export function readBind(head: Buffer, isCut: boolean): Bind {
  const portalEnd = zeroAfter(head, 0)
  const preparedEnd = zeroAfter(head, portalEnd + 1)
  const portal = head.toString('latin1', 0, portalEnd)
  const prepared = head.toString('latin1', portalEnd + 1, preparedEnd)
  const formatsAt = preparedEnd + 3
  const formatCount = int16(head, preparedEnd + 1, isCut)
  const countAt = formatsAt + 2 * (formatCount ?? 0)
  const parameterCount = formatCount === null ? null : int16(head, countAt, isCut)
  const formatOf = (index: number): number =>
    formatCount === 0 ? 0 : head.readUInt16BE(formatsAt + 2 * (formatCount === 1 ? 0 : index))
  if (formatCount !== null && formatCount > 1 && parameterCount !== null && formatCount !== parameterCount) {
    throw new ProtocolError(`bind message has ${formatCount} parameter formats but ${parameterCount} parameters`)
  }
  const parameters: Parameter[] = []
  let at = countAt + 2
  for (let index = 0; index < (parameterCount ?? 0); index++) {
    const length = at + 4 <= head.length ? head.readInt32BE(at) : null
    const end = at + 4 + Math.max(0, length ?? 0)
    if (length === null || end > head.length) {
      if (isCut) break
      throw new ProtocolError('invalid message format: too short')
    }
    parameters.push(length < 0 ? null : { isText: formatOf(index) === 0, value: head.subarray(at + 4, end) })
    at = end
  }
  return { portal, prepared, parameters, parameterCount }
}

/** Execute: cstring portal | int32 most rows */
export const readExecute = (head: Buffer): { readonly portal: string } => ({
  portal: head.toString('latin1', 0, zeroAfter(head, 0)),
})

/** Close: byte 'S' or 'P' | cstring name */
export function readClose(head: Buffer): { readonly what: 'prepared' | 'portal'; readonly name: string } {
  return { what: head[0] === 0x53 ? 'prepared' : 'portal', name: head.toString('latin1', 1, zeroAfter(head, 1)) }
}

/** Query: cstring sql */
export function readQuery(head: Buffer): Buffer {
  const end = head.indexOf(0)
  return head.subarray(0, end < 0 ? head.length : end)
}

function zeroAfter(bytes: Buffer, from: number): number {
  const found = bytes.indexOf(0, from)
  if (found < 0) throw new ProtocolError('invalid message format: a name does not end')
  return found
}

function int16(bytes: Buffer, at: number, isCut: boolean): number | null {
  if (at + 2 <= bytes.length) return bytes.readUInt16BE(at)
  if (isCut) return null
  throw new ProtocolError('invalid message format: too short')
}
