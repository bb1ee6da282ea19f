// A second, small implementation of what time does to access, written from the specification to be compared with the product:
// when a grant starts and ends, who gets in, and until when an open session lives. Nothing of src/ is used here.

export const MINUTE = 60_000
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
/** Longest duration that the asking role sets. */
export const CAP = 4 * HOUR

export type ModelStart = 'approval' | 'first-use' | { readonly instant: number }

export interface ModelGrant {
  startsAt: number
  /** Not known before the first use */
  endsAt: number | null
  readonly useBy: number | null
  length: number
  over: 'expired' | 'lapsed' | 'returned' | 'revoked' | 'user_removed' | null
  /** How many were given before it */
  readonly place: number
}

export interface ModelRequest {
  readonly start: ModelStart
  readonly duration: number
  readonly pendingUntil: number
  state: 'pending' | 'approved' | 'cancelled' | 'expired'
  grant: ModelGrant | null
  readonly extends: ModelRequest | null
  /** It expired because the grant that it would extend had ended */
  lostGrant: boolean
}

export interface ModelSession {
  /** Grants that carry it: never one that waits for its first use */
  isOpen: boolean
}

/** Somebody (alice) asks, somebody else approves alone. All requests are for the same one role. */
export class TimeModel {
  now: number
  disabled = false
  readonly requests: ModelRequest[] = []
  readonly sessions: ModelSession[] = []

  constructor(now: number) {
    this.now = now
  }

  get grants(): ModelGrant[] {
    return this.requests.flatMap(({ grant }) => grant ?? [])
  }

  ask(start: ModelStart, duration: number): string {
    if (this.disabled) return 'user_disabled'
    const instant = typeof start === 'object' ? start.instant : null
    if (instant !== null && instant <= this.now) return 'malformed'
    if (instant !== null && instant > this.now + 7 * DAY) return 'over_limit'
    if (duration > CAP) return 'duration_over_cap'
    const pendingUntil = Math.min(this.now + DAY, instant ?? Infinity)
    this.requests.push({
      start,
      duration,
      pendingUntil,
      state: 'pending',
      grant: null,
      extends: null,
      lostGrant: false,
    })
    return 'ok'
  }

  extend(request: ModelRequest, duration: number): string {
    const { grant } = request
    if (!grant) return 'not_found'
    if (this.disabled && !this.#isOver(grant)) return 'user_disabled'
    if (this.#isOver(grant)) return 'grant_ended'
    if (duration > CAP) return 'duration_over_cap'
    if (grant.length + duration > 14 * DAY) return 'over_limit'
    const pending = this.requests.find((other) => other.extends === request && other.state === 'pending')
    if (pending && this.now < pending.pendingUntil) return pending.duration === duration ? 'ok' : 'exists'
    if (pending) this.#expire(pending)
    const last = grant.useBy !== null && grant.endsAt === null ? grant.useBy : (grant.endsAt ?? 0)
    const pendingUntil = Math.min(this.now + DAY, last)
    this.requests.push({
      start: 'approval',
      duration,
      pendingUntil,
      state: 'pending',
      grant: null,
      extends: request,
      lostGrant: false,
    })
    return 'ok'
  }

  approve(request: ModelRequest, shorter: number | null, startAt: number | null): string {
    if (request.state === 'expired') return request.lostGrant ? 'grant_ended' : 'request_expired'
    if (request.state !== 'pending') return 'already_resolved'
    const extended = request.extends?.grant ?? null
    if (this.#expire(request)) return request.lostGrant ? 'grant_ended' : 'request_expired'
    const instant = typeof request.start === 'object' ? request.start.instant : 0
    if (startAt !== null) {
      if (extended) return 'malformed'
      if (startAt < instant) return 'widens_request'
      if (startAt <= this.now) return 'malformed'
    }
    if (shorter !== null && shorter > request.duration) return 'widens_request'
    request.state = 'approved'
    const length = Math.min(request.duration, shorter ?? Infinity)
    if (extended) {
      extended.length += length
      if (extended.endsAt !== null) extended.endsAt += length
      return 'ok'
    }
    const startsAt = Math.max(this.now, instant, startAt ?? 0)
    const waits = request.start === 'first-use'
    request.grant = {
      startsAt,
      endsAt: waits ? null : startsAt + length,
      useBy: waits ? startsAt + DAY : null,
      length,
      over: null,
      place: this.grants.length,
    }
    return 'ok'
  }

  /** True when it is over: its time, or the grant that it would extend. */
  #expire(request: ModelRequest): boolean {
    const extended = request.extends?.grant ?? null
    // Disabling ends grants for good, before each of them is stored as ended.
    request.lostGrant = extended !== null && (this.disabled || this.#isOver(extended))
    if (!request.lostGrant && this.now < request.pendingUntil) return false
    request.state = 'expired'
    return true
  }

  takeBack(request: ModelRequest, how: 'returned' | 'revoked'): string {
    if (request.extends || !request.grant) return 'not_found'
    // What the clock has ended and nobody swept is still there to be taken back.
    if (request.grant.over) return 'grant_ended'
    this.#end(request, request.grant, how)
    this.#look()
    return 'ok'
  }

  setDisabled(disabled: boolean): void {
    this.disabled = disabled
    if (!disabled) return
    for (const request of this.requests)
      if (request.state === 'pending' && !(this.now >= request.pendingUntil && this.#expire(request)))
        request.state = 'cancelled'
    for (const request of this.requests) {
      const { grant } = request
      if (grant && !grant.over) this.#end(request, grant, this.#clockEnd(grant) ?? 'user_removed')
    }
    for (const session of this.sessions) session.isOpen = false
  }

  /** True: let in. */
  connect(): boolean {
    const isIn = !this.disabled && (this.#gives() || this.#useOne())
    if (isIn) this.sessions.push({ isOpen: true })
    return isIn
  }

  pass(ms: number): void {
    const until = this.now + ms
    // Sessions live as long as one grant takes over from the other without a gap.
    let covered = this.now
    for (;;) {
      const next = Math.max(
        ...this.grants.map(({ startsAt, endsAt, over }) =>
          !over && endsAt !== null && startsAt <= covered && endsAt > covered ? endsAt : 0,
        ),
      )
      if (next <= covered) break
      covered = next
    }
    if (covered <= until) for (const session of this.sessions) session.isOpen = false
    this.now = until
  }

  sweep(): void {
    for (const request of this.requests) {
      const { grant } = request
      const end = grant && this.#clockEnd(grant)
      if (grant && !grant.over && end) this.#end(request, grant, end)
      if (request.state === 'pending') this.#expire(request)
    }
  }

  stateOf(request: ModelRequest): string {
    return request.state === 'pending' && this.now >= request.pendingUntil ? 'expired' : request.state
  }

  /** [state, why it ended] as people are shown it. */
  shown(grant: ModelGrant): [string, string | null] {
    const over = grant.over ?? this.#clockEnd(grant)
    if (over) return ['ended', over]
    return [grant.endsAt !== null && grant.startsAt <= this.now ? 'active' : 'scheduled', null]
  }

  #gives(): boolean {
    return this.grants.some((grant) => this.shown(grant)[0] === 'active')
  }

  /** The one that lapses first; of those that lapse at the same instant, the one that was given first. */
  #useOne(): boolean {
    const waiting = this.grants
      .filter(
        (grant) => grant.useBy !== null && grant.endsAt === null && !this.#isOver(grant) && grant.startsAt <= this.now,
      )
      .sort((a, b) => (a.useBy ?? 0) - (b.useBy ?? 0) || a.place - b.place)[0]
    if (!waiting) return false
    waiting.startsAt = this.now
    waiting.endsAt = this.now + waiting.length
    return true
  }

  #look(): void {
    if (!this.#gives()) for (const session of this.sessions) session.isOpen = false
  }

  #end(request: ModelRequest, grant: ModelGrant, why: NonNullable<ModelGrant['over']>): void {
    grant.over = why
    for (const other of this.requests) if (other.extends === request && other.state === 'pending') this.#expire(other)
  }

  #clockEnd(grant: ModelGrant): 'expired' | 'lapsed' | null {
    if (grant.endsAt === null) return this.now >= (grant.useBy ?? 0) ? 'lapsed' : null
    return this.now >= grant.endsAt ? 'expired' : null
  }

  #isOver(grant: ModelGrant): boolean {
    return grant.over !== null || this.#clockEnd(grant) !== null
  }
}
