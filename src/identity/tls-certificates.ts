import { createPublicKey, generateKeyPairSync, randomBytes, webcrypto } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { loadX509 } from './load-x509.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
const AUTHORITY_DAYS = 3650
const LEAF_DAYS = 30
/** Clocks of clients may be behind. */
const BACKDATE_MS = 3_600_000

export interface TlsLeaf {
  readonly keyPem: string
  /** Leaf, then its authority */
  readonly certificatePem: string
  /** When to make the next one: ten days before its end */
  readonly renewAt: number
}

/** Certificate of an X.509 authority over its own key: P-256, path length 0, signs certificates and nothing else. */
export async function tlsAuthorityCertificate(privateKey: KeyObject, name: string, now: number): Promise<string> {
  const x509 = await loadX509()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [printable(name)] }],
    serialNumber: serialNumber(),
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
    keys: await webKeys(privateKey),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(await webPublicKey(privateKey)),
    ],
  })
  return pem(certificate.toString('pem'))
}

/** A leaf for the proxy's names and IP addresses, with a key of its own that is never stored. */
export async function tlsLeaf(
  authority: { readonly privateKey: KeyObject; readonly certificatePem: string },
  names: readonly string[],
  now: number,
): Promise<TlsLeaf> {
  const x509 = await loadX509()
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const alternatives = names.map((name) => ({
    type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const),
    value: name,
  }))
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [printable(names[0] ?? 'sallyport')] }],
    issuer: issuer.subjectName,
    serialNumber: serialNumber(),
    notBefore: new Date(now - BACKDATE_MS),
    notAfter: new Date(now + LEAF_DAYS * DAY_MS),
    publicKey: await webPublicKey(privateKey),
    signingKey: (await webKeys(authority.privateKey)).privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(alternatives),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return {
    keyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    certificatePem: pem(certificate.toString('pem')) + authority.certificatePem,
    renewAt: now + (LEAF_DAYS - 10) * DAY_MS,
  }
}

function printable(name: string): string {
  return name.replace(/[^A-Za-z0-9 .:-]/g, '-').slice(0, 64)
}

/** 127 random bits, positive. */
export function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes.toString('hex')
}

export function pem(text: string): string {
  return `${text.trim()}\n`
}

/** Of a private key's public half, or of a public key. */
async function webPublicKey(key: KeyObject): Promise<webcrypto.CryptoKey> {
  const spki = (key.type === 'public' ? key : createPublicKey(key)).export({ type: 'spki', format: 'der' })
  return await webcrypto.subtle.importKey('spki', spki, ALGORITHM, true, ['verify'])
}

async function webKeys(privateKey: KeyObject): Promise<webcrypto.CryptoKeyPair> {
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, ALGORITHM, true, ['sign']),
    publicKey: await webPublicKey(privateKey),
  }
}
