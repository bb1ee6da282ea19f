import { FormatError } from '../format-error.ts'
import { isSignatureAlgorithm, signatureAlgorithmsOf } from './algorithms.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import { KIND_NUMBER, parseCertificate } from './certificate.ts'
import type { CertificateKind, SshCertificate } from './certificate.ts'
import { isInAddressList } from './address-list.ts'
import { parsePublicKey } from './public-key.ts'
import type { SshPublicKey } from './public-key.ts'
import { verifySignature } from './signature.ts'
import { SshReader } from './ssh-bytes.ts'

/** The session of the person signed in. A name no sshd knows, so no sshd accepts a certificate that has it. */
export const LOGIN_SESSION_OPTION = 'login-session@sallyport'

/**
 * Keys that may sign certificates, looked up by their exact blob. Only plain keys get in: a certificate taken for a
 * signature key let everybody sign (CVE-2025-49825).
 */
export class AuthorityKeys {
  readonly #byBlob = new Map<string, SshPublicKey>()

  constructor(blobs: readonly Uint8Array[]) {
    for (const blob of blobs) {
      const key = parsePublicKey(blob)
      this.#byBlob.set(key.blob.toString('base64'), key)
    }
  }

  find(blob: Buffer): SshPublicKey | undefined {
    return this.#byBlob.get(blob.toString('base64'))
  }
}

export interface CertificateExpectation {
  readonly authorities: AuthorityKeys
  readonly kind: CertificateKind
  /** `exact`: one of the principals. `prefix`: the only principal starts with it and is longer. */
  readonly principal: { readonly exact: string } | { readonly prefix: string }
  /** Milliseconds since 1970 */
  readonly now: number
  /** Of the peer, without port; null where there is none, then a certificate with source-address is refused */
  readonly address: string | null
  /** Critical options that the caller enforces besides source-address, which is enforced here. All others are refused. */
  readonly enforces: readonly (typeof LOGIN_SESSION_OPTION | 'force-command')[]
  /** True refuses. Sees serial, key id, key and signature key. */
  readonly isRevoked: (certificate: SshCertificate) => boolean
}

export type CertificateRefusal =
  | 'malformed'
  | 'nested_certificate'
  | 'unknown_authority'
  | 'bad_signature'
  | 'revoked'
  | 'wrong_kind'
  | 'not_yet_valid'
  | 'expired'
  | 'no_principals'
  | 'wrong_principal'
  | 'critical_option'
  | 'source_address'

export type CertificateVerdict =
  | {
      readonly ok: true
      readonly certificate: SshCertificate
      /** The one that matched */
      readonly principal: string
      readonly loginSession: string | null
      readonly forceCommand: string | null
      /** Milliseconds since 1970; Infinity for a certificate without an end */
      readonly expiresAt: number
    }
  | { readonly ok: false; readonly code: CertificateRefusal; readonly message: string }

type Refusal = Extract<CertificateVerdict, { ok: false }>

/** Parses and judges. Never throws for bad input. Possession of the private key is for the caller to verify. */
export function checkCertificate(blob: Uint8Array, expected: CertificateExpectation): CertificateVerdict {
  try {
    return judge(parseCertificate(blob), expected)
  } catch (error) {
    if (error instanceof FormatError) return refuse('malformed', `malformed certificate: ${error.message}`)
    throw error
  }
}

function judge(certificate: SshCertificate, expected: CertificateExpectation): CertificateVerdict {
  const refusal = refusalOfSignature(certificate, expected) ?? refusalOfWindow(certificate, expected)
  if (refusal) return refusal
  const principal = matchingPrincipal(certificate, expected)
  if (typeof principal !== 'string') return principal
  const options = judgeOptions(certificate, expected)
  if ('ok' in options) return options
  const end = certificate.validBefore
  return { ok: true, certificate, principal, ...options, expiresAt: end > 1n << 53n ? Infinity : Number(end) * 1000 }
}

function refusalOfSignature(certificate: SshCertificate, expected: CertificateExpectation): Refusal | null {
  const { signatureKey } = certificate
  if (new SshReader(signatureKey).text(64).includes('-cert-')) {
    return refuse('nested_certificate', 'the certificate is signed by a certificate')
  }
  const authority = expected.authorities.find(signatureKey)
  if (!authority) return refuse('unknown_authority', 'the certificate is signed by a key that is not trusted')
  const algorithm = claimedAlgorithm(certificate.signature)
  const fits = algorithm !== null && signatureAlgorithmsOf(authority.type).includes(algorithm)
  if (!fits || !verifySignature(authority, algorithm, certificate.signedBytes, certificate.signature)) {
    return refuse('bad_signature', "the authority's signature is wrong")
  }
  return expected.isRevoked(certificate) ? refuse('revoked', 'the certificate is revoked') : null
}

/** An RSA authority may sign with either of two algorithms, so here the blob chooses, among what fits the key. */
function claimedAlgorithm(signature: Buffer): SignatureAlgorithm | null {
  const name = new SshReader(signature).text(64)
  return isSignatureAlgorithm(name) ? name : null
}

function refusalOfWindow(certificate: SshCertificate, expected: CertificateExpectation): Refusal | null {
  if (certificate.kind !== KIND_NUMBER[expected.kind]) return refuse('wrong_kind', `not a ${expected.kind} certificate`)
  const now = BigInt(Math.floor(expected.now / 1000))
  if (now < certificate.validAfter) return refuse('not_yet_valid', 'the certificate is not valid yet')
  if (now >= certificate.validBefore) return refuse('expired', 'the certificate has expired')
  return null
}

function matchingPrincipal({ principals }: SshCertificate, { principal }: CertificateExpectation): string | Refusal {
  const [only] = principals
  if (only === undefined) return refuse('no_principals', 'the certificate names nobody')
  if ('exact' in principal) {
    return principals.includes(principal.exact) && principal.exact !== ''
      ? principal.exact
      : refuse('wrong_principal', 'the certificate is for somebody else')
  }
  return principals.length === 1 && only.startsWith(principal.prefix) && only.length > principal.prefix.length
    ? only
    : refuse('wrong_principal', 'the certificate is not for exactly one user')
}

interface KnownOptions {
  loginSession: string | null
  forceCommand: string | null
}

function judgeOptions({ criticalOptions }: SshCertificate, expected: CertificateExpectation): KnownOptions | Refusal {
  const known: KnownOptions = { loginSession: null, forceCommand: null }
  if (expected.kind === 'host' && criticalOptions.size > 0) {
    return refuse('critical_option', 'a host certificate with a critical option')
  }
  for (const [name, data] of criticalOptions) {
    if (name === LOGIN_SESSION_OPTION && expected.enforces.includes(name)) known.loginSession = optionText(data)
    else if (name === 'force-command' && expected.enforces.includes(name)) known.forceCommand = optionText(data)
    else if (name !== 'source-address') return refuse('critical_option', 'the certificate has an option we do not know')
    else if (expected.address === null || !isInAddressList(expected.address, optionText(data))) {
      return refuse('source_address', 'the certificate may not be used from this address')
    }
  }
  return known
}

function optionText(data: Buffer): string {
  const reader = new SshReader(data)
  const text = reader.text(8192)
  reader.end()
  if (text === '') throw new FormatError('option without a value')
  return text
}

function refuse(code: CertificateRefusal, message: string): Refusal {
  return { ok: false, code, message }
}
