import type { Tx } from '../../audit/deed.ts'
import type { PageVisitsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import { SealError, type Sealer } from '../../identity/sealing.ts'
import { hasConfirmedFactor } from '../../identity/totp.ts'
import type { Reader } from '../directory.ts'
import { hashOf, randomText } from '../from-chat/secret-text.ts'
import { shownJson, type Shown } from '../from-chat/shown-terms.ts'

/** As long as a second factor is fresh elsewhere */
export const VISIT_MS = 5 * 60_000
/** Pages that somebody may have open */
const MOST_VISITS = 20

export interface VisitOf {
  readonly userId: string
  readonly requestId: string
  readonly shown: Shown
  readonly hasFactor: boolean
  readonly provenAt: number
}

/** In the transaction that uses up the sign-in. Returns the token, which the page alone holds. Errors: Refused('too_many_attempts'). */
export async function storeVisit(tx: Tx, sealer: Sealer, visit: VisitOf, now: number): Promise<string> {
  const { userId, requestId, shown, hasFactor, provenAt } = visit
  const token = randomText()
  await tx.deleteFrom('page_visits').where('expires_at', '<=', now).execute()
  const open = await tx
    .selectFrom('page_visits')
    .select('token_hash')
    .where('user_id', '=', userId)
    .where('used_at', 'is', null)
    .execute()
  if (open.length >= MOST_VISITS)
    throw new Refused('too_many_attempts', 'you have many pages open', 'use one of them, or wait five minutes')
  const row = {
    ...{ token_hash: hashOf('visit', token), user_id: userId, request_id: requestId, shown_json: shownJson(shown) },
    ...{ has_factor: hasFactor ? (1 as const) : (0 as const), proven_at: provenAt, expires_at: provenAt + VISIT_MS },
  }
  const proof_sealed = sealer.seal(placeOf(row.token_hash), Buffer.from(await proofOf(tx, row)))
  await tx
    .insertInto('page_visits')
    .values({ ...row, proof_sealed, used_at: null })
    .execute()
  return token
}

/** Errors: Refused('not_found') when it is used, too old, of another request or none. */
export async function findVisit(
  reader: Reader,
  token: string,
  requestId: string,
  now: number,
): Promise<PageVisitsTable> {
  const found = await reader
    .selectFrom('page_visits')
    .selectAll()
    .where('token_hash', '=', hashOf('visit', token))
    .where('request_id', '=', requestId)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (!found) throw visitIsOver()
  return found
}

/** One statement, so that a visit does one deed; and whoever it was must still be who signed in. Errors: Refused('not_found'). */
export async function useVisit(tx: Tx, sealer: Sealer, visit: PageVisitsTable, now: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('page_visits')
    .set({ used_at: now })
    .where('token_hash', '=', visit.token_hash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw visitIsOver()
  if ((await proofOf(tx, visit)) !== proven(sealer, visit)) throw visitIsOver()
  if (visit.has_factor === 1 && !(await hasConfirmedFactor(tx, visit.user_id))) throw visitIsOver()
}

const placeOf = (row: string) => ({ table: 'page_visits', row, column: 'proof_sealed' })

/** Who can write the store makes up no visit: what it rests on is sealed with it. Errors: Refused('not_found'). */
function proven(sealer: Sealer, { token_hash, proof_sealed }: PageVisitsTable): string {
  try {
    return sealer.unseal(placeOf(token_hash), proof_sealed).toString()
  } catch (error) {
    if (error instanceof SealError) throw visitIsOver()
    throw error
  }
}

/** All that the visit is worth, and the password as it is now; nobody's without a user. */
async function proofOf(
  reader: Reader,
  visit: Omit<PageVisitsTable, 'proof_sealed' | 'used_at' | 'token_hash'>,
): Promise<string> {
  const { user_id, request_id, shown_json, has_factor, proven_at, expires_at } = visit
  const user = await reader
    .selectFrom('users')
    .select('password_hash')
    .where('id', '=', user_id)
    .where('deleted_at', 'is', null)
    .where('disabled', '=', 0)
    .executeTakeFirst()
  const password = user ? hashOf('password', `${user_id}\n${user.password_hash ?? ''}`) : null
  return JSON.stringify([user_id, request_id, shown_json, has_factor, proven_at, expires_at, password])
}

const visitIsOver = (): Refused =>
  new Refused('not_found', 'this page was used already or is older than five minutes', 'open it again and sign in')
