import { createPublicKey, hash, sign, X509Certificate, type KeyObject } from 'node:crypto'
import { certificateToSign, signedCertificate, subjectOf } from '../formats/x509/client-certificate.ts'
import { Refused } from '../foundation/errors.ts'
import { serialNumber } from './tls-certificates.ts'

// Certificates of clients: people's for the proxy, and the proxy's for database servers.

const SKEW_MS = 60_000
/** A point of P-256, uncompressed: what a SubjectPublicKeyInfo ends with */
const POINT_BYTES = 65

export interface X509Signer {
  readonly privateKey: KeyObject
  readonly certificatePem: string
}

export interface UserX509Input {
  /** DER SubjectPublicKeyInfo of a P-256 key */
  readonly publicKey: Uint8Array
  readonly userId: string
  readonly userName: string
  readonly loginId: string
  /** Name of the resource: a route for clients that cannot name one, never a right */
  readonly database: string
  readonly now: number
  /** The login session's end */
  readonly until: number
}

/** PEM. Says who somebody is and on which login session (formats/x509/check-user-certificate.ts reads it). */
export function userX509Certificate(signer: X509Signer, installation: string, input: UserX509Input): string {
  const { userId, userName, loginId, database, now, until } = input
  const names = [`user/${userId}`, `login/${loginId}`, `database/${database}`]
  const certificate = clientCertificate(signer, {
    publicKey: input.publicKey,
    commonName: userName,
    names: names.map((name) => `sallyport://${installation}/${name}`),
    notBefore: now - SKEW_MS,
    notAfter: until,
  })
  return new X509Certificate(certificate).toString()
}

export interface DatabaseX509Input {
  /** DER SubjectPublicKeyInfo of the key made for this one connection */
  readonly publicKey: Uint8Array
  readonly dbUser: string
  readonly sessionId: string
  readonly now: number
}

/** DER. What a database server is shown: good for a minute, for one db user. */
export function databaseX509Certificate(
  signer: X509Signer,
  installation: string,
  { publicKey, dbUser, sessionId, now }: DatabaseX509Input,
): Buffer {
  return clientCertificate(signer, {
    publicKey,
    commonName: dbUser,
    names: [`sallyport://${installation}/session/${sessionId}`],
    notBefore: now - SKEW_MS,
    notAfter: now + SKEW_MS,
  })
}

interface ClientCertificate {
  readonly publicKey: Uint8Array
  readonly commonName: string
  readonly names: readonly string[]
  readonly notBefore: number
  readonly notAfter: number
}

/** DER */
function clientCertificate(signer: X509Signer, { publicKey, ...order }: ClientCertificate): Buffer {
  const toSign = certificateToSign({
    ...order,
    ...issuerOf(signer),
    serial: Buffer.from(serialNumber(), 'hex'),
    publicKey: p256Key(publicKey).export({ type: 'spki', format: 'der' }),
  })
  return signedCertificate(toSign, sign('sha256', toSign, signer.privateKey))
}

interface Issuer {
  readonly issuer: Buffer
  readonly issuerKeyId: Buffer
}

/** By the authority's key, which has one certificate */
const issuers = new WeakMap<KeyObject, Issuer>()

function issuerOf({ privateKey, certificatePem }: X509Signer): Issuer {
  const known = issuers.get(privateKey)
  if (known) return known
  const certificate = new X509Certificate(certificatePem)
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' })
  const issuer = {
    issuer: subjectOf(certificate.raw),
    issuerKeyId: hash('sha1', spki.subarray(-POINT_BYTES), 'buffer'),
  }
  issuers.set(privateKey, issuer)
  return issuer
}

/** Errors: Refused('malformed') for anything but a P-256 key. */
export function p256Key(spki: Uint8Array): KeyObject {
  try {
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    if (key.asymmetricKeyDetails?.namedCurve === 'prime256v1') return key
  } catch {
    // Said below: what cannot be read is no P-256 key either.
  }
  throw new Refused('malformed', 'the key is not a P-256 public key (SubjectPublicKeyInfo)')
}
