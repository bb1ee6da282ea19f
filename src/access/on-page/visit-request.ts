import type { NewEvent } from '../../audit/deed.ts'
import type { AccessRequest } from '../../contract/request.ts'
import type { PageVisitsTable } from '../../foundation/database/tables.ts'
import { withProvenPerson } from '../../identity/prove-person.ts'
import type { Passwords } from '../../identity/passwords.ts'
import type { Caller } from '../caller.ts'
import type { ConfirmParts } from '../from-chat/confirm-review.ts'
import type { Shown } from '../from-chat/shown-terms.ts'
import { loadWhole } from '../request-case.ts'
import { gainsInWords } from '../show/preview/gains-in-words.ts'
import { stillNeeded } from '../show/preview/still-needed.ts'
import { storeVisit, useVisit, type VisitOf } from './page-visits.ts'

export interface VisitParts extends ConfirmParts {
  readonly passwords: Passwords
}

/** A request as somebody who signed in on its page is shown it. */
export interface Visit {
  readonly user: string
  readonly request: AccessRequest
  /** What an approval would give, in words; empty once it is decided */
  readonly gives: readonly string[]
  /** What a decision still takes, in words; empty once it is decided */
  readonly needed: readonly string[]
  /** What its person may do on the page now */
  readonly can: readonly PageDeed[]
  /** Belongs to the form; null: there is nothing to be done on the page */
  readonly token: string | null
  /** Without a second factor nobody reviews */
  readonly hasFactor: boolean
}

export type PageDeed = 'review' | 'cancel' | 'return'

export const visitor = (id: string, name: string): Caller => ({
  actor: { kind: 'user', id, name },
  ...{ userId: id, loginId: null, local: false, via: 'page' },
})

/** Signs in, for this request and one deed on it. Errors: as of signing in, and Refused('not_found'). */
export async function visitRequest(
  parts: VisitParts,
  requestId: string,
  input: { readonly user: string; readonly password: string; readonly code: string; readonly address: string },
): Promise<Visit> {
  return await withProvenPerson(parts, input, async ({ id: userId, name, hasFactor, confirmation }) => {
    const seen = await look(parts, visitor(userId, name), requestId, hasFactor)
    const event: NewEvent = {
      type: hasFactor ? 'mfa.step_up' : 'user.login',
      actor: { kind: 'user', id: userId, name },
      outcome: 'success',
      request: seen.request.id,
      details: { page: 'request', address: input.address },
    }
    const token = await parts.deeds.commitDeed(async (tx, now) => {
      await confirmation.spend(tx, now)
      const visit = { ...{ userId, requestId, hasFactor, provenAt: now }, shown: shownOf(seen.request) }
      return { result: seen.can.length === 0 ? null : await storeVisit(tx, parts.sealer, visit, now), events: [event] }
    })
    return { ...seen, token }
  })
}

/** Shows it anew to who signed in a moment ago: what was shown before is good for nothing any more. Errors: Refused('not_found'). */
export async function visitAnew(parts: VisitParts, row: PageVisitsTable, caller: Caller): Promise<Visit> {
  const hasFactor = row.has_factor === 1
  const seen = await look(parts, caller, row.request_id, hasFactor)
  const visit: VisitOf = {
    ...{ userId: row.user_id, requestId: row.request_id, hasFactor, provenAt: row.proven_at },
    shown: shownOf(seen.request),
  }
  const token = await parts.database.transact(async (tx) => {
    const now = await parts.database.storeNow(tx, parts.clock)
    await useVisit(tx, parts.sealer, row, now)
    return seen.can.length === 0 ? null : await storeVisit(tx, parts.sealer, visit, now)
  })
  return { ...seen, token }
}

export async function look(
  { requests, database, clock }: Pick<VisitParts, 'requests' | 'database' | 'clock'>,
  caller: Caller,
  requestId: string,
  hasFactor: boolean,
): Promise<Visit> {
  const request = await requests.show(caller, requestId)
  const isOpen = request.state === 'pending' && request.kind !== 'break_glass'
  const gives = isOpen ? gainsInWords((await requests.preview(caller, requestId)).change) : []
  const needed = isOpen ? await neededFor({ database, clock }, requestId) : []
  const deeds = (['review', 'cancel', 'return'] as const).filter((deed) => request.can.includes(deed))
  const can = deeds.filter((deed) => hasFactor || deed !== 'review')
  return { user: caller.actor.name, request, gives, needed, can, token: null, hasFactor }
}

/** What a decision still takes, in words; empty once it is decided. */
export async function neededFor(
  { database, clock }: Pick<VisitParts, 'database' | 'clock'>,
  requestId: string,
): Promise<string[]> {
  const now = clock.now()
  const loaded = await loadWhole(database.reads, requestId, now)
  return loaded ? stillNeeded(loaded, now) : []
}

function shownOf({ requestDigest, factsDigest, grantedDuration, grantedStart }: AccessRequest): Shown {
  return { requestDigest, factsDigest, terms: { durationMs: grantedDuration, startAt: grantedStart } }
}
