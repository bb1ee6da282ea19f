import { createHash } from 'node:crypto'

const md5 = (...parts: readonly (string | Uint8Array)[]): string =>
  parts.reduce((hash, part) => hash.update(part), createHash('md5')).digest('hex')

/** The answer to AuthenticationMD5Password: `md5` and md5(md5(password, user) as hex, salt) as hex. The server stores the inner one. */
export const md5Answer = (user: string, password: string, salt: Uint8Array): string =>
  `md5${md5(md5(password, user), salt)}`
