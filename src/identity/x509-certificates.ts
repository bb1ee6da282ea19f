import { createPublicKey, type KeyObject } from 'node:crypto'
import { Refused } from '../foundation/errors.ts'
import { loadX509 } from './load-x509.ts'
import { ALGORITHM, pem, serialNumber, webKeys, webPublicKey } from './tls-certificates.ts'

// Certificates of clients: people's for the proxy, and the proxy's for database servers.

const SKEW_MS = 60_000

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
export async function userX509Certificate(
  signer: X509Signer,
  installation: string,
  input: UserX509Input,
): Promise<string> {
  const { userId, userName, loginId, database, now, until } = input
  const names = [`user/${userId}`, `login/${loginId}`, `database/${database}`]
  const certificate = await clientCertificate(signer, {
    publicKey: input.publicKey,
    commonName: userName,
    names: names.map((name) => `sallyport://${installation}/${name}`),
    notBefore: now - SKEW_MS,
    notAfter: until,
  })
  return pem(certificate.toString('pem'))
}

export interface DatabaseX509Input {
  /** DER SubjectPublicKeyInfo of the key made for this one connection */
  readonly publicKey: Uint8Array
  readonly dbUser: string
  readonly sessionId: string
  readonly now: number
}

/** DER. What a database server is shown: good for a minute, for one db user. */
export async function databaseX509Certificate(
  signer: X509Signer,
  installation: string,
  { publicKey, dbUser, sessionId, now }: DatabaseX509Input,
): Promise<Buffer> {
  const certificate = await clientCertificate(signer, {
    publicKey,
    commonName: dbUser,
    names: [`sallyport://${installation}/session/${sessionId}`],
    notBefore: now - SKEW_MS,
    notAfter: now + SKEW_MS,
  })
  return Buffer.from(certificate.rawData)
}

interface ClientCertificate {
  readonly publicKey: Uint8Array
  readonly commonName: string
  readonly names: readonly string[]
  readonly notBefore: number
  readonly notAfter: number
}

async function clientCertificate({ privateKey, certificatePem }: X509Signer, order: ClientCertificate) {
  const subject = p256Key(order.publicKey)
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(certificatePem)
  const alternatives = order.names.map((value) => ({ type: 'url' as const, value }))
  return await x509.X509CertificateGenerator.create({
    subject: [{ CN: [order.commonName] }],
    issuer: issuer.subjectName,
    serialNumber: serialNumber(),
    notBefore: new Date(order.notBefore),
    notAfter: new Date(order.notAfter),
    publicKey: await webPublicKey(subject),
    signingKey: (await webKeys(privateKey)).privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      new x509.SubjectAlternativeNameExtension(alternatives),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
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
