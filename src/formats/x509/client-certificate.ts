// Certificates of clients, people's and the proxy's own: P-256, signed with ECDSA and SHA-256 (RFC 5280).
//   Certificate    ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature BIT STRING }
//   TBSCertificate ::= SEQUENCE { [0] version, serial, algorithm, issuer, validity, subject, subjectPublicKeyInfo, [3] extensions }

import { der, element, oid, TAG, time } from './der.ts'

export interface ClientCertificateOrder {
  /** Positive, most significant byte first and not zero */
  readonly serial: Uint8Array
  /** DER of the issuer's name */
  readonly issuer: Uint8Array
  /** SHA-1 of the issuer's key, by which it is found */
  readonly issuerKeyId: Uint8Array
  readonly commonName: string
  /** URIs */
  readonly names: readonly string[]
  /** ms */
  readonly notBefore: number
  readonly notAfter: number
  /** DER SubjectPublicKeyInfo */
  readonly publicKey: Uint8Array
}

const ECDSA_SHA256 = der(TAG.sequence, oid('1.2.840.10045.4.3.2'))
const COMMON_NAME = oid('2.5.4.3')
const VERSION_3 = der(0xa0, der(TAG.integer, Buffer.of(2)))
const CRITICAL = der(TAG.boolean, Buffer.of(0xff))
const URI = 0x86
const KEY_ID = 0x80

const extension = (id: string, isCritical: boolean, value: Uint8Array): Buffer =>
  der(TAG.sequence, oid(id), ...(isCritical ? [CRITICAL] : []), der(TAG.octetString, value))

const NO_AUTHORITY = extension('2.5.29.19', true, der(TAG.sequence))
/** digitalSignature: the first bit of eight, of which seven are not used */
const SIGNS = extension('2.5.29.15', true, der(TAG.bitString, Buffer.of(7, 0x80)))
const CLIENT_AUTH = extension('2.5.29.37', false, der(TAG.sequence, oid('1.3.6.1.5.5.7.3.2')))

/** What the authority signs. */
export function certificateToSign(order: ClientCertificateOrder): Buffer {
  const { serial, issuer, issuerKeyId, commonName, names, notBefore, notAfter, publicKey } = order
  const name = der(TAG.sequence, COMMON_NAME, der(TAG.utf8, Buffer.from(commonName)))
  const alternatives = names.map((one) => der(URI, Buffer.from(one, 'latin1')))
  const extensions = [
    ...[NO_AUTHORITY, SIGNS, CLIENT_AUTH],
    extension('2.5.29.17', false, der(TAG.sequence, ...alternatives)),
    extension('2.5.29.35', false, der(TAG.sequence, der(KEY_ID, issuerKeyId))),
  ]
  return der(
    TAG.sequence,
    ...[VERSION_3, der(TAG.integer, serial), ECDSA_SHA256, issuer],
    der(TAG.sequence, time(notBefore), time(notAfter)),
    der(TAG.sequence, der(TAG.set, name)),
    publicKey,
    der(0xa3, der(TAG.sequence, ...extensions)),
  )
}

/** `signature`: DER, of `toSign`. */
export const signedCertificate = (toSign: Uint8Array, signature: Uint8Array): Buffer =>
  der(TAG.sequence, toSign, ECDSA_SHA256, der(TAG.bitString, Buffer.of(0), signature))

/** DER of the name of whom a certificate (DER) is for. Errors: RangeError for what is no certificate. */
export function subjectOf(certificate: Buffer): Buffer {
  const outer = element(certificate, 0)
  const body = outer && element(certificate, outer.at)
  let field = body && element(certificate, body.at)
  // version, serial, algorithm, issuer, validity
  for (let skipped = 0; skipped < 5 && field; skipped++) field = element(certificate, field.end)
  if (field?.tag !== TAG.sequence) throw new RangeError('not a certificate of version 3')
  return der(TAG.sequence, certificate.subarray(field.at, field.end))
}
