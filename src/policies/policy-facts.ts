import type { AutomationFacts, OnCallFact } from '../contract/policy.ts'
import { localTime } from '../identity/time-window.ts'

/** The facts as a policy is given them (sdk/policy.ts), as JSON. */
export function policyFacts({ now, request, requester, oncall = {} }: AutomationFacts, zone: string): string {
  const { duration, created, ...asked } = request
  return JSON.stringify({
    now: new Date(now).toISOString(),
    time: { zone, ...localTime(zone, now) },
    request: { ...asked, minutes: duration / 60_000, created: new Date(created).toISOString() },
    requester,
    oncall: Object.fromEntries(Object.entries(oncall).map(([duty, fact]) => [duty, dutyFacts(fact, now)])),
  })
}

/** Minutes are rounded down, and end before the shift does however long the answer takes. */
function dutyFacts(fact: OnCallFact, now: number): unknown {
  if (!('on' in fact) || !fact.on) return fact
  const minutes = Math.max(0, Math.floor((fact.until - now - ANSWER_TAKES_MS) / 60_000))
  return { on: true, until: new Date(fact.until).toISOString(), minutes }
}

const ANSWER_TAKES_MS = 10_000
