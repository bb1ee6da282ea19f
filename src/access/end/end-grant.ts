import type { Actor, EventType } from '../../contract/audit.ts'
import type { GRANT_END_REASONS } from '../../contract/request.ts'
import type { Deed, NewEvent, OutboxMessage, Tx } from '../../audit/deed.ts'
import { Bug } from '../../foundation/errors.ts'
import { grantEnded } from '../messages.ts'
import { moveGrant } from '../state-moves.ts'
import type { StoredGrant } from '../../grants/stored-grant.ts'
import type { StoredRequest } from '../stored-request.ts'
import { touchRequest } from './expire-request.ts'
import { expireExtensions } from './grant-gone.ts'

export type GrantEndReason = (typeof GRANT_END_REASONS)[number]

export interface GrantEnd {
  readonly reason: GrantEndReason
  readonly actor: Actor
  readonly login: string | null
  readonly comment: string | null
  readonly at: number
}

const EVENT_OF: Partial<Readonly<Record<GrantEndReason, EventType>>> = {
  revoked: 'grant.revoke',
  returned: 'grant.return',
}

/** Ends a live grant for good, and with it the extension that may be asked for. Only a row that has not ended is moved: anything else is our bug. */
export async function endGrant(
  tx: Tx,
  grant: StoredGrant,
  request: StoredRequest,
  requesterName: string,
  end: GrantEnd,
): Promise<Pick<Deed<unknown>, 'events' | 'outbox'>> {
  const by = end.actor.kind === 'system' ? null : end.actor.name
  const result = await tx
    .updateTable('grants')
    .set({
      state: moveGrant(grant.state, 'ended'),
      ended_at: end.at,
      end_reason: end.reason,
      ended_by: by,
      end_comment: end.comment,
    })
    .where('id', '=', grant.id)
    .where('state', '!=', 'ended')
    .executeTakeFirst()
  if (result.numUpdatedRows !== 1n) throw new Bug(`grant ${grant.id} was ended twice`)
  await touchRequest(tx, request)
  const extensions = await expireExtensions(tx, grant.id, requesterName, end.at)
  return {
    events: [endEvent(grant, request, end), ...extensions.map(({ event }) => event)],
    outbox: [messageOf(grant, request, requesterName, end, by), ...extensions.map(({ message }) => message)],
  }
}

function endEvent(grant: StoredGrant, request: StoredRequest, end: GrantEnd): NewEvent {
  return {
    type: EVENT_OF[end.reason] ?? 'grant.end',
    actor: end.actor,
    outcome: 'success',
    login: end.login,
    request: request.id,
    grants: [grant.id],
    details: { reason: end.reason, comment: end.comment, user: grant.user_id, endsAt: grant.ends_at, endedAt: end.at },
    rows: [
      { table: 'grants', id: grant.id },
      { table: 'access_requests', id: request.id },
    ],
  }
}

function messageOf(
  grant: StoredGrant,
  request: StoredRequest,
  requesterName: string,
  { reason, comment }: GrantEnd,
  by: string | null,
): OutboxMessage {
  return grantEnded({ request, requesterName }, grant, { reason, by, comment })
}
