// RFC 4252: byte 50 | string user | string service | string method | method's own fields
//   publickey: boolean signed | string algorithm | string key blob | string signature, if signed
import { MESSAGE } from './messages.ts'
import { SshReader } from '../../../../formats/openssh/ssh-bytes.ts'
import { payload } from './payload.ts'

const MAX_KEY = 16 * 1024
const MAX_SIGNATURE = 4096

export interface PublicKeyRequest {
  readonly method: 'publickey'
  readonly user: string
  readonly service: string
  readonly algorithm: string
  readonly key: Buffer
  /** null: only asks whether the key would do */
  readonly signature: Buffer | null
  /** What the signature covers, behind the length-prefixed session id (RFC 4252 section 7). */
  readonly signedPart: Buffer
}

export interface OtherRequest {
  readonly method: 'other'
  readonly user: string
  readonly service: string
}

export function readAuthRequest(bytes: Buffer): PublicKeyRequest | OtherRequest {
  const r = new SshReader(bytes, 1)
  const user = r.text(256)
  const service = r.text(64)
  if (r.text(64) !== 'publickey') return { method: 'other', user, service }
  const signed = r.bool()
  const algorithm = r.text(64)
  const key = r.string(MAX_KEY)
  const signedPart = bytes.subarray(0, r.position)
  const signature = signed ? r.string(MAX_SIGNATURE) : null
  r.end()
  return { method: 'publickey', user, service, algorithm, key, signature, signedPart }
}

/** The part that is signed; the complete request is this and the length-prefixed signature. */
export function publicKeyRequest(user: string, algorithm: string, key: Uint8Array): Buffer {
  return payload(MESSAGE.USERAUTH_REQUEST, user, 'ssh-connection', 'publickey', true, algorithm, key)
}

/** string session id | request */
export function bytesToSign(sessionId: Buffer, signedPart: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(sessionId.length)
  return Buffer.concat([length, sessionId, signedPart])
}

export function readServiceRequest(bytes: Buffer): string {
  const r = new SshReader(bytes, 1)
  const name = r.text(64)
  r.end()
  return name
}

export function serviceAccept(name: string): Buffer {
  return payload(MESSAGE.SERVICE_ACCEPT, name)
}

export function serviceRequest(name: string): Buffer {
  return payload(MESSAGE.SERVICE_REQUEST, name)
}

export function keyOk(algorithm: string, key: Uint8Array): Buffer {
  return payload(MESSAGE.USERAUTH_PK_OK, algorithm, key)
}

export function authFailure(): Buffer {
  return payload(MESSAGE.USERAUTH_FAILURE, 'publickey', false)
}

/** What was sent is right and not enough; `next` may follow (RFC 4252 section 5.1). */
export function partialSuccess(next: 'keyboard-interactive'): Buffer {
  return payload(MESSAGE.USERAUTH_FAILURE, next, true)
}

export function authSuccess(): Buffer {
  return payload(MESSAGE.USERAUTH_SUCCESS)
}

export function banner(text: string): Buffer {
  return payload(MESSAGE.USERAUTH_BANNER, text, '')
}

/** string text | string language */
export function readBanner(bytes: Buffer): string {
  const r = new SshReader(bytes, 1)
  const text = r.string(16 * 1024).toString('utf8')
  if (r.position < bytes.length) r.string(256)
  return text
}
