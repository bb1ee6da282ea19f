/** Messages of one integration that are on their way at the same time */
const MOST_AT_ONCE = 4
const LONGEST_PAUSE_MS = 15_000

/** How much one integration is given at once, by how the last attempts went. Pure: instants come from outside. */
export interface Pace {
  readonly failuresInARow: number
  /** Nothing is sent before it */
  readonly notBefore: number
}

export const FRESH_PACE: Pace = { failuresInARow: 0, notBefore: 0 }

/** A vendor that is down is asked by one message at a time, less and less often: the others keep their attempts. */
export function paceAfter(pace: Pace, outcome: 'answered' | 'silent', now: number, random: number): Pace {
  if (outcome === 'answered') return FRESH_PACE
  const failuresInARow = pace.failuresInARow + 1
  if (failuresInARow < 3) return { failuresInARow, notBefore: pace.notBefore }
  const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(10, failuresInARow - 3))
  return { failuresInARow, notBefore: now + Math.round(pause * (0.8 + 0.4 * random)) }
}

export function roomIn(pace: Pace, inFlight: number, now: number): number {
  if (now < pace.notBefore) return 0
  return Math.max(0, (pace.failuresInARow >= 3 ? 1 : MOST_AT_ONCE) - inFlight)
}
