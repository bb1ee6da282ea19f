import type { Deed, Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { clockEnd } from '../../grants/grant-clock.ts'
import type { RequestCase } from '../request-case.ts'
import { expireRequest, type Lateness } from './expire-request.ts'
import { expireExtension, GRANT_GONE, grantGone, isGone } from './grant-gone.ts'

/**
 * `late`: the request's time was over; that is stored, and the vote is refused afterwards. `after`: the request as the deed left
 * it; null: it has to be read.
 */
export type VoteOutcome =
  | { readonly kind: 'counted'; readonly after: RequestCase | null }
  | { readonly kind: 'late'; readonly because: Lateness['code'] }

/** Undecided in time, or nothing is left to extend. */
export function isLate(loaded: RequestCase, now: number): boolean {
  const { request } = loaded
  return now >= request.pending_until || (request.kind === 'extension' && isGone(loaded, now))
}

/** Stores the end of a request that came to it undecided. */
export async function lateDeed(tx: Tx, loaded: RequestCase, now: number): Promise<Deed<VoteOutcome>> {
  const { request, requesterName } = loaded
  const gone = request.kind === 'extension' && isGone(loaded, now)
  const { event, message } = gone
    ? await expireExtension(tx, request, requesterName, overSince(loaded.extended, now))
    : await expireRequest(tx, request, requesterName)
  const because = gone ? 'grant_ended' : 'request_expired'
  return { result: { kind: 'late', because }, events: [event], outbox: [message] }
}

/** What the clock ended was over at its end, however late we came to say so. */
const overSince = (grant: RequestCase['extended'], now: number): number =>
  grant ? Math.min(now, grant.ended_at ?? clockEnd(grant).at) : now

export const lateness = (code: Lateness['code']): Refused => (code === 'grant_ended' ? grantGone() : requestExpired())

export const latenessOf = ({ resolution }: Pick<RequestCase['request'], 'resolution'>): Refused =>
  lateness(resolution === GRANT_GONE ? 'grant_ended' : 'request_expired')

export function requestExpired(): Refused {
  return new Refused('request_expired', 'the request was not decided in time', 'the requester can ask again')
}
