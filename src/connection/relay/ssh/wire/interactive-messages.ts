// RFC 4256: questions and answers during user authentication.
//   byte 50 | string user | string service | "keyboard-interactive" | string language | string submethods
//   byte 60 | string name | string instruction | string language | uint32 n | n * (string prompt | boolean echo)
//   byte 61 | uint32 n | n * string response
import { SshReader } from '../../../../formats/openssh/ssh-bytes.ts'
import { MESSAGE } from './messages.ts'
import { payload } from './payload.ts'
import { ProtocolError } from './protocol-error.ts'

const METHOD = 'keyboard-interactive'
/** OpenSSH reads a line of 1023 bytes; other clients take more. */
const MAX_RESPONSE = 16 * 1024

/** Null: another method. */
export function readInteractiveRequest(bytes: Buffer): { readonly user: string; readonly service: string } | null {
  const r = new SshReader(bytes, 1)
  const user = r.text(256)
  const service = r.text(64)
  if (r.text(64) !== METHOD) return null
  r.string(256)
  r.string(1024)
  r.end()
  return { user, service }
}

export function interactiveRequest(user: string): Buffer {
  return payload(MESSAGE.USERAUTH_REQUEST, user, 'ssh-connection', METHOD, '', '')
}

/** One question whose answer is shown as it is typed; null: none, only `instruction` is shown. */
export function infoRequest(instruction: string, prompt: string | null): Buffer {
  if (prompt === null) return payload(MESSAGE.USERAUTH_INFO_REQUEST, '', instruction, '', 0)
  return payload(MESSAGE.USERAUTH_INFO_REQUEST, '', instruction, '', 1, prompt, true)
}

/** The answers to `count` prompts, as bytes: they need not be text. */
export function readInfoResponse(bytes: Buffer, count: number): readonly Buffer[] {
  const r = new SshReader(bytes, 1)
  if (r.u32() !== count) throw new ProtocolError(`not ${count} responses`)
  const responses = Array.from({ length: count }, () => r.string(MAX_RESPONSE))
  r.end()
  return responses
}

export function infoResponse(...responses: readonly (string | Uint8Array)[]): Buffer {
  return payload(MESSAGE.USERAUTH_INFO_RESPONSE, responses.length, ...responses)
}

/** What a client reads: number of prompts, and the texts. */
export function readInfoRequest(bytes: Buffer): { readonly instruction: string; readonly prompts: readonly string[] } {
  const r = new SshReader(bytes, 1)
  r.text(1024)
  const instruction = r.text(16 * 1024)
  r.text(64)
  const count = r.u32()
  if (count > 16) throw new ProtocolError('too many prompts')
  const prompts = Array.from({ length: count }, () => {
    const prompt = r.text(4096)
    r.bool()
    return prompt
  })
  r.end()
  return { instruction, prompts }
}
