import type { Confirmation } from '../../audit/confirmation.ts'
import type { PageVisitsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Caller } from '../caller.ts'
import { ballotOf, readReason, readShorter } from '../from-chat/review-in-chat.ts'
import { readShown } from '../from-chat/shown-terms.ts'
import { FieldRefused } from '../from-chat/to-outcome.ts'
import { findVisit, useVisit } from './page-visits.ts'
import { look, visitAnew, visitor, type Visit, type VisitParts } from './visit-request.ts'

export const PAGE_ACTS = ['approve', 'deny', 'cancel', 'return'] as const
export type PageAct = (typeof PAGE_ACTS)[number]

export interface TypedOnPage {
  readonly act: PageAct | null
  readonly reason: string
  readonly duration: string
}

export type DoneOnPage =
  | { readonly kind: 'done'; readonly act: PageAct; readonly visit: Visit }
  /** Nothing was done; the page is shown as it is now, with what was typed */
  | {
      readonly kind: 'again'
      readonly visit: Visit
      readonly why: string
      readonly field: 'reason' | 'duration' | null
    }

/**
 * What the form of a visited page asks for, about exactly what that rendering showed. What was refused is shown anew.
 * Errors: Refused('not_found') where the visit is over, Refused('malformed').
 */
export async function decideOnPage(
  parts: VisitParts,
  requestId: string,
  token: string,
  typed: TypedOnPage,
): Promise<DoneOnPage> {
  const row = await findVisit(parts.database.reads, token, requestId, parts.clock.now())
  const caller = await callerOf(parts, row)
  const { act } = typed
  try {
    if (act === null) throw new Refused('malformed', 'choose what is to be done')
    await doOnPage(parts, row, caller, act, typed)
    const hasFactor = row.has_factor === 1
    return { kind: 'done', act, visit: await look(parts, caller, requestId, hasFactor) }
  } catch (error) {
    if (!(error instanceof Refused || error instanceof FieldRefused)) throw error
    const visit = await visitAnew(parts, row, caller)
    return { kind: 'again', visit, why: error.message, field: fieldOf(error) }
  }
}

async function doOnPage(
  parts: VisitParts,
  row: PageVisitsTable,
  caller: Caller,
  act: PageAct,
  typed: TypedOnPage,
): Promise<void> {
  const { requests, clock, sealer } = parts
  const confirmation: Confirmation = { checkedAt: clock.now(), spend: (tx, now) => useVisit(tx, sealer, row, now) }
  const id = row.request_id
  if (act === 'cancel') return void (await requests.cancel({ ...caller, confirmation }, id))
  if (act === 'return') return void (await requests.return({ ...caller, confirmation }, id))
  if (row.has_factor !== 1)
    throw new Refused('second_factor_setup_required', 'a vote needs a second factor, and you have none yet')
  const wish = { requestId: id, decision: act, shown: readShown(row.shown_json) }
  const said = { reason: readReason(typed.reason), durationMs: readShorter(wish, typed.duration) }
  const voter: Caller = { ...caller, secondFactor: true }
  await requests.review(voter, id, ballotOf(wish, said), () => Promise.resolve(confirmation))
}

async function callerOf({ database }: VisitParts, { user_id }: PageVisitsTable): Promise<Caller> {
  const user = await database.reads
    .selectFrom('users')
    .select('name')
    .where('id', '=', user_id)
    .where('deleted_at', 'is', null)
    .where('disabled', '=', 0)
    .executeTakeFirst()
  if (!user) throw new Refused('not_found', 'this page is of no use any more', 'open it again and sign in')
  return visitor(user_id, user.name)
}

function fieldOf(error: Refused | FieldRefused): 'reason' | 'duration' | null {
  if (error instanceof FieldRefused) return error.field === 'duration' || error.field === 'reason' ? error.field : null
  if (error.code === 'widens_request') return 'duration'
  return error.code === 'over_limit' ? 'reason' : null
}
