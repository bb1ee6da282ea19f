// What a policy of Sallyport is written with. Types and six small functions, no more: a policy is a pure function of the
// facts, evaluated in a sandbox without clock, randomness, network or files.

export type Weekday = 'mon' | 'tue' | 'wed' | 'thu' | 'fri' | 'sat' | 'sun'

/** Text lists by name; `facts.requester.traits['team']` is undefined where there is no such trait. */
export type Lists = Readonly<Record<string, readonly string[] | undefined>>

export interface Facts {
  /** When the request is judged, ISO 8601 in UTC: `2026-11-23T09:30:00.000Z` */
  readonly now: string
  /** The same on the wall clock of the policy's `zone` (UTC unless it exports one) */
  readonly time: {
    readonly zone: string
    /** `2026-11-23` */
    readonly date: string
    readonly weekday: Weekday
    /** 0 to 23 */
    readonly hour: number
    /** 0 to 59 */
    readonly minute: number
  }
  readonly request: {
    readonly kind: 'role' | 'resource' | 'extension'
    /** Name of the user who asks */
    readonly user: string
    /** Names of the requested roles */
    readonly roles: readonly string[]
    /** `node/db-box` */
    readonly resources: readonly string[]
    readonly reason: string
    /** Minutes */
    readonly minutes: number
    /** From the roles that allow the request */
    readonly annotations: Lists
    /** When it was made, ISO 8601 */
    readonly created: string
    /** `approval`, `first-use`, or an instant in ISO 8601 */
    readonly start: string
  }
  readonly requester: {
    readonly name: string
    /** Own roles: what a grant gives is not among them */
    readonly roles: readonly string[]
    readonly traits: Lists
  }
  /** Duties of the requester by the name that the PagerDuty integration gives them */
  readonly oncall: Readonly<Record<string, OnCall | undefined>>
}

export type OnCall =
  /** A shift that is checked and current; `minutes`: how long it lasts from now, at the most */
  | { readonly on: true; readonly until: string; readonly minutes: number }
  | { readonly on: false; readonly why: string }
  /** It cannot be known now */
  | { readonly problem: string }

export type Verdict =
  | { readonly verdict: 'approve'; readonly reason: string }
  | { readonly verdict: 'deny'; readonly reason: string }
  | { readonly verdict: 'abstain' }
  | { readonly verdict: 'require'; readonly group: string; readonly approvals: number }
  | { readonly verdict: 'limit'; readonly duration: string }

/** What a policy file exports by default. Several verdicts hold together; a denial wins. */
export type Policy = (facts: Facts) => Verdict | readonly Verdict[]

/**
 * The requester's shift, or null when there is none. Throws when it cannot be known: a policy that can only approve then
 * abstains, another one blocks. Bound what you give by it: `[approve('on call'), limit(`${shift.minutes}m`)]`.
 */
export function oncall(facts: Facts, duty: string): { readonly until: string; readonly minutes: number } | null {
  const fact = facts.oncall[duty]
  if (!fact) throw new Error(`nothing knows a duty "${duty}"`)
  if ('problem' in fact) throw new Error(`whether the requester has the duty "${duty}" is not known: ${fact.problem}`)
  return fact.on ? fact : null
}

/** Casts one approval, as the reviewer `policy:NAME`. */
export const approve = (reason = ''): Verdict => ({ verdict: 'approve', reason })

/** Denies the request, whatever anybody else says. */
export const deny = (reason: string): Verdict => ({ verdict: 'deny', reason })

/** Says nothing. */
export const abstain = (): Verdict => ({ verdict: 'abstain' })

/** Needs `approvals` votes of a group besides what the roles ask: an own role (`dba`), or a trait and its value (`team=dba`). */
export const require = (group: string, approvals = 1): Verdict => ({ verdict: 'require', group, approvals })

/** Grants at most this long: `30m`, `1h30m`, `2d`. */
export const limit = (duration: string): Verdict => ({ verdict: 'limit', duration })
