// The messages that the transport itself sends and answers, except those of a key exchange.
import { SIGNATURE_ALGORITHMS } from '../../../../formats/openssh/algorithms.ts'
import { SshReader, SshWriter } from '../../../../formats/openssh/ssh-bytes.ts'
import { MESSAGE } from './messages.ts'
import { ProtocolError } from './protocol-error.ts'

const MAX_TEXT = 32_768
const MAX_PING = 1024
const MAX_EXTENSIONS = 64

// byte 1 | u32 reason | string text | string language
export function disconnect(reason: number, text: string): Buffer {
  return new SshWriter().u8(MESSAGE.DISCONNECT).u32(reason).string(text).string('').toBuffer()
}

/** The peer's text, made fit to be shown: at most 1024 bytes, no control characters. */
export function readDisconnect(payload: Buffer): string {
  const reader = new SshReader(payload, 1)
  reader.u32()
  const text = reader.string(MAX_TEXT).toString('utf8', 0, 1024)
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, ' ')
}

// byte 2 | string data (RFC 4253 section 11.2)
export function ignore(): Buffer {
  return new SshWriter(8).u8(MESSAGE.IGNORE).string('').toBuffer()
}

// byte 3 | u32 sequence number of the packet not understood
export function unimplemented(sequence: number): Buffer {
  return new SshWriter(8).u8(MESSAGE.UNIMPLEMENTED).u32(sequence).toBuffer()
}

// byte 7 | u32 count | count times: string name, string value (RFC 8308)
export function extInfo(): Buffer {
  const writer = new SshWriter().u8(MESSAGE.EXT_INFO).u32(2)
  // With ping, OpenSSH's client hides the rhythm of typing (ObscureKeystrokeTiming).
  return writer.string('server-sig-algs').names(SIGNATURE_ALGORITHMS).string('ping@openssh.com').string('0').toBuffer()
}

/** server-sig-algs, or null when the message does not have it. */
export function readSignatureAlgorithms(payload: Buffer): readonly string[] | null {
  const reader = new SshReader(payload, 1)
  const count = reader.u32()
  if (count > MAX_EXTENSIONS) throw new ProtocolError('too many extensions')
  let algorithms: readonly string[] | null = null
  for (let i = 0; i < count; i++) {
    const name = reader.text(256)
    const value = reader.string(MAX_TEXT)
    if (name === 'server-sig-algs') algorithms = value.toString('latin1').split(',')
  }
  reader.end()
  return algorithms
}

// byte 192 | string data  ->  byte 193 | string data (OpenSSH PROTOCOL section 1.10)
export function pongFor(payload: Buffer): Buffer {
  const reader = new SshReader(payload, 1)
  const data = reader.string(MAX_PING)
  reader.end()
  return new SshWriter(8 + data.length).u8(MESSAGE.PONG).string(data).toBuffer()
}
