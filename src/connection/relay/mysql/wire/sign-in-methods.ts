// Answers to a scramble, by method. Passwords are bytes in UTF-8; an empty one has the empty answer.
import { createHash } from 'node:crypto'
import { signWithPassword } from './ed25519-password.ts'
import { ProtocolError } from './protocol-error.ts'

export const NATIVE = 'mysql_native_password'
export const CACHING_SHA2 = 'caching_sha2_password'
export const ED25519 = 'client_ed25519'
const SCRAMBLES: Readonly<Record<string, number>> = { [NATIVE]: 20, [CACHING_SHA2]: 20, [ED25519]: 32 }

const hash = (algorithm: 'sha1' | 'sha256', ...parts: readonly Uint8Array[]): Buffer => {
  const digest = createHash(algorithm)
  for (const part of parts) digest.update(part)
  return digest.digest()
}

function xor(a: Buffer, b: Buffer): Buffer {
  const mixed = Buffer.alloc(a.length)
  for (let index = 0; index < a.length; index++) mixed[index] = (a[index] ?? 0) ^ (b[index] ?? 0)
  return mixed
}

/** SHA1(password) xor SHA1(scramble, SHA1(SHA1(password))) */
export function nativeAnswer(password: Buffer, scramble: Buffer): Buffer {
  const once = hash('sha1', password)
  return xor(once, hash('sha1', scramble, hash('sha1', once)))
}

/** SHA256(password) xor SHA256(SHA256(SHA256(password)), scramble) */
export function cachingSha2Answer(password: Buffer, scramble: Buffer): Buffer {
  const once = hash('sha256', password)
  return xor(once, hash('sha256', hash('sha256', once), scramble))
}

/** `data`: what the server sent for the method, with or without a NUL behind. Throws for methods that are not spoken. */
export function answerTo(method: string, password: string, data: Buffer): Buffer {
  const length = SCRAMBLES[method]
  if (length === undefined)
    throw new ProtocolError(`the server asks to sign in with ${printable(method)}, which is refused`)
  if (data.length < length) throw new ProtocolError('the scramble of the server is too short')
  if (password === '' && method !== ED25519) return Buffer.alloc(0)
  const bytes = Buffer.from(password, 'utf8')
  const scramble = data.subarray(0, length)
  if (method === ED25519) return signWithPassword(bytes, scramble)
  return method === NATIVE ? nativeAnswer(bytes, scramble) : cachingSha2Answer(bytes, scramble)
}

const printable = (text: string): string => text.slice(0, 64).replaceAll(/[^\x20-\x7e]/g, '?')
