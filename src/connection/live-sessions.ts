import type { Clock, Timer } from '../foundation/clock.ts'
import { dueMark, nextMark, NOTICE_MINUTES, timeLeft } from '../grants/end-notice.ts'
import type { Touched } from '../grants/touched.ts'
import type { AuthorizationFacts, DatabaseSessionOptions } from './authorization.ts'
import type { AuthorizeInput, EndNotice } from './control-plane.ts'
import type { AccessDecision } from './decide-access.ts'
import { resourceOf } from './session-deeds.ts'

const SWEEP_MS = 10_000
/** What `offline_grace: 0` comes to: a single late answer is no loss. */
const SHORTEST_GRACE_MS = 3000

/** What a session has really used: losing anything of it ends the session, losing the rest does not. */
export interface Used {
  portForwarding: boolean
  agentForwarding: boolean
}

export interface LiveSession {
  readonly facts: AuthorizationFacts
  readonly input: AuthorizeInput
  readonly startedAt: number
  readonly used: Used
  endsAt: number | null
  /** What is said at the end */
  endMessage: string
  /** Monotonic instant by which the time until `endsAt` is used up, wherever the clock is set */
  budgetEnd: number
  /** When this end became known: marks that had been passed then are not told */
  endSetAt: number
  /** Marks that were told: `<end>/<minutes>` */
  readonly told: Set<string>
  /** Bytes pass: from then on it starts no grant that waits for its first use */
  isUsed: boolean
  grants: readonly string[]
  portForwarding: boolean
  agentForwarding: boolean
  /** Set once; the session is being closed */
  endCode: string | null
  endText: string | null
}

type Allowed = Extract<AccessDecision, { ok: true }>

/** Just authorized: no byte has passed. */
export function newLiveSession(input: AuthorizeInput, facts: AuthorizationFacts, clock: Clock): LiveSession {
  return {
    facts,
    input,
    startedAt: clock.now(),
    used: { portForwarding: false, agentForwarding: false },
    endsAt: facts.endsAt,
    endMessage: facts.endText,
    endSetAt: clock.now(),
    budgetEnd: clock.monotonic() + (facts.budgetMs ?? Infinity),
    told: new Set(),
    isUsed: false,
    grants: facts.grants,
    portForwarding: facts.protocol === 'ssh' && facts.permissions.portForwarding,
    agentForwarding: facts.protocol === 'ssh' && facts.permissions.agentForwarding,
    endCode: null,
    endText: null,
  }
}

const GONE = 'this session is not known any more'

/** What a re-check found; stored as an event by the owner. */
export type Recheck =
  | { readonly kind: 'ended'; readonly session: LiveSession; readonly code: string; readonly text: string }
  | { readonly kind: 'reauthorized'; readonly session: LiveSession }

export interface LiveSessionsOptions {
  readonly clock: Clock
  /** authorize()'s rule for what this session uses, as of now */
  readonly decide: (session: LiveSession, now: number) => AccessDecision
  readonly onRecheck: (recheck: Recheck) => void
}

/** Every open session of this control process. Each is decided anew at every commit, at each end it depends on, and every 10 s. */
export class LiveSessions {
  readonly #options: LiveSessionsOptions
  readonly #sessions = new Map<string, LiveSession>()
  readonly #byUser = new Map<string, Set<LiveSession>>()
  readonly #timers = new Map<string, Timer>()
  readonly #watchers = new Map<string, (notice: EndNotice) => void>()
  #sweep: Timer | null = null

  constructor(options: LiveSessionsOptions) {
    this.#options = options
  }

  start(): void {
    this.#sweep = this.#options.clock.after(SWEEP_MS, () => {
      this.recheckAll()
      this.start()
    })
  }

  stop(): void {
    this.#sweep?.cancel()
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }

  get size(): number {
    return this.#sessions.size
  }

  get(sessionId: string): LiveSession | undefined {
    return this.#sessions.get(sessionId)
  }

  all(): readonly LiveSession[] {
    return [...this.#sessions.values()]
  }

  register(session: LiveSession, recheckAt: number | null): void {
    this.#sessions.set(session.facts.sessionId, session)
    const { id } = session.facts.user
    this.#byUser.set(id, (this.#byUser.get(id) ?? new Set()).add(session))
    this.#arm(session, recheckAt)
  }

  remove(sessionId: string): void {
    const session = this.#sessions.get(sessionId)
    const ofUser = this.#byUser.get(session?.facts.user.id ?? '')
    if (session && ofUser?.delete(session) && ofUser.size === 0) this.#byUser.delete(session.facts.user.id)
    this.#sessions.delete(sessionId)
    this.#watchers.delete(sessionId)
    this.#timers.get(sessionId)?.cancel()
    this.#timers.delete(sessionId)
  }

  /** A notice that was due before the watcher came is given to it at once. */
  watch(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    this.#watchers.set(sessionId, onNotice)
    const session = this.#sessions.get(sessionId)
    if (!session) onNotice({ sessionId, kind: 'end', text: GONE, endText: GONE, endsAt: null, budgetMs: null })
    else if (session.endText !== null) onNotice(this.#notice(session, 'end'))
    return { stop: () => this.#watchers.delete(sessionId) }
  }

  /** The store has not answered for so long: who may not outlive it that long is ended. */
  endUnproven(silentMs: number): void {
    for (const session of this.all()) {
      if (silentMs > Math.max(session.facts.offlineGraceMs, SHORTEST_GRACE_MS))
        this.end(session, 'store_unavailable', 'the proxy has lost its store')
    }
  }

  recheckAll(): void {
    for (const session of this.all()) this.recheck(session)
  }

  /** Those alone whose rights a change may have altered. */
  recheckTouched(touched: Touched): void {
    if (touched.everybody) return this.recheckAll()
    for (const id of touched.users) for (const session of this.#byUser.get(id) ?? []) this.recheck(session)
    if (touched.resources.size === 0) return
    for (const session of this.all()) if (touched.resources.has(resourceOf(session.facts).id)) this.recheck(session)
  }

  /** True while the session may go on. */
  recheck(session: LiveSession): boolean {
    if (session.endText !== null) return false
    const now = this.#options.clock.now()
    const decision = this.#options.decide(session, now)
    if (!decision.ok) {
      this.end(session, decision.code, decision.ended)
      return false
    }
    const lost = lostFeature(session, decision)
    if (lost !== null) {
      this.end(session, 'access_denied', `${lost} is not permitted any more`)
      return false
    }
    this.#adopt(session, decision, now)
    if (this.#options.clock.monotonic() > session.budgetEnd) {
      this.end(session, 'expired', session.endMessage)
      return false
    }
    this.#tellEnd(session, decision, now)
    const mark = nextMark(decision.endsAt, now)
    this.#arm(session, mark === null ? decision.recheckAt : Math.min(mark, decision.recheckAt))
    return true
  }

  /** Closes it now: first the session, then whoever stores the fact. */
  end(session: LiveSession, code: string, text: string): void {
    if (session.endText !== null) return
    session.endCode = code
    session.endText = text
    this.#watchers.get(session.facts.sessionId)?.(this.#notice(session, 'end'))
    this.#options.onRecheck({ kind: 'ended', session, code, text })
  }

  #adopt(session: LiveSession, decision: Allowed, now: number): void {
    const grants = decision.grants.map((grant) => grant.id)
    const moved = decision.endsAt !== session.endsAt
    const rebased = grants.join() !== session.grants.join()
    session.portForwarding = decision.options.portForwarding
    session.agentForwarding = decision.options.agentForwarding
    if (!moved && !rebased) return
    session.grants = grants
    session.endsAt = decision.endsAt
    session.endMessage = decision.endText
    if (moved) {
      session.endSetAt = now
      session.budgetEnd = this.#options.clock.monotonic() + (decision.endsAt - now)
      this.#send(session, 'move', movedText(decision, now))
    }
    this.#options.onRecheck({ kind: 'reauthorized', session })
  }

  /** Once for each mark before each end; what was told stays told when the clock is set back. */
  #tellEnd(session: LiveSession, { endsAt, endWhat, endHint }: Allowed, now: number): void {
    const mark = dueMark(endsAt, session.endSetAt, now)
    if (mark === null || session.told.has(`${endsAt}/${mark}`)) return
    for (const minutes of NOTICE_MINUTES) if (minutes >= mark) session.told.add(`${endsAt}/${minutes}`)
    const when = `${endWhat} ends in ${timeLeft(endsAt, now)}, at ${clockTime(endsAt)}.`
    this.#send(session, 'tell', `sallyport: ${when}${endHint === null ? '' : ` ${endHint}`}`)
  }

  #send(session: LiveSession, kind: EndNotice['kind'], text: string): void {
    this.#watchers.get(session.facts.sessionId)?.({ ...this.#notice(session, kind), text })
  }

  #notice(session: LiveSession, kind: EndNotice['kind']): EndNotice {
    const { endsAt, endMessage } = session
    return {
      sessionId: session.facts.sessionId,
      kind,
      text: session.endText ?? '',
      endText: endMessage,
      endsAt,
      budgetMs: endsAt === null ? null : Math.max(0, endsAt - this.#options.clock.now()),
    }
  }

  #arm(session: LiveSession, recheckAt: number | null): void {
    const id = session.facts.sessionId
    this.#timers.get(id)?.cancel()
    this.#timers.delete(id)
    if (recheckAt === null) return
    const { clock } = this.#options
    // One millisecond late rather than early: at the end itself the access is over.
    this.#timers.set(
      id,
      clock.after(Math.max(0, Math.min(recheckAt - clock.now(), session.budgetEnd - clock.monotonic())) + 1, () =>
        this.recheck(session),
      ),
    )
  }
}

/** Said on terminals; while a session is only being opened there are none. */
const movedText = ({ endsAt, endWhat }: Allowed, now: number): string =>
  `sallyport: ${endWhat} now ends in ${timeLeft(endsAt, now)}, at ${clockTime(endsAt)}.`

/** `14:05 UTC`: the terminal's own time zone is not known here. */
const clockTime = (at: number): string => `${new Date(at).toISOString().slice(11, 16)} UTC`

function lostFeature({ used, facts }: LiveSession, { options }: Allowed): string | null {
  if (facts.protocol !== 'ssh') return lostInDatabase(facts.options, options.database)
  if (used.portForwarding && !options.portForwarding) return 'port forwarding'
  if (used.agentForwarding && !options.agentForwarding) return 'agent forwarding'
  return null
}

/** A session keeps the options it began with: what has become stricter since ends it. */
function lostInDatabase(had: DatabaseSessionOptions, has: DatabaseSessionOptions): string | null {
  if (has.readOnly && !had.readOnly) return 'writing'
  if ((has.statementTimeoutMs ?? Infinity) < (had.statementTimeoutMs ?? Infinity)) return 'so long a statement'
  const denied = has.deniedStatements.find((kind) => !had.deniedStatements.includes(kind))
  if (denied !== undefined) return `a statement of the kind ${denied}`
  return had.replication && !has.replication ? 'replication' : null
}
