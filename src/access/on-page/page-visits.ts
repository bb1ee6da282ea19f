import type { Tx } from '../../audit/deed.ts'
import type { PageVisitsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
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
export async function storeVisit(tx: Tx, visit: VisitOf, now: number): Promise<string> {
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
  await tx
    .insertInto('page_visits')
    .values({
      ...{ token_hash: hashOf('visit', token), user_id: userId, request_id: requestId, shown_json: shownJson(shown) },
      ...{ proof_hash: await proofOf(tx, userId), has_factor: hasFactor ? 1 : 0, proven_at: provenAt },
      ...{ expires_at: provenAt + VISIT_MS, used_at: null },
    })
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
export async function useVisit(tx: Tx, visit: PageVisitsTable, now: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('page_visits')
    .set({ used_at: now })
    .where('token_hash', '=', visit.token_hash)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst()
  if (numUpdatedRows !== 1n) throw visitIsOver()
  if ((await proofOf(tx, visit.user_id)) !== visit.proof_hash) throw visitIsOver()
  if (visit.has_factor === 1 && !(await hasConfirmedFactor(tx, visit.user_id))) throw visitIsOver()
}

/** Changes with the password; nobody's without a user. */
async function proofOf(reader: Reader, userId: string): Promise<string> {
  const user = await reader
    .selectFrom('users')
    .select('password_hash')
    .where('id', '=', userId)
    .where('deleted_at', 'is', null)
    .where('disabled', '=', 0)
    .executeTakeFirst()
  return user ? hashOf('password', `${userId}\n${user.password_hash ?? ''}`) : ''
}

const visitIsOver = (): Refused =>
  new Refused('not_found', 'this page was used already or is older than five minutes', 'open it again and sign in')
