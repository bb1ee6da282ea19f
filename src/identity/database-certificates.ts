import type { NewEvent, Tx } from '../audit/deed.ts'
import { spkiFingerprint } from '../formats/x509/read-user-certificate.ts'
import { Bug, Refused } from '../foundation/errors.ts'
import type { Authorities } from './authorities.ts'
import type { StoreParts } from './doer.ts'
import { p256Key } from './x509-certificates.ts'

export interface CertificateOrder {
  readonly userId: string
  readonly userName: string
  readonly loginId: string
  readonly database: { readonly id: string; readonly name: string }
  /** Base64 of a P-256 key's SubjectPublicKeyInfo */
  readonly publicKey: string
}

export interface IssuedCertificate {
  readonly certificate: string
  /** The login session's end */
  readonly expiresAt: number
}

interface Parts extends StoreParts {
  readonly authorities: Pick<Authorities, 'userX509Certificate'>
}

/**
 * A certificate for the client of one database. All of a login session's are for one key: with another key those of before
 * are worth nothing any more. Errors: Refused('malformed' | 'login_ended').
 */
export async function issueDatabaseCertificate(parts: Parts, order: CertificateOrder): Promise<IssuedCertificate> {
  const { userId, userName, loginId, database } = order
  // As Node writes it: the same key has one form, and one fingerprint.
  const publicKey = p256Key(Buffer.from(order.publicKey, 'base64')).export({ type: 'spki', format: 'der' })
  const until = await endOf(parts, loginId)
  const names = { userId, userName, loginId, database: database.name }
  const certificate = parts.authorities.userX509Certificate({
    ...names,
    publicKey,
    now: parts.clock.now(),
    until,
  })
  const fingerprint = spkiFingerprint(publicKey)
  await parts.deeds.commitDeed(async (tx, now) => {
    const isNew = await takeKey(tx, loginId, fingerprint, now)
    const event: NewEvent = {
      type: 'cert.create',
      actor: { kind: 'user', id: userId, name: userName },
      login: loginId,
      outcome: 'success',
      resource: { kind: 'database', ...database },
      details: { kind: 'user-x509', key: fingerprint, expiresAt: until },
      ...(isNew ? { rows: [{ table: 'login_sessions', id: loginId }] } : {}),
    }
    return { result: null, events: [event] }
  })
  return { certificate, expiresAt: until }
}

async function endOf({ database }: Parts, loginId: string): Promise<number> {
  const row = await database.reads
    .selectFrom('login_sessions')
    .select('expires_at')
    .where('id', '=', loginId)
    .executeTakeFirst()
  if (!row) throw new Bug(`there is no login session ${loginId}`)
  return row.expires_at
}

/** True: it is another one than before. */
async function takeKey(tx: Tx, loginId: string, fingerprint: string, now: number): Promise<boolean> {
  const login = await tx
    .selectFrom('login_sessions')
    .select(['x509_fingerprint', 'ended_at', 'expires_at'])
    .where('id', '=', loginId)
    .executeTakeFirst()
  if (!login || login.ended_at !== null || login.expires_at <= now)
    throw new Refused('login_ended', 'this sign-in has ended', 'run: sally login')
  if (login.x509_fingerprint === fingerprint) return false
  await tx.updateTable('login_sessions').set({ x509_fingerprint: fingerprint }).where('id', '=', loginId).execute()
  return true
}
