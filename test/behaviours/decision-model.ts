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
  /** Which it could review when it was cast */
  roles: readonly AskedRole[]
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
  start: ModelStart
  /** Index of the request whose grant it would extend */
  extends: number | null
  /** It expired because that grant had ended */
  gone: boolean
  grant: ModelGrant | null
}
export type ModelStart = 'approval' | 'first-use' | number
export interface ModelGrant {
  started: boolean
  startsAt: number
  endsAt: number
  /** Waits for its first use, until then */
  useBy: number | null
  length: number
  over: string | null
  suspended: string | null
  pins: (number | null)[]
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
  /** Events that the product must have stored */
  readonly told = { schedule: 0, start: 0, extend: 0 }

  constructor(now: number) {
    this.now = now
    this.#lastEvent = now
  }

  /** Runs a deed: 'ok' or the code of its refusal. A change on a clock more than a minute behind is refused. */
  attempt(deed: () => void): Verdict {
    const before = structuredClone({ requests: this.requests, told: this.told })
    try {
      deed()
      return 'ok'
    } catch (error) {
      if (!(error instanceof No)) throw error
      if (error.message === 'clock_set_back') {
        this.requests.splice(0, this.requests.length, ...before.requests)
        Object.assign(this.told, before.told)
      }
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

  #settingsNaming(user: string, role: AskedRole): (AskSetting & { readonly source: string })[] | null {
    const held = (['ask1', 'ask2'] as const).filter((name) => this.#person(user)?.roles.includes(name))
    if (held.some((name) => this.settings[name].denies === role)) return null
    const naming = held
      .map((source) => ({ source, ...this.settings[source] }))
      .filter((s) => REACH[s.reach]?.[0].includes(role))
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

  /** Everything that a vote binds to, apart from the request itself; of thresholds, whose role brought them along, too. */
  print(request: ModelRequest): string {
    return JSON.stringify(
      request.roles.map((role) => {
        const naming = this.#settingsNaming(request.user, role)
        return [
          role,
          this.contents[role],
          naming ? this.#cap(request.user, role) : 0,
          naming?.map((s) => [s.source, s.rules]) ?? null,
        ]
      }),
    )
  }

  // What people do.

  ask(
    name: string,
    wanted: readonly (AskedRole | '*')[],
    duration: number | null,
    pendingFor: number | null,
    reason: string,
    start: ModelStart = 'approval',
  ): Verdict {
    return this.attempt(() => {
      const { roles, length } = this.#plan(name, wanted, duration, start)
      const end = this.now + (pendingFor ?? DAY)
      if (typeof start === 'number' && pendingFor !== null && end > start) no('over_limit')
      const until = typeof start === 'number' ? Math.min(end, start) : end
      this.#create(name, roles, length, until, reason, { start, extends: null })
    })
  }

  #plan(
    name: string,
    wanted: readonly (AskedRole | '*')[],
    duration: number | null,
    start: ModelStart,
  ): { roles: AskedRole[]; length: number } {
    const user = this.#person(name) ?? no('not_allowed')
    if (user.disabled) no('user_disabled')
    if (this.#locked('user', name)) no('locked')
    if (typeof start === 'number' && start <= this.now) no('malformed')
    if (typeof start === 'number' && start - this.now > 7 * DAY) no('over_limit')
    const roles = [...new Set(wanted.flatMap((role) => this.#expand(name, role)))].sort()
    const cap = Math.min(...roles.map((role) => this.#cap(name, role)))
    const same = (other: ModelRequest): boolean => other.roles.every((role) => roles.includes(role))
    const denied = this.requests.some(
      (r) => r.user === name && r.state === 'denied' && this.now - r.decidedAt < 10 * MINUTE && same(r),
    )
    if (denied) no('cooling_down')
    if (duration !== null && duration > cap) no('duration_over_cap')
    return { roles, length: duration ?? cap }
  }

  /** More time for the grant of a request, or of the one that this one extends. */
  extend(name: string, request: ModelRequest, duration: number, reason: string): Verdict {
    return this.attempt(() => {
      const base = request.extends === null ? request : (this.requests[request.extends] ?? request)
      if (!this.#person(name)) no('not_allowed')
      const { grant } = base
      if (!grant || !this.#sees(name, base)) no('not_found')
      if (!grant) return
      if (name !== base.user) no('not_allowed')
      if (this.#isOver(base, grant)) no('grant_ended')
      if (base.roles.some((role) => this.contents[role] === null)) no('not_extendable')
      const { roles, length } = this.#plan(name, base.roles, duration, 'approval')
      const index = this.requests.indexOf(base)
      const until = Math.min(this.now + DAY, clockEnd(grant).at)
      this.#create(name, roles, length, until, reason, { start: 'approval', extends: index })
    })
  }

  #isOver(request: ModelRequest, grant: ModelGrant): boolean {
    return grant.over !== null || this.#overFor(request, grant) !== null
  }

  #isGone(request: ModelRequest): boolean {
    const base = request.extends === null ? undefined : this.requests[request.extends]
    return base?.grant ? this.#isOver(base, base.grant) : false
  }

  /** The first use of a grant that waits for one. */
  use(request: ModelRequest): Verdict {
    return this.attempt(() => {
      const { grant } = request
      if (!grant || grant.over || !waits(grant) || this.now < grant.startsAt || this.now >= (grant.useBy ?? 0))
        no('grant_ended')
      if (!grant) return
      this.#stored()
      Object.assign(grant, { started: true, startsAt: this.now, endsAt: this.now + grant.length, useBy: null })
      this.told.start += 1
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

  #create(
    user: string,
    roles: AskedRole[],
    duration: number,
    pendingUntil: number,
    reason: string,
    kind: Pick<ModelRequest, 'start' | 'extends'>,
  ): void {
    const twin = this.requests.find(
      (r) =>
        r.state === 'pending' &&
        r.user === user &&
        r.reason === reason &&
        r.duration === duration &&
        r.start === kind.start &&
        r.extends === kind.extends &&
        String(r.roles) === String(roles),
    )
    if (twin && this.now < twin.pendingUntil) return
    if (this.requests.filter((r) => r.user === user && r.createdAt > this.now - HOUR).length >= 20) no('ask_rate')
    const other = this.requests.find(
      (r) => kind.extends !== null && r.state === 'pending' && r.extends === kind.extends,
    )
    const over = twin ?? other
    if (over && this.now < over.pendingUntil) no('exists')
    if (over) this.#close(over, 'expired', over.pendingUntil)
    const request: ModelRequest = {
      user,
      roles,
      reason,
      duration,
      createdAt: this.now,
      pendingUntil,
      state: 'pending',
      decidedAt: 0,
      firstPrint: '',
      votes: [],
      ...kind,
      gone: false,
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
    let late: string | null = null
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
      const roles = this.#reviewable(name, request)
      if (request.state === 'expired') no(codeOf(request))
      if (request.state !== 'pending') {
        if (isSame(duration)) return
        no('already_resolved')
      }
      late = this.#late(request)
      if (late !== null) return
      if (print !== this.print(request)) no('request_changed')
      if (duration !== null && !approve) no('malformed')
      if (duration !== null && duration > request.duration) no('widens_request')
      // It approves no more than what the others' approvals left when it was cast.
      const left = this.granted(request, name)
      const shortest = Math.min(duration ?? request.duration, left)
      const limited = approve && shortest < request.duration ? shortest : duration
      const fresh: ModelVote = {
        who: name,
        approve,
        reason,
        duration: limited,
        print,
        at: this.now,
        current: true,
        roles,
      }
      const again = isSame(limited) && String(before?.roles) === String(roles)
      if (before && again && this.#verdictAfter(request, before) === 'pending') return
      if (before) before.current = false
      request.votes.push(fresh)
      const outcome = this.#verdictAfter(request, fresh)
      this.#stored()
      if (outcome !== 'pending') this.#close(request, outcome, this.now)
      if (outcome === 'approved') {
        this.#give(request)
      }
    })
    // Such attempts are events, whatever the clock says.
    if (verdict === 'own_request' || verdict === 'not_a_reviewer') this.#lastEvent = Math.max(this.#lastEvent, this.now)
    return verdict === 'ok' && late !== null ? late : verdict
  }

  #give(request: ModelRequest): void {
    const length = this.granted(request)
    const extended = request.extends === null ? null : this.requests[request.extends]?.grant
    if (extended) {
      extended.endsAt += length
      extended.length += length
      this.told.extend += 1
      return
    }
    const startsAt = typeof request.start === 'number' ? Math.max(this.now, request.start) : this.now
    const useBy = request.start === 'first-use' ? startsAt + DAY : null
    const started = useBy === null && startsAt <= this.now
    const pins = request.roles.map((role) => this.contents[role])
    const endsAt = (useBy ?? startsAt) + length
    request.grant = { started, startsAt, endsAt, useBy, length, over: null, suspended: null, pins }
    this.told[started ? 'start' : 'schedule'] += 1
  }

  /** Closes what came to its end undecided, and says how that is called; null: it may still be decided. */
  #late(request: ModelRequest): string | null {
    const gone = this.#isGone(request)
    if (!gone && this.now < request.pendingUntil) return null
    this.#stored()
    this.#close(request, 'expired', gone ? this.now : request.pendingUntil)
    request.gone = gone
    return codeOf(request)
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
    let late: string | null = null
    const verdict = this.attempt(() => {
      if (!this.#sees(name, request)) no('not_found')
      if (name !== request.user) no('not_allowed')
      if (request.state === 'expired') no(codeOf(request))
      if (request.state !== 'pending') no('already_resolved')
      this.#stored()
      late = this.#late(request)
      if (late === null) this.#close(request, 'cancelled', this.now)
    })
    return verdict === 'ok' && late !== null ? late : verdict
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
      if (request.grant) this.#over(request, request.grant, how)
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
    for (const request of this.requests) if (request.state === 'pending') this.#sweepPending(request)
    for (const request of this.requests)
      if (request.grant && !request.grant.over) this.#sweepGrant(request, request.grant)
  }

  /** With the grant ends what would extend it. */
  #over(request: ModelRequest, grant: ModelGrant, why: string): void {
    grant.over = why
    const index = this.requests.indexOf(request)
    for (const other of this.requests) {
      if (other.extends !== index || other.state !== 'pending') continue
      this.#close(other, 'expired', this.now)
      other.gone = true
    }
  }

  #sweepPending(request: ModelRequest): void {
    const user = this.#person(request.user)
    const index = String(this.requests.indexOf(request))
    if (this.now >= request.pendingUntil) {
      request.gone = this.#isGone(request)
      this.#close(request, 'expired', request.pendingUntil)
    } else if (
      !user ||
      user.disabled ||
      this.#locked('request', index) ||
      request.roles.some((role) => this.contents[role] === null)
    )
      this.#close(request, 'cancelled', this.now)
    if (request.state !== 'pending') this.#stored()
  }

  #sweepGrant(request: ModelRequest, grant: ModelGrant): void {
    const before = JSON.stringify(grant)
    const why = this.#overFor(request, grant)
    if (why) this.#over(request, grant, why)
    else if (!grant.started && grant.useBy === null && this.now >= grant.startsAt) {
      grant.started = true
      this.told.start += 1
    } else if (grant.started) grant.suspended = this.#suspendedFor(request)
    if (JSON.stringify(grant) !== before) this.#stored()
  }

  #overFor(request: ModelRequest, grant: ModelGrant): string | null {
    const user = this.#person(request.user)
    const end = clockEnd(grant)
    if (this.now >= end.at) return end.called
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
  logins(request: ModelRequest, grant: ModelGrant): string[] {
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
      roles: [],
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

const waits = (grant: ModelGrant): boolean => !grant.started && grant.useBy !== null

const codeOf = (request: ModelRequest): string => (request.gone ? 'grant_ended' : 'request_expired')

/** When it ends by itself, and what that is called. */
export function clockEnd(grant: ModelGrant): { at: number; called: string } {
  return waits(grant) ? { at: grant.useBy ?? 0, called: 'lapsed' } : { at: grant.endsAt, called: 'expired' }
}
