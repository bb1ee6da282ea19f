import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto'
import { promisify } from 'node:util'

const BYTES = 32
const SALT_BYTES = 16
/** PostgreSQL's own default; the password is 32 random bytes, which no number of rounds makes stronger */
const ROUNDS = 4096

const stretch = promisify(pbkdf2)

/** For a user of a database that lives as long as its sessions. ASCII. */
export const oneTimePassword = (): string => randomBytes(BYTES).toString('base64url')

/** What PostgreSQL stores of a password, so that it is told no more than that: `SCRAM-SHA-256$...` (RFC 5803). */
export async function scramVerifier(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES)
  const salted = await stretch(password, salt, ROUNDS, 32, 'sha256')
  const hmac = (text: string): Buffer => createHmac('sha256', salted).update(text).digest()
  const stored = createHash('sha256').update(hmac('Client Key')).digest('base64')
  return `SCRAM-SHA-256$${ROUNDS}:${salt.toString('base64')}$${stored}:${hmac('Server Key').toString('base64')}`
}

/** What MariaDB stores of a password for mysql_native_password: `*` and the digits of SHA-1 of SHA-1 of it. */
export function nativePasswordHash(password: string): string {
  const sha1 = (data: string | Buffer): Buffer => createHash('sha1').update(data).digest()
  return `*${sha1(sha1(password)).toString('hex').toUpperCase()}`
}
