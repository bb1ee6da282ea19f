import { checkUserCertificate, type UserCertificateTrust } from '../formats/x509/check-user-certificate.ts'
import type { DatabaseSignIn } from './control-plane.ts'

/**
 * What is wrong with what a worker says of a database client, as a code; null when the certificate bears it out. It cannot
 * show that the client held the key: a TLS handshake leaves no proof that could be passed on. So a worker gone wrong can use
 * any certificate that it was shown, until its login session ends, and make up none.
 */
export function databaseSignInTrouble(input: DatabaseSignIn, trust: UserCertificateTrust): string | null {
  const verdict = checkUserCertificate(input.certificate, trust)
  if (verdict.kind === 'refused') return verdict.code
  const { userId, loginSessionId, keyFingerprint } = verdict.user
  const isSame =
    userId === input.userId && loginSessionId === input.loginSessionId && keyFingerprint === input.keyFingerprint
  return isSame ? null : 'wrong_user'
}
