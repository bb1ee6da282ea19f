import { createHash, X509Certificate } from 'node:crypto'

/** `sha256:` and the hex SHA-256 of the certificate's SubjectPublicKeyInfo: what `--ca-pin` takes. The first one of a PEM bundle. */
export function authorityPin(certificatePem: string): string {
  const spki = new X509Certificate(certificatePem).publicKey.export({ type: 'spki', format: 'der' })
  return `sha256:${createHash('sha256').update(spki).digest('hex')}`
}
