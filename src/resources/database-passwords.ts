import type { Kysely } from 'kysely'
import type { Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'

/** As much of identity/sealing.ts as this needs. */
export interface PasswordSealer {
  seal(place: SealedIn, value: Uint8Array): string
  unseal(place: SealedIn, sealed: string): Buffer
}
interface SealedIn {
  readonly table: string
  readonly row: string
  readonly column: string
}

export type Passwords = Readonly<Record<string, string>>

const placeOf = (databaseId: string): SealedIn => ({
  ...{ table: 'databases', row: databaseId, column: 'passwords_sealed' },
})

export function sealPasswords(sealer: PasswordSealer, databaseId: string, passwords: Passwords): string {
  return sealer.seal(placeOf(databaseId), Buffer.from(JSON.stringify(passwords)))
}

export function unsealPasswords(sealer: PasswordSealer, databaseId: string, sealed: string | null): Passwords {
  if (sealed === null) return {}
  return JSON.parse(sealer.unseal(placeOf(databaseId), sealed).toString()) as Passwords
}

/** For one sign-in at the server. Errors: Refused('upstream_refused') when none is stored. */
export async function databasePassword(
  { sealer, reads }: { readonly sealer: PasswordSealer; readonly reads: Kysely<Tables> },
  databaseId: string,
  dbUser: string,
): Promise<string> {
  const row = await reads
    .selectFrom('databases')
    .select('passwords_sealed')
    .where('id', '=', databaseId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst()
  const passwords = unsealPasswords(sealer, databaseId, row?.passwords_sealed ?? null)
  const password = Object.hasOwn(passwords, dbUser) ? passwords[dbUser] : undefined
  if (password === undefined) throw new Refused('upstream_refused', `no password of ${dbUser} is stored`)
  return password
}
