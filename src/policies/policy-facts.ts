import type { AutomationFacts } from '../contract/policy.ts'
import { localTime } from '../identity/time-window.ts'

/** The facts as a policy is given them (sdk/policy.ts), as JSON. */
export function policyFacts({ now, request, requester }: AutomationFacts, zone: string): string {
  const { duration, created, ...asked } = request
  return JSON.stringify({
    now: new Date(now).toISOString(),
    time: { zone, ...localTime(zone, now) },
    request: { ...asked, minutes: duration / 60_000, created: new Date(created).toISOString() },
    requester,
  })
}
