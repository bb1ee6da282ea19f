// string algorithm | string bytes (RFC 4253 section 6.6, RFC 5656 section 3.1.2, RFC 8332, RFC 8709)
import { sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { FormatError } from '../format-error.ts'
import { signatureAlgorithmsOf } from './algorithms.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import { CURVES } from './public-key.ts'
import type { Curve, SshPublicKey } from './public-key.ts'
import { SshReader, SshWriter } from './ssh-bytes.ts'

export const MAX_SIGNATURE = 2048

/** The signature blob that `key` (private) makes over `data`. */
export function makeSignature(key: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Buffer {
  return new SshWriter()
    .string(algorithm)
    .string(rawSignature(key, algorithm, data))
    .toBuffer()
}

function rawSignature(key: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Buffer {
  if (algorithm === 'ssh-ed25519') return sign(null, data, key)
  if (algorithm === 'rsa-sha2-256') return sign('sha256', data, key)
  if (algorithm === 'rsa-sha2-512') return sign('sha512', data, key)
  const { hash, size } = CURVES[algorithm]
  const pair = sign(hash, data, { key, dsaEncoding: 'ieee-p1363' })
  return new SshWriter().mpint(pair.subarray(0, size)).mpint(pair.subarray(size)).toBuffer()
}

/**
 * True when `signature` was made by `by` over `data` with exactly `algorithm`. The caller says the algorithm, from what
 * was negotiated or from the key; what the blob says it is must only agree. Anything malformed is false.
 */
export function verifySignature(
  by: SshPublicKey,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (!signatureAlgorithmsOf(by.type).includes(algorithm)) return false
  try {
    const reader = new SshReader(signature)
    if (reader.text(64) !== algorithm) return false
    const bytes = reader.string(MAX_SIGNATURE)
    reader.end()
    return verifyBytes(by, algorithm, data, bytes)
  } catch (error) {
    if (error instanceof FormatError) return false
    throw error
  }
}

function verifyBytes(by: SshPublicKey, algorithm: SignatureAlgorithm, data: Uint8Array, bytes: Buffer): boolean {
  if (algorithm === 'ssh-ed25519') return bytes.length === 64 && verify(null, data, by.key, bytes)
  if (algorithm === 'rsa-sha2-256') return verify('sha256', data, by.key, bytes)
  if (algorithm === 'rsa-sha2-512') return verify('sha512', data, by.key, bytes)
  const curve = CURVES[algorithm]
  return verify(curve.hash, data, { key: by.key, dsaEncoding: 'ieee-p1363' }, readEcdsaPair(curve, bytes))
}

function readEcdsaPair({ size }: Curve, bytes: Buffer): Buffer {
  const reader = new SshReader(bytes)
  const pair = Buffer.alloc(2 * size)
  for (const end of [size, 2 * size]) {
    const half = reader.mpint(size + 1)
    if (half.length > size) throw new FormatError('half of a signature too long')
    half.copy(pair, end - half.length)
  }
  reader.end()
  return pair
}
