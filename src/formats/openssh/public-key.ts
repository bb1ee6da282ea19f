// string type | fields (RFC 4253 section 6.6, RFC 5656 section 3.1, RFC 8709 section 4)
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { FormatError } from '../format-error.ts'
import { isKeyType } from './algorithms.ts'
import type { SshKeyType } from './algorithms.ts'
import { SshReader, SshWriter } from './ssh-bytes.ts'

export interface SshPublicKey {
  readonly type: SshKeyType
  /** The one encoding of this key: two keys are the same when their blobs are. */
  readonly blob: Buffer
  readonly key: KeyObject
}

export const MAX_KEY_BLOB = 4096
const MAX_TYPE = 64
const RSA_BITS = { least: 2048, most: 8192 }

export interface Curve {
  readonly name: string
  readonly jwk: string
  readonly hash: string
  /** Bytes of one coordinate and of each half of a signature */
  readonly size: number
}

export const CURVES: Readonly<Record<Extract<SshKeyType, `ecdsa-${string}`>, Curve>> = {
  'ecdsa-sha2-nistp256': { name: 'nistp256', jwk: 'P-256', hash: 'sha256', size: 32 },
  'ecdsa-sha2-nistp384': { name: 'nistp384', jwk: 'P-384', hash: 'sha384', size: 48 },
  'ecdsa-sha2-nistp521': { name: 'nistp521', jwk: 'P-521', hash: 'sha512', size: 66 },
}

/** Throws FormatError for anything but a plain key of a known type and sane size; a certificate is refused. */
export function parsePublicKey(blob: Uint8Array): SshPublicKey {
  if (blob.length > MAX_KEY_BLOB) throw new FormatError('public key too long')
  const reader = new SshReader(blob)
  const type = reader.text(MAX_TYPE)
  if (!isKeyType(type)) throw new FormatError('not a plain key of a known type')
  const key = readPublicFields(type, reader)
  reader.end()
  return key
}

/** The fields after the type, as they stand in a plain key and inside a certificate. The blob is a copy. */
export function readPublicFields(type: SshKeyType, reader: SshReader): SshPublicKey {
  const start = reader.position
  const jwk = readJwk(type, reader)
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    throw new FormatError('not a valid key')
  }
  const fields = reader.bytes.subarray(start, reader.position)
  return { type, blob: new SshWriter(fields.length + 32).string(type).raw(fields).toBuffer(), key }
}

type Jwk = { kty: string; crv: string; x: string; y?: string } | { kty: 'RSA'; n: string; e: string }

function readJwk(type: SshKeyType, reader: SshReader): Jwk {
  if (type === 'ssh-ed25519') {
    const point = reader.string(32)
    if (point.length !== 32) throw new FormatError('ed25519 key of a wrong length')
    return { kty: 'OKP', crv: 'Ed25519', x: base64url(point) }
  }
  if (type === 'ssh-rsa') return readRsa(reader)
  const curve = CURVES[type]
  if (reader.text(16) !== curve.name) throw new FormatError('curve does not fit the key type')
  const point = reader.string(1 + 2 * curve.size)
  if (point.length !== 1 + 2 * curve.size || point[0] !== 4) throw new FormatError('not an uncompressed point')
  const x = base64url(point.subarray(1, 1 + curve.size))
  return { kty: 'EC', crv: curve.jwk, x, y: base64url(point.subarray(1 + curve.size)) }
}

/** Sizes are bounded because verifying with a giant modulus or exponent costs seconds (CVE-2026-39829). */
function readRsa(reader: SshReader): Jwk {
  const exponent = reader.mpint(5)
  const modulus = reader.mpint(RSA_BITS.most / 8 + 1)
  const bits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24
  if (bits < RSA_BITS.least || bits > RSA_BITS.most) throw new FormatError('RSA key of a size we do not take')
  if (exponent.length > 4 || isEven(exponent) || isEven(modulus)) throw new FormatError('odd RSA exponent or modulus')
  if (exponent.length === 1 && exponent[0] === 1) throw new FormatError('RSA exponent is one')
  return { kty: 'RSA', n: base64url(modulus), e: base64url(exponent) }
}

/** The SSH form of a private or public key. Throws FormatError for key types SSH does not have. */
export function publicKeyOf(key: KeyObject): SshPublicKey {
  const jwk = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  if (jwk.kty === 'OKP' && jwk.crv === 'Ed25519') {
    return parsePublicKey(new SshWriter().string('ssh-ed25519').string(fromBase64url(jwk.x)).toBuffer())
  }
  if (jwk.kty === 'RSA') {
    const writer = new SshWriter(1100).string('ssh-rsa').mpint(fromBase64url(jwk.e)).mpint(fromBase64url(jwk.n))
    return parsePublicKey(writer.toBuffer())
  }
  for (const [type, curve] of Object.entries(CURVES)) {
    if (jwk.kty !== 'EC' || jwk.crv !== curve.jwk) continue
    const point = Buffer.concat([Buffer.of(4), fromBase64url(jwk.x), fromBase64url(jwk.y)])
    return parsePublicKey(new SshWriter().string(type).string(curve.name).string(point).toBuffer())
  }
  throw new FormatError('no SSH key type for this key')
}

/** `SHA256:...`, as ssh-keygen -l prints it. Of a certificate's key: pass the plain key's blob. */
export function fingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`
}

export interface PublicKeyLine {
  /** First word; for a certificate it ends in -cert-v01@openssh.com */
  readonly type: string
  readonly blob: Buffer
  readonly comment: string
}

/** `type base64 comment`, as in id_x.pub and, without options, in authorized_keys. Plain keys and certificates. */
export function parsePublicKeyLine(line: string): PublicKeyLine {
  if (line.length > 32_768) throw new FormatError('key line too long')
  const words = /^([\x21-\x7e]{1,64})[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+([^\r\n]*?))?[ \t]*\r?\n?$/.exec(line)
  const [, type, base64, comment = ''] = words ?? []
  if (type === undefined || base64 === undefined) throw new FormatError('not a public key line')
  const blob = Buffer.from(base64, 'base64')
  if (blob.toString('base64').replace(/=+$/, '') !== base64.replace(/=+$/, '')) throw new FormatError('not base64')
  if (new SshReader(blob).text(MAX_TYPE) !== type) throw new FormatError('the key is not of the type the line says')
  return { type, blob, comment }
}

/** The line without a line feed at its end. */
export function formatPublicKeyLine(blob: Uint8Array, comment = ''): string {
  if (/[\0\r\n]/.test(comment)) throw new FormatError('comment is not one line')
  const type = new SshReader(blob).text(MAX_TYPE)
  return `${type} ${Buffer.from(blob).toString('base64')}${comment === '' ? '' : ` ${comment}`}`
}

function isEven(number: Buffer): boolean {
  return ((number.at(-1) ?? 0) & 1) === 0
}

function base64url(bytes: Buffer): string {
  return bytes.toString('base64url')
}

function fromBase64url(text: string | undefined): Buffer {
  if (text === undefined) throw new FormatError('key lacks a field')
  return Buffer.from(text, 'base64url')
}
