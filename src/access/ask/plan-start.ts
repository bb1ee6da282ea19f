import { formatDuration } from '../../contract/duration.ts'
import type { Start } from '../../contract/request.ts'
import { Refused } from '../../foundation/errors.ts'
import { LIMITS } from '../limits.ts'

/** Errors: Refused('malformed') for an instant that is over, Refused('over_limit') for one too far ahead. */
export function refuseBadStart(instant: number, now: number): void {
  if (!Number.isSafeInteger(instant)) throw new Refused('malformed', 'the start is no instant')
  if (instant <= now)
    throw new Refused('malformed', 'the start lies in the past', 'leave it out to start at the approval')
  if (instant - now > LIMITS.startAheadMs)
    throw new Refused('over_limit', `a start is at most ${formatDuration(LIMITS.startAheadMs)} ahead`)
}

/** The instant named by a start; null: it has none of its own. */
export const instantOf = (start: Start): number | null => (start.at === 'instant' ? start.instant : null)

/** From when on a decision is of no use any more. */
export interface LatestDecision {
  readonly at: number
  readonly what: string
}

/**
 * Until when a request waits for its decision. Errors: Refused('over_limit') when it was asked to wait for longer than a
 * decision is of use.
 */
export function pendingEnd(wantedMs: number | null, latest: LatestDecision | null, now: number): number {
  const end = now + (wantedMs ?? LIMITS.defaultPendingMs)
  if (latest === null || end <= latest.at) return end
  if (wantedMs !== null)
    throw new Refused(
      'over_limit',
      `it would wait for a decision beyond ${latest.what}`,
      'shorten the wait, or leave it out',
    )
  return latest.at
}
