import type { NewEvent, OutboxMessage, Tx } from '../../audit/deed.ts'
import { SYSTEM } from '../caller.ts'
import { requestDecided } from '../messages.ts'
import { dropEscalation } from '../escalate/plan-escalation.ts'
import { moveRequest, type RequestState } from '../state-moves.ts'
import type { StoredRequest } from '../stored-request.ts'
import { fixedStatement } from '../../foundation/database/fixed-statement.ts'
import { Bug } from '../../foundation/errors.ts'

export interface Told {
  readonly event: NewEvent
  readonly message: OutboxMessage
}

/** Why a request is over without a decision, and since when. */
export interface Lateness {
  readonly code: 'request_expired' | 'grant_ended'
  readonly text: string
  readonly at: number
}

/** Moves a pending request whose time is over. Unless something else ended it, that was at the instant it was made with. */
export async function expireRequest(
  tx: Tx,
  request: StoredRequest,
  requesterName: string,
  late: Lateness = { code: 'request_expired', text: 'nobody decided in time', at: request.pending_until },
): Promise<Told> {
  const resolution = late.text
  await closeRequest(tx, request, 'expired', late.at, resolution)
  return {
    event: {
      type: 'access_request.expire',
      actor: SYSTEM,
      outcome: 'success',
      request: request.id,
      details: { pendingUntil: request.pending_until, because: late.code },
      rows: [{ table: 'access_requests', id: request.id }],
    },
    message: requestDecided({ request, requesterName }, 'expired', resolution, null),
  }
}

const closePending = fixedStatement<{ id: string }>(
  `update access_requests set state = ?, decided_at = ?, resolution = ?, version = ?
   where id = ? and state = 'pending' returning id`,
)
const setVersion = fixedStatement('update access_requests set version = ? where id = ?')

/** Columns that a deed has changed. */
export type Changed = Partial<Pick<StoredRequest, 'version' | 'state' | 'decided_at' | 'resolution'>>

/** Writes a terminal state. Only a row that is still pending is moved: anything else is our bug. */
export async function closeRequest(
  tx: Tx,
  request: StoredRequest,
  to: Exclude<RequestState, 'pending'>,
  decidedAt: number,
  resolution: string,
): Promise<Changed> {
  const changed = {
    state: moveRequest(request.state, to),
    decided_at: decidedAt,
    resolution,
    version: request.version + 1,
  }
  const moved = await closePending(tx, changed.state, decidedAt, resolution, changed.version, request.id)
  if (moved.length !== 1) throw new Bug(`request ${request.id} was decided twice`)
  await dropEscalation(tx, request.id)
  return changed
}

/** Raises the version, so that whoever waits for a change of the request hears of it. */
export async function touchRequest(tx: Tx, request: Pick<StoredRequest, 'id' | 'version'>): Promise<Changed> {
  const version = request.version + 1
  await setVersion(tx, version, request.id)
  return { version }
}
