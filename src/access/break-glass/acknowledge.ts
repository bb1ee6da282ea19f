import type { Deed, NewEvent, Tx } from '../../audit/deed.ts'
import { Refused } from '../../foundation/errors.ts'
import { newId } from '../../foundation/ids.ts'
import { refuseBadReason, refuseBadStanding } from '../ask/plan-ask.ts'
import { mayAcknowledge, maySee, memberOf, requestNotFound, type Caller } from '../caller.ts'
import type { Member } from '../directory.ts'
import { touchRequest } from '../end/expire-request.ts'
import { LIMITS } from '../limits.ts'
import { accessAcknowledged } from '../messages.ts'
import { NothingToDo } from '../nothing-to-do.ts'
import { loadCase, type RequestCase } from '../request-case.ts'

/** Somebody else has looked at what was taken in an emergency. Once per person. */
export async function acknowledgeDeed(
  tx: Tx,
  now: number,
  caller: Caller,
  id: string,
  comment: string,
): Promise<Deed<string>> {
  const loaded = await loadCase(tx, id, now)
  const member = checkAcknowledgement(loaded, caller, comment, now)
  if (!loaded) throw requestNotFound()
  const { request, acknowledgements, requesterName } = loaded
  if (acknowledgements.some((each) => each.user_id === member.id)) throw new NothingToDo<string>(id)
  const row = { id: newId('acknowledgement', now), event_id: '', request_id: id, user_id: member.id, comment }
  await tx
    .insertInto('acknowledgements')
    .values({ ...row, created_at: now })
    .execute()
  const missing = Math.max(0, LIMITS.acknowledgements - acknowledgements.length - 1)
  if (missing === 0 && request.settled_at === null)
    await tx.updateTable('access_requests').set({ settled_at: now }).where('id', '=', id).execute()
  await touchRequest(tx, request)
  const event: NewEvent = {
    type: 'access_request.acknowledge',
    actor: caller.actor,
    outcome: 'success',
    login: caller.loginId,
    request: id,
    details: { comment, missing },
    rows: [
      { table: 'acknowledgements', id: row.id },
      { table: 'access_requests', id },
    ],
  }
  return {
    result: id,
    events: [event],
    outbox: [accessAcknowledged({ request, requesterName }, member.name, comment, missing)],
  }
}

/** Errors: Refused('not_found' | 'malformed' | 'own_request' | 'not_allowed' | 'user_disabled' | 'locked' | 'over_limit'). */
export function checkAcknowledgement(loaded: RequestCase | null, caller: Caller, comment: string, now: number): Member {
  if (!loaded || !maySee(caller, loaded, now)) throw requestNotFound()
  if (loaded.request.kind !== 'break_glass')
    throw new Refused('malformed', 'only access that was taken without asking is acknowledged')
  if (caller.userId === loaded.request.user_id)
    throw new Refused(
      'own_request',
      'somebody else must acknowledge what you took',
      'ask a reviewer or an administrator',
    )
  refuseBadReason(comment)
  const member = memberOf(caller, loaded.directory)
  if (member) refuseBadStanding(member)
  if (member && now < (member.votesCountFrom ?? 0))
    throw new Refused(
      'not_allowed',
      'your account was reset: what you acknowledge does not count yet',
      'ask somebody else',
    )
  if (member && mayAcknowledge(caller, loaded, now)) return member
  throw new Refused('not_allowed', 'reviewers of its roles and administrators acknowledge it')
}
