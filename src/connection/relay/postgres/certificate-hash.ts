import { hash } from 'node:crypto'
import { element, TAG } from '../../../formats/x509/der.ts'

// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OBJECT IDENTIFIER, ... }, ... } (RFC 5280)

/** Signature algorithm: hash that `tls-server-end-point` takes (RFC 5929 section 4.1: MD5 and SHA-1 count as SHA-256) */
const HASHES: Readonly<Record<string, 'sha256' | 'sha384' | 'sha512'>> = {
  '2a864886f70d010104': 'sha256', // md5WithRSA
  '2a864886f70d010105': 'sha256', // sha1WithRSA
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
  '2a8648ce3d0401': 'sha256', // ecdsa-with-SHA1
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
}

/** What SCRAM is bound to for a server with this certificate (DER). Null: no hash is defined for how it is signed. */
export function certificateHash(der: Buffer): Buffer | null {
  const outer = element(der, 0)
  const body = outer?.tag === TAG.sequence ? element(der, outer.at) : null
  const algorithm = body ? element(der, body.end) : null
  const identifier = algorithm?.tag === TAG.sequence ? element(der, algorithm.at) : null
  if (identifier?.tag !== TAG.oid) return null
  const name = HASHES[der.toString('hex', identifier.at, identifier.end)]
  return name === undefined ? null : hash(name, der, 'buffer')
}
