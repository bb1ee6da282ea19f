import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { maySee, requestNotFound, type Caller } from '../caller.ts'
import { isLate, lateDeed, latenessOf, type VoteOutcome } from './lateness.ts'
import { requestDecided } from '../messages.ts'
import { loadCase, type RequestCase } from '../request-case.ts'
import { closeRequest } from './expire-request.ts'

/** The requester takes a pending request back. Errors: Refused('not_found' | 'not_allowed' | 'already_resolved' | 'request_expired'). */
export async function cancelDeed(tx: Tx, now: number, caller: Caller, id: string): Promise<Deed<VoteOutcome>> {
  const loaded = await loadCase(tx, id, now)
  if (!loaded || !maySee(caller, loaded, now)) throw requestNotFound()
  const { request, requesterName } = loaded
  if (caller.userId !== request.user_id)
    throw new Refused('not_allowed', 'only the requester cancels a request', 'reviewers deny it instead')
  if (request.state === 'expired') throw latenessOf(request)
  if (request.state !== 'pending') throw new Refused('already_resolved', `the request is ${request.state} already`)
  if (isLate(loaded, now)) return lateDeed(tx, loaded, now)
  return {
    result: { kind: 'counted', after: null },
    evenIfAltered: true,
    ...(await cancelled(tx, loaded, now, caller, `cancelled by ${requesterName}`)),
  }
}

/** Closes a pending request without a decision. */
export async function cancelled(
  tx: Tx,
  { request, requesterName }: Pick<RequestCase, 'request' | 'requesterName'>,
  now: number,
  { actor, loginId: login, via }: Pick<Caller, 'actor' | 'loginId' | 'via'>,
  resolution: string,
): Promise<Pick<Deed<unknown>, 'outbox'> & { readonly events: [NewEvent] }> {
  await closeRequest(tx, request, 'cancelled', now, resolution)
  const event: NewEvent = {
    type: 'access_request.cancel',
    actor,
    outcome: 'success',
    login,
    request: request.id,
    details: { resolution, ...(via === undefined ? {} : { via }) },
    rows: [{ table: 'access_requests', id: request.id }],
  }
  return { events: [event], outbox: [requestDecided({ request, requesterName }, 'cancelled', resolution, null)] }
}
