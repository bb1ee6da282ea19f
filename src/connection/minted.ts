import { Bug } from '../foundation/errors.ts'
import type { Minted } from './control-plane.ts'

/** Of an answer to an order of a certificate. */
export function mintedCertificate(minted: Minted): Uint8Array {
  if (minted.kind === 'certificate') return minted.certificate
  throw new Bug('a certificate was ordered, and a password came')
}

/** Of an answer to an order of a password. */
export function mintedPassword(minted: Minted): string {
  if (minted.kind === 'password') return minted.password
  throw new Bug('a password was ordered, and a certificate came')
}
