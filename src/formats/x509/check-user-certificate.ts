import { readUserCertificate } from './read-user-certificate.ts'

// A certificate by which a person's database client signs in. The user-X.509 authority signs nothing else.
//   subject  CN = name of the user (for people)
//   SAN      URI:sallyport://<installation>/user/<id>, .../login/<id>, .../database/<name>, once each and nothing besides
//   usage    clientAuth alone, no authority
// It says who somebody is; `database` is a route for clients that cannot name one, never a right.

export interface CertifiedUser {
  readonly userId: string
  readonly loginSessionId: string
  /** Name of the resource for which the certificate was made */
  readonly database: string
  /** `SHA256:...` of the key's SubjectPublicKeyInfo */
  readonly keyFingerprint: string
  /** ms: it is good until then */
  readonly until: number
}

export type UserCertificateVerdict =
  | { readonly kind: 'valid'; readonly user: CertifiedUser }
  | {
      readonly kind: 'refused'
      readonly code: 'malformed' | 'unknown_authority' | 'not_yet_valid' | 'expired' | 'wrong_usage' | 'wrong_names'
    }

export interface UserCertificateTrust {
  /** PEM of the user-X.509 authorities that are trusted now */
  readonly authorities: readonly string[]
  /** Id of the installation */
  readonly installation: string
  readonly now: number
}

/** Judges the DER of a client certificate. That the client holds its key is for the TLS handshake to say. */
export function checkUserCertificate(der: Uint8Array, trust: UserCertificateTrust): UserCertificateVerdict {
  const certificate = readUserCertificate(der)
  if (!certificate) return refused('malformed')
  if (!trust.authorities.some((pem) => certificate.isSignedBy(pem))) return refused('unknown_authority')
  const { from, until, keyFingerprint } = certificate
  // A date that cannot be read is NaN, which no comparison holds for.
  if (!(from <= trust.now)) return refused('not_yet_valid')
  if (!(trust.now < until)) return refused('expired')
  if (!certificate.isForClients) return refused('wrong_usage')
  const names = namesIn(certificate.names, trust.installation)
  if (!names) return refused('wrong_names')
  return { kind: 'valid', user: { ...names, keyFingerprint, until } }
}

const refused = (code: Extract<UserCertificateVerdict, { kind: 'refused' }>['code']): UserCertificateVerdict => ({
  kind: 'refused',
  code,
})

const NAME = /^URI:sallyport:\/\/([A-Za-z0-9_-]{1,64})\/(user|login|database)\/([a-z0-9][a-z0-9._-]{0,62})$/

function namesIn(text: string, installation: string): Omit<CertifiedUser, 'keyFingerprint' | 'until'> | null {
  const found = new Map<string, string>()
  for (const part of text.split(', ')) {
    const [, where, kind, name] = NAME.exec(part) ?? []
    if (where !== installation || kind === undefined || name === undefined || found.has(kind)) return null
    found.set(kind, name)
  }
  const [userId, loginSessionId, database] = ['user', 'login', 'database'].map((kind) => found.get(kind))
  if (userId === undefined || loginSessionId === undefined || database === undefined) return null
  return { userId, loginSessionId, database }
}
