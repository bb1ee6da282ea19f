import type { OnCallFact } from '../../contract/policy.ts'
import type { OnCallDuty } from '../../contract/vendors/pagerduty.ts'

// Whether somebody is on call now. Pure. PagerDuty's filters are not relied on: what it lists is looked at entry by entry.

/** As `GET /oncalls` lists it; start and end are null for a permanent member of an escalation policy. */
export interface OnCallEntry {
  readonly userId: string
  readonly scheduleId: string | null
  readonly policyId: string
  readonly level: number
  readonly start: number | null
  readonly end: number | null
}

/** Of a schedule: who made it is not said, so one's own counts as made by oneself. */
export interface Override {
  readonly userId: string
  readonly start: number
  readonly end: number
}

/** So near to a shift's start or end two clocks may disagree on whether it is one. */
const EDGE_MS = 60_000

/** Those that are shifts of this person in this duty now, whatever else decides. */
export function shiftsNow(entries: readonly OnCallEntry[], account: string, duty: OnCallDuty, now: number) {
  return entries.flatMap((entry) => {
    const { userId, scheduleId, start, end } = entry
    if (userId !== account || scheduleId === null || start === null || end === null) return []
    if (!isOfDuty(entry, duty) || now < start || now >= end) return []
    return [{ scheduleId, start, end }]
  })
}

function isOfDuty({ scheduleId, policyId, level }: OnCallEntry, duty: OnCallDuty): boolean {
  if ('schedule' in duty) return scheduleId === duty.schedule
  return policyId === duty.escalation_policy && level <= duty.max_level
}

type Shift = ReturnType<typeof shiftsNow>[number]

/** `overrides`: those of the shift's schedule, from now to the shift's end at least. */
export function standingOfShift(
  { start, end }: Shift,
  overrides: readonly Override[],
  account: string,
  now: number,
): OnCallFact {
  const own = overrides.filter((override) => override.userId === account && override.end > now)
  if (own.some((override) => override.start <= now))
    return { on: false, why: 'the shift is an override for the requester' }
  // A shift that an override of one's own prolongs ends where it would have ended.
  const until = Math.min(end, ...own.map((override) => override.start))
  if (now - start < EDGE_MS) return { on: false, why: 'the shift began less than a minute ago' }
  if (until - now < EDGE_MS) return { on: false, why: 'the shift ends in less than a minute' }
  return { on: true, until, account }
}

/** Of several shifts in one duty the one that lasts longest; without any: why there is none. */
export function bestOf(facts: readonly OnCallFact[]): OnCallFact {
  const on = facts.filter((fact) => 'on' in fact && fact.on)
  const [first, ...more] = on
  if (first) return more.reduce((best, fact) => (untilOf(fact) > untilOf(best) ? fact : best), first)
  return facts[0] ?? { on: false, why: 'no shift of the requester is current' }
}

const untilOf = (fact: OnCallFact): number => ('on' in fact && fact.on ? fact.until : 0)
