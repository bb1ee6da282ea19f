// MariaDB's ed25519: an EdDSA key made from the SHA-512 of a password of any length, where RFC 8032 hashes a seed of 32
// bytes. node:crypto takes seeds only, so the curve arithmetic is got from it by other doors: X25519 multiplies the base
// point by our scalar, and a throw-away Ed25519 key gives nonce and commitment (a signature is valid with any nonce).
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'

const P = 2n ** 255n - 19n
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
const PKCS8_X25519 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

const sha512 = (...parts: readonly Uint8Array[]): Buffer => {
  const digest = createHash('sha512')
  for (const part of parts) digest.update(part)
  return digest.digest()
}

function toNumber(littleEndian: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(littleEndian).reverse().toString('hex')}`)
}

function toBytes(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(64, '0'), 'hex').reverse()
}

function clamped(bytes: Buffer): Buffer {
  const scalar = Buffer.from(bytes.subarray(0, 32))
  scalar.writeUInt8(scalar.readUInt8(0) & 0xf8, 0)
  scalar.writeUInt8((scalar.readUInt8(31) & 0x7f) | 0x40, 31)
  return scalar
}

/** By Fermat; only of public numbers, so its time tells nothing. */
function inverse(value: bigint): bigint {
  let result = 1n
  let base = value % P
  for (let exponent = P - 2n; exponent > 0n; exponent >>= 1n) {
    if (exponent & 1n) result = (result * base) % P
    base = (base * base) % P
  }
  return result
}

/** The scalar times the base point: its y coordinate, the sign of x unknown (RFC 7748 section 4.1: y = (u-1)/(u+1)). */
function pointOf(scalar: Buffer): Buffer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_X25519, scalar]), format: 'der', type: 'pkcs8' })
  const u = toNumber(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32))
  return toBytes((((u - 1n + P) % P) * inverse(u + 1n)) % P)
}

const withSign = (point: Buffer): Buffer => {
  const signed = Buffer.from(point)
  signed.writeUInt8(signed.readUInt8(31) | 0x80, 31)
  return signed
}

const isSignedBy = (publicKey: Buffer, message: Buffer, signature: Buffer): boolean =>
  verify(
    null,
    message,
    createPublicKey({ key: Buffer.concat([SPKI_ED25519, publicKey]), format: 'der', type: 'spki' }),
    signature,
  )

/** 64 bytes R | S, for the server that has the password's public key. */
export function signWithPassword(password: Buffer, scramble: Buffer): Buffer {
  return signed(password, scramble).signature
}

/** What `ed25519_password()` of MariaDB stores, in Base64 without padding. */
export function publicKeyOfPassword(password: Buffer): string {
  return signed(password, Buffer.alloc(32)).publicKey.toString('base64').replace(/=+$/, '')
}

function signed(password: Buffer, message: Buffer): { readonly publicKey: Buffer; readonly signature: Buffer } {
  const scalar = clamped(sha512(password))
  const unsigned = pointOf(scalar)
  const nonce = generateKeyPairSync('ed25519')
  const seed = nonce.privateKey.export({ format: 'der', type: 'pkcs8' }).subarray(-32)
  const commitment = nonce.publicKey.export({ format: 'der', type: 'spki' }).subarray(-32)
  for (const publicKey of [unsigned, withSign(unsigned)]) {
    const challenge = toNumber(sha512(commitment, publicKey, message))
    const answer = (toNumber(clamped(sha512(seed))) + challenge * toNumber(scalar)) % ORDER
    const signature = Buffer.concat([commitment, toBytes(answer)])
    if (isSignedBy(publicKey, message, signature)) return { publicKey, signature }
  }
  throw new Error('neither sign of x gives a valid signature')
}
