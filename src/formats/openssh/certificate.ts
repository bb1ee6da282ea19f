// OpenSSH PROTOCOL.certkeys:
// string type | string nonce | key fields | u64 serial | u32 kind | string key id | string principals | u64 after | u64 before
// | string critical options | string extensions | string reserved | string signature key | string signature over all before it
import { FormatError } from '../format-error.ts'
import { CERTIFICATE_SUFFIX, isKeyType } from './algorithms.ts'
import { MAX_KEY_BLOB, readPublicFields } from './public-key.ts'
import type { SshPublicKey } from './public-key.ts'
import { MAX_SIGNATURE } from './signature.ts'
import { SshReader } from './ssh-bytes.ts'

export type CertificateKind = 'user' | 'host'
export const KIND_NUMBER: Readonly<Record<CertificateKind, number>> = { user: 1, host: 2 }

export interface SshCertificate {
  /** The whole certificate */
  readonly blob: Buffer
  readonly publicKey: SshPublicKey
  readonly serial: bigint
  /** 1 user, 2 host; anything else is refused by checkCertificate */
  readonly kind: number
  readonly keyId: string
  readonly principals: readonly string[]
  /** Seconds since 1970, inclusive */
  readonly validAfter: bigint
  /** Seconds since 1970, exclusive */
  readonly validBefore: bigint
  /** Name to data; the data of the options we know is one SSH string */
  readonly criticalOptions: ReadonlyMap<string, Buffer>
  readonly extensions: ReadonlyMap<string, Buffer>
  /** Blob of the key that signed, or says so */
  readonly signatureKey: Buffer
  readonly signedBytes: Buffer
  readonly signature: Buffer
}

export const MAX_CERTIFICATE = 16_384
export const MAX_PRINCIPALS = 256
const MAX_OPTIONS = 64

/** Takes apart, judges nothing but form. Throws FormatError. Keeps views into `blob`. */
export function parseCertificate(blob: Uint8Array): SshCertificate {
  if (blob.length > MAX_CERTIFICATE) throw new FormatError('certificate too long')
  const reader = new SshReader(blob)
  const publicKey = readSubject(reader)
  const serial = reader.u64()
  const kind = reader.u32()
  const keyId = reader.text(1024)
  const principals = readPrincipals(reader.string(8192))
  const validAfter = reader.u64()
  const validBefore = reader.u64()
  const criticalOptions = readOptions(reader.string(8192))
  const extensions = readOptions(reader.string(8192))
  reader.string(MAX_CERTIFICATE)
  const signatureKey = reader.string(MAX_CERTIFICATE)
  const signedBytes = reader.bytes.subarray(0, reader.position)
  const signature = reader.string(MAX_SIGNATURE)
  reader.end()
  const names = { serial, kind, keyId, principals, validAfter, validBefore, criticalOptions, extensions }
  return { blob: reader.bytes, publicKey, ...names, signatureKey, signedBytes, signature }
}

function readSubject(reader: SshReader): SshPublicKey {
  const type = reader.text(64)
  const keyType = type.slice(0, -CERTIFICATE_SUFFIX.length)
  if (!type.endsWith(CERTIFICATE_SUFFIX) || !isKeyType(keyType))
    throw new FormatError('not a certificate of a known type')
  reader.string(MAX_KEY_BLOB) // nonce
  return readPublicFields(keyType, reader)
}

function readPrincipals(bytes: Buffer): string[] {
  const reader = new SshReader(bytes)
  const principals: string[] = []
  while (reader.left > 0) {
    if (principals.length === MAX_PRINCIPALS) throw new FormatError('too many principals')
    principals.push(reader.text(1024))
  }
  return principals
}

/** Names must be in order, which also makes them unique. */
function readOptions(bytes: Buffer): Map<string, Buffer> {
  const reader = new SshReader(bytes)
  const options = new Map<string, Buffer>()
  let last = Buffer.alloc(0)
  while (reader.left > 0) {
    if (options.size === MAX_OPTIONS) throw new FormatError('too many options')
    const name = reader.text(256)
    const raw = Buffer.from(name)
    if (Buffer.compare(raw, last) <= 0) throw new FormatError('options not in order')
    last = raw
    options.set(name, reader.string(8192))
  }
  return options
}
