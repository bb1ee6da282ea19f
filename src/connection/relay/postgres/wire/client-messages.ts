// The few messages that we send to a server ourselves, while we sign in and when we leave.

import { FROM_CLIENT, HEADER } from './codes.ts'

/** 'p' | length | cstring password, or the answer to `md5` */
export const passwordMessage = (password: string): Buffer => framed(Buffer.from(`${password}\0`))

/** 'p' | length | cstring mechanism | int32 length | client-first-message */
export function saslInitial(mechanism: string, first: string): Buffer {
  const name = Buffer.from(`${mechanism}\0`)
  const data = Buffer.from(first)
  const body = Buffer.alloc(name.length + 4 + data.length)
  name.copy(body, 0)
  body.writeUInt32BE(data.length, name.length)
  data.copy(body, name.length + 4)
  return framed(body)
}

/** 'p' | length | client-final-message */
export const saslResponse = (final: string): Buffer => framed(Buffer.from(final))

/** 'X' | 4 */
export const TERMINATE: Buffer = Buffer.from([FROM_CLIENT.terminate, 0, 0, 0, 4])

function framed(body: Buffer): Buffer {
  const bytes = Buffer.alloc(HEADER + body.length)
  bytes[0] = FROM_CLIENT.password
  bytes.writeUInt32BE(4 + body.length, 1)
  body.copy(bytes, HEADER)
  return bytes
}
