import { createHash, X509Certificate, type KeyObject } from 'node:crypto'

const MOST_BYTES = 8192
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'
/** People connect with the same certificate again and again, some of them several times a second. */
const MOST_KNOWN = 256
const MOST_AUTHORITIES = 16

/** What stands in a certificate. Nothing of it depends on the moment, or on whom is trusted. */
export class ReadCertificate {
  /** ms; NaN where the date cannot be read */
  readonly from: number
  /** ms; NaN where the date cannot be read */
  readonly until: number
  /** For TLS clients, and for nothing else */
  readonly isForClients: boolean
  readonly names: string
  /** `SHA256:...` of the key's SubjectPublicKeyInfo */
  readonly keyFingerprint: string
  readonly #certificate: X509Certificate
  /** PEM of the authority that was found to have signed it */
  #signer: string | null = null

  constructor(certificate: X509Certificate) {
    this.#certificate = certificate
    this.from = certificate.validFromDate.getTime()
    this.until = certificate.validToDate.getTime()
    this.isForClients = !certificate.ca && certificate.keyUsage?.join() === CLIENT_AUTH
    this.names = certificate.subjectAltName ?? ''
    this.keyFingerprint = spkiFingerprint(certificate.publicKey.export({ type: 'spki', format: 'der' }))
  }

  /** `authority`: PEM */
  isSignedBy(authority: string): boolean {
    if (this.#signer === authority) return true
    if (!verifies(this.#certificate, authority)) return false
    this.#signer = authority
    return true
  }
}

const known = new Map<string, ReadCertificate>()

/**
 * The certificate with exactly these bytes; null: they are none. What was found out about one is kept under all of its bytes,
 * the newest few hundred of this process.
 */
export function readUserCertificate(der: Uint8Array): ReadCertificate | null {
  if (der.length > MOST_BYTES) return null
  const bytes = Buffer.from(der.buffer, der.byteOffset, der.length).toString('latin1')
  const certificate = known.get(bytes) ?? readAnew(der)
  if (!certificate) return null
  known.delete(bytes)
  known.set(bytes, certificate)
  if (known.size > MOST_KNOWN) dropOldest(known)
  return certificate
}

function readAnew(der: Uint8Array): ReadCertificate | null {
  try {
    const certificate = new X509Certificate(der)
    // It also reads PEM, and a certificate with something behind it: only what was shown in TLS is meant.
    return certificate.raw.equals(der) ? new ReadCertificate(certificate) : null
  } catch {
    return null
  }
}

interface Authority {
  readonly subject: string
  readonly publicKey: KeyObject
}

const authorities = new Map<string, Authority>()

/** Of a PEM that we were told to trust. */
function authorityOf(pem: string): Authority {
  const before = authorities.get(pem)
  if (before) return before
  const { subject, publicKey } = new X509Certificate(pem)
  if (authorities.size >= MOST_AUTHORITIES) dropOldest(authorities)
  const authority = { subject, publicKey }
  authorities.set(pem, authority)
  return authority
}

function verifies(certificate: X509Certificate, pem: string): boolean {
  const { subject, publicKey } = authorityOf(pem)
  try {
    return certificate.issuer === subject && certificate.verify(publicKey)
  } catch {
    return false
  }
}

function dropOldest(map: Map<string, unknown>): void {
  for (const key of map.keys()) {
    map.delete(key)
    return
  }
}

/** `SHA256:...` of a key's DER SubjectPublicKeyInfo. */
export function spkiFingerprint(spki: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(spki).digest('base64').replace(/=+$/, '')}`
}
