import { randomBytes } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { FormatError } from '../format-error.ts'
import { CERTIFICATE_SUFFIX, signatureAlgorithmsOf } from './algorithms.ts'
import { KIND_NUMBER, MAX_CERTIFICATE, MAX_PRINCIPALS } from './certificate.ts'
import type { CertificateKind } from './certificate.ts'
import { publicKeyOf } from './public-key.ts'
import type { SshPublicKey } from './public-key.ts'
import { makeSignature } from './signature.ts'
import { SshWriter } from './ssh-bytes.ts'

export interface CertificateSpec {
  readonly subject: SshPublicKey
  readonly kind: CertificateKind
  readonly keyId: string
  /** At least one: a certificate without principals is good for everybody. */
  readonly principals: readonly string[]
  /** Milliseconds since 1970, rounded down to seconds; good from here */
  readonly validAfter: number
  /** Milliseconds since 1970, rounded down to seconds; good until just before here */
  readonly validBefore: number
  /** Name to text. A user certificate of ours has `login-session@sallyport`. */
  readonly criticalOptions?: Readonly<Record<string, string>>
  /** Name to text; flags such as permit-pty have the empty text. */
  readonly extensions?: Readonly<Record<string, string>>
  /** Random, of 63 bits, when not given */
  readonly serial?: bigint
}

export interface MintedCertificate {
  readonly blob: Buffer
  readonly serial: bigint
}

/**
 * Characters a principal may have. No comma, blank or NUL: readers that join principals to one text were tricked with
 * those (CVE-2026-35414). No `*` and `?` either: some readers take them for patterns.
 */
const PRINCIPAL = /^[A-Za-z0-9._@:[\]+-]{1,255}$/

/** Makes and signs a certificate. Throws FormatError for a spec that no careful reader should accept. */
export function mintCertificate(spec: CertificateSpec, authority: KeyObject): MintedCertificate {
  const authorityKey = publicKeyOf(authority)
  const { bytes, serial } = certificateToSign(spec, authorityKey)
  const [algorithm] = signatureAlgorithmsOf(authorityKey.type)
  if (algorithm === undefined) throw new FormatError('the authority cannot sign')
  return { blob: sealCertificate(bytes, makeSignature(authority, algorithm, bytes)), serial }
}

/** For an authority that signs elsewhere: everything up to the signature. */
export function certificateToSign(
  spec: CertificateSpec,
  authority: SshPublicKey,
): { readonly bytes: Buffer; readonly serial: bigint } {
  refuseOddSpec(spec)
  const serial = spec.serial ?? randomBytes(8).readBigUInt64BE() >> 1n
  const principals = new SshWriter()
  for (const principal of spec.principals) principals.string(principal)
  const type = spec.subject.type + CERTIFICATE_SUFFIX
  const fields = spec.subject.blob.subarray(4 + spec.subject.type.length)
  const writer = new SshWriter(1024).string(type).string(randomBytes(32)).raw(fields)
  writer.u64(serial).u32(KIND_NUMBER[spec.kind]).string(spec.keyId).string(principals.toBuffer())
  writer.u64(seconds(spec.validAfter)).u64(seconds(spec.validBefore))
  writer.string(options(spec.criticalOptions)).string(options(spec.extensions)).string('').string(authority.blob)
  return { bytes: writer.toBuffer(), serial }
}

/** `signature` is a signature blob over `bytes`. */
export function sealCertificate(bytes: Uint8Array, signature: Uint8Array): Buffer {
  const blob = new SshWriter(bytes.length + signature.length + 4).raw(bytes).string(signature).toBuffer()
  if (blob.length > MAX_CERTIFICATE) throw new FormatError('certificate would be too long')
  return blob
}

function refuseOddSpec(spec: CertificateSpec): void {
  if (spec.principals.length === 0)
    throw new FormatError('a certificate without principals would be good for everybody')
  if (spec.principals.length > MAX_PRINCIPALS) throw new FormatError('too many principals')
  if (!spec.principals.every((principal) => PRINCIPAL.test(principal)))
    throw new FormatError('odd character in a principal')
  if (new Set(spec.principals).size < spec.principals.length) throw new FormatError('a principal is named twice')
  if (/[\0-\x1f\x7f]/.test(spec.keyId) || spec.keyId === '') throw new FormatError('odd key id')
  if (!(spec.validBefore > spec.validAfter && spec.validAfter >= 0))
    throw new FormatError('validity ends before it starts')
  if (!Number.isSafeInteger(Math.floor(spec.validBefore))) throw new FormatError('validity without an end')
  if (spec.serial !== undefined && (spec.serial < 1n || spec.serial >= 1n << 64n))
    throw new FormatError('serial out of range')
  if (spec.kind === 'host' && Object.keys(spec.criticalOptions ?? {}).length > 0) {
    throw new FormatError('a host certificate has no critical options')
  }
}

function seconds(milliseconds: number): bigint {
  return BigInt(Math.floor(milliseconds / 1000))
}

function options(values: Readonly<Record<string, string>> = {}): Buffer {
  const writer = new SshWriter()
  for (const name of Object.keys(values).toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))) {
    const value = values[name] ?? ''
    if (!/^[\x21-\x2b\x2d-\x7e]{1,64}$/.test(name) || value.includes('\0')) throw new FormatError('odd option')
    writer.string(name)
    // A flag has no data at all; a value is a string within the string.
    if (value === '') writer.string('')
    else writer.string(new SshWriter().string(value).toBuffer())
  }
  return writer.toBuffer()
}
