/** Messages of one integration that are on their way at the same time */
const MOST_AT_ONCE = 4
const LONGEST_PAUSE_MS = 15_000

/** How much one integration is given at once, by how the last attempts went. Pure: instants come from outside. */
export interface Pace {
  readonly failuresInARow: number
  /** Nothing is sent before it */
  readonly notBefore: number
  /** What happened last, where the vendor did not answer */
  readonly why: string | null
}

export const FRESH_PACE: Pace = { failuresInARow: 0, notBefore: 0, why: null }

/** `silence`: why there was no answer; null: there was one. A vendor that is down is asked by one message at a time, less and less often: the others keep their attempts. */
export function paceAfter(pace: Pace, silence: string | null, now: number, random: number): Pace {
  if (silence === null) return FRESH_PACE
  const failuresInARow = pace.failuresInARow + 1
  if (failuresInARow < 3) return { failuresInARow, notBefore: pace.notBefore, why: silence }
  const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** Math.min(10, failuresInARow - 3))
  return { failuresInARow, notBefore: now + Math.round(pause * (0.8 + 0.4 * random)), why: silence }
}

export function roomIn(pace: Pace, inFlight: number, now: number): number {
  if (now < pace.notBefore) return 0
  return Math.max(0, (pace.failuresInARow >= 3 ? 1 : MOST_AT_ONCE) - inFlight)
}

/** When the vendor is asked again that does not answer; null: it does answer, or has not been silent for long. */
export const outageOf = ({ failuresInARow, notBefore, why }: Pace): { until: number; why: string | null } | null =>
  failuresInARow >= 3 ? { until: notBefore, why } : null
