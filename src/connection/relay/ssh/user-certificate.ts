import { publicKeyAlgorithm } from '../../../formats/openssh/algorithms.ts'
import { parseCertificate } from '../../../formats/openssh/certificate.ts'
import {
  AuthorityKeys,
  checkCertificate,
  LOGIN_SESSION_OPTION,
  type CertificateVerdict,
} from '../../../formats/openssh/check-certificate.ts'
import { ownBytes } from '../../../formats/own-bytes.ts'
import { fingerprint } from '../../../formats/openssh/public-key.ts'
import { verifySignature } from '../../../formats/openssh/signature.ts'
import { isId } from '../../../foundation/ids.ts'

const PRINCIPAL_PREFIX = 'sallyport-user-'

/** What one of our user certificates says. Good only together with a signature by its key. */
export interface CertifiedUser {
  readonly userId: string
  readonly loginSessionId: string
  /** Of the plain key */
  readonly keyFingerprint: string
  readonly serial: string
  /** Copy of the certificate, to be judged again later */
  readonly blob: Buffer
}

export type UserCertificateVerdict =
  | { readonly kind: 'valid'; readonly user: CertifiedUser }
  /** One of ours in everything but the time. */
  | { readonly kind: 'expired'; readonly user: CertifiedUser }
  | { readonly kind: 'unknown'; readonly code: string }

export interface Judging {
  readonly authorities: readonly Uint8Array[]
  readonly now: number
  readonly address: string
}

/** `algorithm` as the client named it: it must be the one for certificates of exactly this key type. */
export function judgeUserCertificate(algorithm: string, blob: Uint8Array, judging: Judging): UserCertificateVerdict {
  const named = publicKeyAlgorithm(algorithm)
  if (!named?.isCertificate) return { kind: 'unknown', code: 'not_a_certificate' }
  const verdict = check(blob, judging)
  if (verdict.ok) return userOf(verdict, named.keyType, 'valid')
  if (verdict.code !== 'expired') return { kind: 'unknown', code: verdict.code }
  const lastMoment = Number(parseCertificate(blob).validBefore) * 1000 - 1
  const then = check(blob, { ...judging, now: lastMoment })
  return then.ok ? userOf(then, named.keyType, 'expired') : { kind: 'unknown', code: then.code }
}

/** Whether the certificate's key signed `data`. */
export function isSignedByHolder(
  algorithm: string,
  blob: Uint8Array,
  data: Uint8Array,
  signature: Uint8Array,
): boolean {
  const named = publicKeyAlgorithm(algorithm)
  if (!named?.isCertificate) return false
  return verifySignature(parseCertificate(blob).publicKey, named.signature, data, signature)
}

function check(blob: Uint8Array, { authorities, now, address }: Judging): CertificateVerdict {
  return checkCertificate(blob, {
    authorities: new AuthorityKeys(authorities),
    kind: 'user',
    principal: { prefix: PRINCIPAL_PREFIX },
    now,
    address,
    enforces: [LOGIN_SESSION_OPTION],
    // Ended logins are authorize()'s to refuse, with a sentence.
    isRevoked: () => false,
  })
}

function userOf(
  verdict: Extract<CertificateVerdict, { ok: true }>,
  keyType: string,
  kind: 'valid' | 'expired',
): UserCertificateVerdict {
  const { certificate, principal, loginSession } = verdict
  const userId = principal.slice(PRINCIPAL_PREFIX.length)
  if (certificate.publicKey.type !== keyType) return { kind: 'unknown', code: 'wrong_algorithm' }
  if (!isId('user', userId)) return { kind: 'unknown', code: 'wrong_principal' }
  if (loginSession === null || !isId('login', loginSession)) return { kind: 'unknown', code: 'no_login_session' }
  const user = {
    userId,
    loginSessionId: loginSession,
    keyFingerprint: fingerprint(certificate.publicKey.blob),
    serial: certificate.serial.toString(),
    blob: ownBytes(certificate.blob),
  }
  return { kind, user }
}
