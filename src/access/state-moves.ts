import type { GRANT_STATES, REQUEST_STATES } from '../contract/request.ts'
import { Bug } from '../foundation/errors.ts'

export type RequestState = (typeof REQUEST_STATES)[number]
export type GrantState = (typeof GRANT_STATES)[number]

/** Every legal move. Terminal states never leave. */
const REQUEST_MOVES: Readonly<Record<RequestState, readonly RequestState[]>> = {
  pending: ['approved', 'denied', 'cancelled', 'expired'],
  approved: [],
  denied: [],
  cancelled: [],
  expired: [],
}
const GRANT_MOVES: Readonly<Record<GrantState, readonly GrantState[]>> = {
  scheduled: ['active', 'ended'],
  active: ['ended'],
  ended: [],
}

/** Returns `to`. Throws Bug for a move that is not in the table. */
export function moveRequest<T extends RequestState>(from: RequestState, to: T): T {
  if (!REQUEST_MOVES[from].includes(to)) throw new Bug(`a request never moves from ${from} to ${to}`)
  return to
}

export function moveGrant<T extends GrantState>(from: GrantState, to: T): T {
  if (!GRANT_MOVES[from].includes(to)) throw new Bug(`a grant never moves from ${from} to ${to}`)
  return to
}
