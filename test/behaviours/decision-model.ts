// A second, small implementation of the rules of a request, written from the specification for one purpose: to be compared
// with the product after every step. It knows two requested roles (p, q), two roles that let people ask (ask1, ask2) and a
// few that let them review. Nothing of src/ is used here.

export const PEOPLE = ['ada', 'ben', 'r1', 'r2', 'r3', 'r4'] as const
export const ASKED = ['p', 'q'] as const
export type AskedRole = (typeof ASKED)[number]

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** Threshold: `x` = only reviewers whose trait team holds x. */
export interface Rule {
  readonly x?: boolean
  readonly approve: number
  readonly deny: number
  readonly distinct?: boolean
}
export const RULES: readonly (readonly Rule[])[] = [
  [],
  [{ approve: 2, deny: 1 }],
  [
    { approve: 1, deny: 2, x: true },
    { approve: 3, deny: 2 },
  ],
  [
    { approve: 2, deny: 0, x: true, distinct: true },
    { approve: 2, deny: 1 },
  ],
  [
    { approve: 0, deny: 1 },
    { approve: 2, deny: 0 },
  ],
  [{ approve: 1, deny: 0 }],
]
export const CAPS = [null, HOUR, 4 * HOUR] as const
export const REACH = [['p'], ['^[pq]$'], ['q']] as const

/** Logins that a role's content 0, 1, 2 gives. */
export const LOGINS = [['deploy'], ['root'], ['deploy', 'root']] as const

/** What one of ask1, ask2 says: indexes into the lists above. */
export interface AskSetting {
  readonly rules: number
  readonly cap: number
  readonly reach: number
  readonly denies: AskedRole | null
}

export interface ModelUser {
  roles: readonly string[]
  x: boolean
  disabled: boolean
  deleted: boolean
  votesFrom: number
}
interface ModelVote {
  who: string
  approve: boolean
  reason: string
  duration: number | null
  print: string
  at: number
  current: boolean
}
export interface ModelRequest {
  user: string
  roles: AskedRole[]
  reason: string
  duration: number
  createdAt: number
  pendingUntil: number
  state: 'pending' | 'approved' | 'denied' | 'cancelled' | 'expired'
  decidedAt: number
  firstPrint: string
  votes: ModelVote[]
  grant: {
    startsAt: number
    endsAt: number
    over: string | null
    suspended: string | null
    pins: (number | null)[]
  } | null
}
interface ModelLock {
  kind: 'user' | 'role' | 'request'
  target: string
}

export type Verdict = 'ok' | string
class No extends Error {}
const no = (code: string): never => {
  throw new No(code)
}

export class Model {
  now: number
  #lastEvent: number
  readonly users = new Map<string, ModelUser>()
  readonly settings: Record<'ask1' | 'ask2', AskSetting> = {
    ask1: { rules: 1, cap: 0, reach: 1, denies: null },
    ask2: { rules: 0, cap: 1, reach: 0, denies: null },
  }
  readonly contents: Record<AskedRole, number | null> = { p: 0, q: 0 }
  readonly locks = new Map<number, ModelLock>()
  readonly requests: ModelRequest[] = []

  constructor(now: number) {
    this.now = now
    this.#lastEvent = now
  }

  /** Runs a deed: 'ok' or the code of its refusal. A change on a clock more than a minute behind is refused. */
  attempt(deed: () => void): Verdict {
    const before = structuredClone({ requests: this.requests })
    try {
      deed()
      return 'ok'
    } catch (error) {
      if (!(error instanceof No)) throw error
      if (error.message === 'clock_set_back') this.requests.splice(0, this.requests.length, ...before.requests)
      return error.message
    }
  }

  #stored(): void {
    if (this.now < this.#lastEvent - MINUTE) no('clock_set_back')
    this.#lastEvent = Math.max(this.#lastEvent, this.now)
  }

  /** An edit by an administrator, and what follows from it. */
  edit(change: () => void): Verdict {
    return this.attempt(() => {
      this.#stored()
      change()
      this.sweep()
    })
  }

  // Who may what.

  #locked(kind: ModelLock['kind'], target: string): boolean {
    return [...this.locks.values()].some((lock) => lock.kind === kind && lock.target === target)
  }

  #person(name: string): ModelUser | null {
    const user = this.users.get(name)
    return user && !user.deleted ? user : null
  }

  #settingsNaming(user: string, role: AskedRole): AskSetting[] | null {
    const held = (['ask1', 'ask2'] as const).filter((name) => this.#person(user)?.roles.includes(name))
    if (held.some((name) => this.settings[name].denies === role)) return null
    const naming = held.map((name) => this.settings[name]).filter((s) => REACH[s.reach]?.[0].includes(role))
    return naming.length > 0 && this.contents[role] !== null ? naming : null
  }

  #cap(user: string, role: AskedRole): number {
    const caps = (this.#settingsNaming(user, role) ?? [])
      .map((s) => CAPS[s.cap])
      .filter((cap) => cap !== null && cap !== undefined)
    return caps.length > 0 ? Math.max(...caps) : 8 * HOUR
  }

  mayReview(name: string, role: AskedRole, request: ModelRequest): boolean {
    const user = this.#person(name)
    if (!user || name === request.user) return false
    const gives = user.roles.some(
      (held) =>
        !this.#locked('role', held) &&
        (held === `rev-${role}` || held === 'rev-all' || (held === 'rev-short' && request.duration <= 2 * HOUR)),
    )
    return gives && !user.roles.includes(`no-${role}`)
  }

  #reviewable(name: string, request: ModelRequest): AskedRole[] {
    return request.roles.filter((role) => this.mayReview(name, role, request))
  }

  /** Everything that a vote binds to, apart from the request itself. */
  print(request: ModelRequest): string {
    return JSON.stringify(
      request.roles.map((role) => {
        const naming = this.#settingsNaming(request.user, role)
        return [
          role,
          this.contents[role],
          naming ? this.#cap(request.user, role) : 0,
          naming?.map((s) => s.rules) ?? null,
        ]
      }),
    )
  }

  // What people do.

  ask(
    name: string,
    wanted: readonly (AskedRole | '*')[],
    duration: number | null,
    pendingFor: number,
    reason: string,
  ): Verdict {
    return this.attempt(() => {
      const user = this.#person(name) ?? no('not_allowed')
      if (user.disabled) no('user_disabled')
      if (this.#locked('user', name)) no('locked')
      const roles = [...new Set(wanted.flatMap((role) => this.#expand(name, role)))].sort()
      const cap = Math.min(...roles.map((role) => this.#cap(name, role)))
      const same = (other: ModelRequest): boolean => other.roles.every((role) => roles.includes(role))
      const denied = this.requests.some(
        (r) => r.user === name && r.state === 'denied' && this.now - r.decidedAt < 10 * MINUTE && same(r),
      )
      if (denied) no('cooling_down')
      if (duration !== null && duration > cap) no('duration_over_cap')
      this.#create(name, roles, duration ?? cap, pendingFor, reason)
    })
  }

  #expand(name: string, wanted: AskedRole | '*'): AskedRole[] {
    if (wanted !== '*') {
      if (!this.#settingsNaming(name, wanted)) no('role_not_requestable')
      if (this.#locked('role', wanted)) no('locked')
      return [wanted]
    }
    const all = ASKED.filter((role) => this.#settingsNaming(name, role) && !this.#locked('role', role))
    return all.length > 0 ? all : no('nothing_requestable')
  }

  #create(user: string, roles: AskedRole[], duration: number, pendingFor: number, reason: string): void {
    const twin = this.requests.find(
      (r) =>
        r.state === 'pending' &&
        r.user === user &&
        r.reason === reason &&
        r.duration === duration &&
        String(r.roles) === String(roles),
    )
    if (twin && this.now < twin.pendingUntil) return
    if (this.requests.filter((r) => r.user === user && r.createdAt > this.now - HOUR).length >= 20) no('ask_rate')
    if (twin) this.#close(twin, 'expired', twin.pendingUntil)
    const request: ModelRequest = {
      user,
      roles,
      reason,
      duration,
      createdAt: this.now,
      pendingUntil: this.now + pendingFor,
      state: 'pending',
      decidedAt: 0,
      firstPrint: '',
      votes: [],
      grant: null,
    }
    request.firstPrint = this.print(request)
    this.requests.push(request)
    this.#stored()
  }

  #close(request: ModelRequest, state: ModelRequest['state'], at: number): void {
    request.state = state
    request.decidedAt = at
  }

  vote(
    name: string,
    request: ModelRequest,
    approve: boolean,
    duration: number | null,
    reason: string,
    stale: boolean,
  ): Verdict {
    let late = false
    const verdict = this.attempt(() => {
      if (name === request.user) no('own_request')
      const user = this.#person(name) ?? no('not_a_reviewer')
      if (this.#reviewable(name, request).length === 0) no('not_a_reviewer')
      if (user.disabled) no('user_disabled')
      if (this.#locked('user', name)) no('locked')
      const print = stale ? request.firstPrint : this.print(request)
      const before = request.votes.find((vote) => vote.who === name && vote.current)
      const isSame = (length: number | null): boolean | undefined =>
        before &&
        before.approve === approve &&
        before.duration === length &&
        before.reason === reason &&
        before.print === print
      if (request.state === 'expired') no('request_expired')
      if (request.state !== 'pending') {
        if (isSame(duration)) return
        no('already_resolved')
      }
      if (this.now >= request.pendingUntil) {
        late = true
        this.#stored()
        this.#close(request, 'expired', request.pendingUntil)
        return
      }
      if (print !== this.print(request)) no('request_changed')
      if (duration !== null && !approve) no('malformed')
      if (duration !== null && duration > request.duration) no('widens_request')
      // It approves no more than what the others' approvals left when it was cast.
      const left = this.granted(request, name)
      const shortest = Math.min(duration ?? request.duration, left)
      const limited = approve && shortest < request.duration ? shortest : duration
      const fresh: ModelVote = { who: name, approve, reason, duration: limited, print, at: this.now, current: true }
      if (before && isSame(limited) && this.#verdictAfter(request, before) === 'pending') return
      if (before) before.current = false
      request.votes.push(fresh)
      const outcome = this.#verdictAfter(request, fresh)
      this.#stored()
      if (outcome !== 'pending') this.#close(request, outcome, this.now)
      if (outcome === 'approved') {
        request.grant = {
          startsAt: this.now,
          endsAt: this.now + this.granted(request),
          over: null,
          suspended: null,
          pins: request.roles.map((role) => this.contents[role]),
        }
      }
    })
    return verdict === 'ok' && late ? 'request_expired' : verdict
  }

  // Counting.

  /** Null: the vote counts. */
  why(request: ModelRequest, vote: ModelVote): string | null {
    if (!vote.current) return 'replaced'
    const user = this.#person(vote.who)
    if (!user) return 'reviewer_gone'
    if (user.disabled) return 'reviewer_disabled'
    if (this.#locked('user', vote.who)) return 'reviewer_locked'
    if (vote.at < user.votesFrom) return 'reviewer_reset'
    if (this.#reviewable(vote.who, request).length === 0) return 'right_lost'
    if (vote.approve && vote.print !== this.print(request)) return 'rules_changed'
    return this.#sets(request).some(({ role, rules }) =>
      rules.some((rule) => this.#counts(request, vote, role, rules, rule)),
    )
      ? null
      : 'no_threshold_counts_it'
  }

  #sets(request: ModelRequest): { role: AskedRole; rules: readonly Rule[] }[] {
    return request.roles.flatMap((role) =>
      (this.#settingsNaming(request.user, role) ?? []).map((setting) => {
        const rules = RULES[setting.rules] ?? []
        return { role, rules: rules.length > 0 ? rules : [{ approve: 1, deny: 1 }] }
      }),
    )
  }

  #counts(request: ModelRequest, vote: ModelVote, role: AskedRole, rules: readonly Rule[], rule: Rule): boolean {
    const fits = (one: Rule): boolean =>
      (vote.approve ? one.approve : one.deny) > 0 && (!one.x || this.users.get(vote.who)?.x === true)
    if (!fits(rule) || !this.mayReview(vote.who, role, request)) return false
    const taken = vote.approve && rules.find((one) => one.distinct && fits(one))
    return !taken || taken === rule
  }

  /** [approvals, denials] of every threshold, in order. */
  counts(request: ModelRequest): [number, number][] {
    const counting = request.votes.filter((vote) => this.why(request, vote) === null)
    return this.#sets(request).flatMap(({ role, rules }) =>
      rules.map((rule): [number, number] => {
        const mine = counting.filter((vote) => this.#counts(request, vote, role, rules, rule))
        return [mine.filter((vote) => vote.approve).length, mine.filter((vote) => !vote.approve).length]
      }),
    )
  }

  #verdictAfter(request: ModelRequest, last: ModelVote): 'approved' | 'denied' | 'pending' {
    const counts = this.counts(request)
    const sets = this.#sets(request)
    const flat = sets.flatMap(({ rules }) => rules)
    if (flat.some((rule, index) => rule.deny > 0 && (counts[index]?.[1] ?? 0) >= rule.deny)) return 'denied'
    if (!last.approve || this.why(request, last) !== null || this.#hindered(request)) return 'pending'
    let place = 0
    const met = sets.map(({ rules }) => {
      const approvals = rules.map(() => counts[place++]?.[0] ?? 0)
      return rules.some((rule, index) => rule.approve > 0 && (approvals[index] ?? 0) >= rule.approve)
    })
    return met.every(Boolean) ? 'approved' : 'pending'
  }

  #hindered(request: ModelRequest): boolean {
    const user = this.#person(request.user)
    if (!user || user.disabled || this.#locked('user', request.user)) return true
    return request.roles.some((role) => this.#locked('role', role) || !this.#settingsNaming(request.user, role))
  }

  granted(request: ModelRequest, without = ''): number {
    const caps = request.roles.map((role) =>
      this.#settingsNaming(request.user, role) ? this.#cap(request.user, role) : 0,
    )
    const shorter = request.votes
      .filter((v) => v.who !== without && v.approve && v.duration !== null && this.why(request, v) === null)
      .map((v) => v.duration ?? 0)
    return Math.min(request.duration, ...caps, ...shorter)
  }

  // Ends.

  cancel(name: string, request: ModelRequest): Verdict {
    let late = false
    const verdict = this.attempt(() => {
      if (!this.#sees(name, request)) no('not_found')
      if (name !== request.user) no('not_allowed')
      if (request.state === 'expired') no('request_expired')
      if (request.state !== 'pending') no('already_resolved')
      this.#stored()
      late = this.now >= request.pendingUntil
      this.#close(request, late ? 'expired' : 'cancelled', late ? request.pendingUntil : this.now)
    })
    return verdict === 'ok' && late ? 'request_expired' : verdict
  }

  takeBack(how: 'returned' | 'revoked', name: string, request: ModelRequest): Verdict {
    return this.attempt(() => {
      if (!this.#sees(name, request)) no('not_found')
      if (
        how === 'returned' ? name !== request.user : !this.#good(name) || this.#reviewable(name, request).length === 0
      )
        no('not_allowed')
      if (!request.grant) no('not_found')
      if (request.grant?.over) no('grant_ended')
      if (request.grant) request.grant.over = how
      // Taking away is never refused for a clock.
      this.#lastEvent = Math.max(this.#lastEvent, this.now)
    })
  }

  #good(name: string): boolean {
    const user = this.#person(name)
    return user !== null && !user.disabled && !this.#locked('user', name)
  }

  #sees(name: string, request: ModelRequest): boolean {
    return name === request.user || (this.#good(name) && this.#reviewable(name, request).length > 0)
  }

  /** What the clock, locks and removals end. Each is a deed of its own: on a clock set back none is stored. */
  sweep(): void {
    if (this.now < this.#lastEvent - MINUTE) return
    for (const request of this.requests) {
      if (request.state === 'pending') this.#sweepPending(request)
      else if (request.grant && !request.grant.over) this.#sweepGrant(request, request.grant)
    }
  }

  #sweepPending(request: ModelRequest): void {
    const user = this.#person(request.user)
    const index = String(this.requests.indexOf(request))
    if (this.now >= request.pendingUntil) this.#close(request, 'expired', request.pendingUntil)
    else if (
      !user ||
      user.disabled ||
      this.#locked('request', index) ||
      request.roles.some((role) => this.contents[role] === null)
    )
      this.#close(request, 'cancelled', this.now)
    if (request.state !== 'pending') this.#stored()
  }

  #sweepGrant(request: ModelRequest, grant: NonNullable<ModelRequest['grant']>): void {
    const before = JSON.stringify(grant)
    grant.over = this.#overFor(request, grant)
    if (!grant.over) grant.suspended = this.#suspendedFor(request)
    if (JSON.stringify(grant) !== before) this.#stored()
  }

  #overFor(request: ModelRequest, grant: NonNullable<ModelRequest['grant']>): string | null {
    const user = this.#person(request.user)
    if (this.now >= grant.endsAt) return 'expired'
    if (!user || user.disabled) return 'user_removed'
    if (this.#locked('request', String(this.requests.indexOf(request)))) return 'locked'
    return request.roles.every((role) => this.contents[role] === null) ? 'role_deleted' : null
  }

  #suspendedFor(request: ModelRequest): string | null {
    if (this.#locked('user', request.user)) return 'the user is locked'
    const lacks = request.roles.flatMap((role) => {
      if (this.contents[role] === null) return `the role ${role} was deleted`
      if (this.#locked('role', role)) return `the role ${role} is locked`
      return this.#settingsNaming(request.user, role) ? [] : `the role ${role} may no longer be asked for`
    })
    return lacks.join('; ') || null
  }

  /** An edit after the approval narrows and never widens. */
  logins(request: ModelRequest, grant: NonNullable<ModelRequest['grant']>): string[] {
    const given = request.roles.flatMap((role, index) => {
      const [then, now] = [grant.pins[index] ?? null, this.contents[role]]
      if (then === null || now === null) return []
      const still: readonly string[] = LOGINS[now] ?? []
      return (LOGINS[then] ?? []).filter((login) => still.includes(login))
    })
    return [...new Set(given)].sort()
  }

  /** Could it be approved if everybody who may review it did? */
  reachable(request: ModelRequest): boolean {
    const voters = PEOPLE.filter((name) => this.#good(name) && this.#reviewable(name, request).length > 0)
    const sets = this.#sets(request)
    const all = request.roles.every((role) => sets.some((set) => set.role === role))
    const imagined = voters.map((who): ModelVote => ({
      who,
      approve: true,
      reason: 'ok',
      duration: null,
      print: '',
      at: 0,
      current: true,
    }))
    return (
      all &&
      sets.every(({ role, rules }) =>
        rules.some(
          (rule) =>
            rule.approve > 0 &&
            imagined.filter((vote) => this.#counts(request, vote, role, rules, rule)).length >= rule.approve,
        ),
      )
    )
  }
}

export { DAY, HOUR, MINUTE }
