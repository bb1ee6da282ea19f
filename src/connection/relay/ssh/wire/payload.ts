import { FormatError } from '../../../../formats/format-error.ts'
import { SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import { ProtocolError } from './protocol-error.ts'

/** True for what the peer sent wrong, in form or in order; everything else is a failure of ours. */
export function isPeersFault(error: unknown): boolean {
  return error instanceof ProtocolError || error instanceof FormatError
}

/** A message: its number, then each field as RFC 4251 section 5 says: number = uint32, text and bytes = string. */
export function payload(message: number, ...fields: readonly (boolean | number | string | Uint8Array)[]): Buffer {
  const writer = new SshWriter(64).u8(message)
  for (const field of fields) {
    if (typeof field === 'boolean') writer.bool(field)
    else if (typeof field === 'number') writer.u32(field)
    else writer.string(field)
  }
  return writer.toBuffer()
}
