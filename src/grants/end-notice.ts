// When somebody is told that access is about to end. Instants in ms.

const MINUTE = 60_000

/** Minutes before the end, largest first. */
export const NOTICE_MINUTES = [15, 5, 1] as const

/**
 * The mark that was passed last before `now`: what is to be told, unless it was. Marks that had been passed when the end was
 * set (`setAt`) are not told: a grant of ten minutes is known to be short. Null: none.
 */
export function dueMark(endsAt: number, setAt: number, now: number): (typeof NOTICE_MINUTES)[number] | null {
  if (now >= endsAt) return null
  return NOTICE_MINUTES.findLast((minutes) => passes(endsAt, minutes) <= now && passes(endsAt, minutes) > setAt) ?? null
}

/** The next instant at which a mark is passed; null: all are. */
export function nextMark(endsAt: number, now: number): number | null {
  const coming = NOTICE_MINUTES.find((minutes) => passes(endsAt, minutes) > now)
  return coming === undefined ? null : passes(endsAt, coming)
}

const passes = (endsAt: number, minutes: number): number => endsAt - minutes * MINUTE

/** `5 minutes`: what is left, rounded to what a person reads; a notice that comes late does not promise more than there is. */
export function timeLeft(endsAt: number, now: number): string {
  const seconds = Math.max(0, Math.round((endsAt - now) / 1000))
  if (seconds < 55) return `${seconds} seconds`
  const minutes = Math.round(seconds / 60)
  return minutes === 1 ? '1 minute' : `${minutes} minutes`
}
