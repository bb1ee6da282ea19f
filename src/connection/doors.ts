import type { RowRef } from '../audit/deed.ts'
import type { AskWay } from '../contract/access-check.ts'
import { formatDuration } from '../contract/duration.ts'
import type { Clock, Timer } from '../foundation/clock.ts'
import { Refused } from '../foundation/errors.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { AskAtDoor, DoorPerson, RequestStanding, WantedAtDoor } from './ask-at-door.ts'
import type { AskAnswer, AskInput, AuthorizeInput, RequestNews } from './control-plane.ts'
import { usualDuration, type AccessDecision } from './decide-access.ts'

/** A client that goes on by keyboard-interactive does so at once. */
const OFFER_MS = 60_000
/** Offered and not entered, in all: more are refused as if nothing could be asked. */
const MOST_OFFERED = 1000
const MOST_REASONS = 3
/** The news of the approval is a moment behind the access that it gives, and says who gave it. */
const NEWS_LAG_MS = 250
/** What changes nobody's access */
const IRRELEVANT = new Set<string>(['sessions', 'access_requests', 'reviews'])

export interface WaitingLimits {
  readonly perUser: number
  readonly perInstance: number
  readonly longestMs: number
}

export interface DoorsOptions {
  readonly requests: AskAtDoor
  readonly limits: WaitingLimits
  /** The rule of authorize(), as of now */
  readonly decide: (input: AuthorizeInput) => AccessDecision
  readonly clock: Clock
  readonly log: Log
}

interface Door {
  readonly id: string
  readonly input: AuthorizeInput
  readonly person: DoorPerson
  state: 'offered' | 'entered' | 'waiting'
  reasons: number
  requestId: string | null
  tell: (news: RequestNews) => void
  /** Ends the offer, or the waiting */
  timer: Timer
  follow: { stop(): void } | null
  lag: Timer | null
}

type Denied = Extract<AccessDecision, { ok: false }>

/**
 * Refused sign-ins that may ask for access right here and wait for it. A door gives nothing: whatever it hears, the next
 * step is authorize(), with everything checked anew.
 */
export class Doors {
  readonly #options: DoorsOptions
  readonly #doors = new Map<string, Door>()
  /** Asks of one user, one after the other: the second finds the request of the first. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(options: DoorsOptions) {
    this.#options = options
  }

  /** Connections that wait or are being asked why */
  get waiting(): number {
    return this.#entered().length
  }

  /** The id of a door, where the refusal is one that an ask would help against and the user's roles say so. */
  offer(input: AuthorizeInput, decision: AccessDecision, userName: string): string | undefined {
    if (decision.ok || !decision.asksInside || this.#doors.size - this.waiting >= MOST_OFFERED) return undefined
    const { clock } = this.#options
    const id = newId('door', clock.now())
    const { userId, loginSessionId, protocol } = input
    const person = { userId, userName, loginSessionId, protocol }
    const timer = clock.after(OFFER_MS, () => this.#remove(id))
    const door: Door = {
      ...{ id, input, person, timer, state: 'offered', reasons: 0, requestId: null },
      ...{ tell: () => {}, follow: null, lag: null },
    }
    this.#doors.set(id, door)
    return id
  }

  /** Uses the door up for one more authorize(). False: it is not the door of this very sign-in, or nobody asked there. */
  take(input: AuthorizeInput): boolean {
    const door = this.#doors.get(input.door ?? '')
    if (!door || door.state === 'offered' || !isSameSignIn(door.input, input)) return false
    this.#remove(door.id)
    return true
  }

  watch(id: string, tell: (news: RequestNews) => void): { stop(): void } {
    const door = this.#doors.get(id)
    if (door) door.tell = tell
    else tell({ kind: 'over', lines: GONE })
    return { stop: () => this.#remove(id) }
  }

  async ask({ door: id, reason }: AskInput): Promise<AskAnswer> {
    const door = this.#doors.get(id)
    // First comes who has something to say, then what.
    if (door?.state !== (reason === null ? 'offered' : 'entered')) return GONE_ANSWER
    const full = reason === null ? this.#enter(door) : null
    if (full !== null) return full
    return this.#inTurn(door.person.userId, () => this.#askInTurn(door, reason))
  }

  /** After each commit: access that was given otherwise opens the door, and whoever is no longer known leaves it. */
  recheck(rows: readonly RowRef[]): void {
    if (rows.some((row) => !IRRELEVANT.has(row.table))) this.recheckAll()
  }

  recheckAll(): void {
    for (const door of this.#entered()) {
      const decision = this.#options.decide(door.input)
      if (decision.ok) this.#openSoon(door)
      else if (!decision.asksInside) this.#over(door, decision.lines)
    }
  }

  /** The proxy stops. */
  close(): void {
    for (const id of this.#doors.keys()) this.#remove(id)
  }

  #entered(): Door[] {
    return [...this.#doors.values()].filter((door) => door.state !== 'offered')
  }

  #enter(door: Door): AskAnswer | null {
    const { limits, clock } = this.#options
    const entered = this.#entered()
    const own = entered.filter((other) => other.person.userId === door.person.userId).length
    if (own >= limits.perUser) return tooMany(`${own} connections of yours wait for access already`)
    if (entered.length >= limits.perInstance) return tooMany('too many connections wait for access here')
    door.state = 'entered'
    door.timer.cancel()
    door.timer = clock.after(limits.longestMs, () => this.#over(door, this.#tooLong(door)))
    return null
  }

  async #askInTurn(door: Door, reason: string | null): Promise<AskAnswer> {
    // Two at once: the first of them has its answer.
    if (door.state !== 'entered') return GONE_ANSWER
    const decision = this.#options.decide(door.input)
    if (decision.ok) return { kind: 'go' }
    const [way] = decision.ways
    if (!decision.asksInside || !way) return { kind: 'refused', code: decision.code, lines: decision.lines }
    const wanted = { ...placeOf(door.input), ways: decision.ways }
    const pending = await this.#options.requests.pending(door.person, wanted)
    if (pending !== null) return this.#wait(door, pending, [`sallyport: you have asked already (${pending})`])
    return reason === null ? promptFor(decision, way) : this.#askFor(door, way, reason)
  }

  async #askFor(door: Door, way: AskWay, typed: string): Promise<AskAnswer> {
    door.reasons++
    const last = door.reasons >= MOST_REASONS
    const isEmpty = typed.trim() === '' || (way.reason.required && typed.trim() === NO_REASON)
    if (isEmpty && (last || !way.reason.required)) return NOTHING_ASKED
    if (isEmpty) return again(way, 'a reason is required')
    const reason = !way.reason.required && typed.trim() === NO_REASON ? '' : typed
    const durationMs = usualDuration(way)
    try {
      const id = await this.#options.requests.ask(door.person, { way, reason, durationMs })
      return this.#wait(door, id, [`sallyport: asked for ${nameOf(way)} for ${formatDuration(durationMs)} (${id})`])
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      if (ABOUT_THE_REASON.has(error.code) && !last) return again(way, error.message)
      const hint = error.hint === undefined ? [] : [`  ${error.hint}`]
      return { kind: 'refused', code: error.code, lines: [`sallyport: ${error.message}`, ...hint] }
    }
  }

  #wait(door: Door, requestId: string, lines: readonly string[]): AskAnswer {
    // The client may have left while the request was stored; it stays.
    if (!this.#doors.has(door.id)) return GONE_ANSWER
    door.state = 'waiting'
    door.requestId = requestId
    door.follow = this.#options.requests.watch(door.person, requestId, (standing) => this.#heard(door, standing))
    return { kind: 'waiting', lines: [...lines, WHILE_WAITING] }
  }

  #heard(door: Door, { state, lines }: RequestStanding): void {
    if (!this.#doors.has(door.id)) return
    if (state === 'pending') door.tell({ kind: 'progress', lines })
    else if (state === 'approved') this.#go(door, lines)
    else this.#over(door, lines)
  }

  #openSoon(door: Door): void {
    if (door.state === 'waiting') door.lag ??= this.#options.clock.after(NEWS_LAG_MS, () => this.#go(door, []))
  }

  /** The door stays until authorize() takes it. */
  #go(door: Door, lines: readonly string[]): void {
    door.lag?.cancel()
    door.follow?.stop()
    door.tell({ kind: 'go', lines })
  }

  #over(door: Door, lines: readonly string[]): void {
    this.#remove(door.id)
    door.tell({ kind: 'over', lines })
  }

  #tooLong({ requestId }: Door): readonly string[] {
    const length = formatDuration(this.#options.limits.longestMs)
    if (requestId === null) return [`sallyport: no reason was given within ${length}`]
    return [
      `sallyport: nobody has decided within ${length}; the request stays open`,
      '  Once it is approved, the same command works at once. To wait for it:',
      `    sally request show ${requestId} --wait`,
    ]
  }

  #remove(id: string): void {
    const door = this.#doors.get(id)
    if (!door) return
    this.#doors.delete(id)
    door.timer.cancel()
    door.lag?.cancel()
    door.follow?.stop()
  }

  async #inTurn(userId: string, work: () => Promise<AskAnswer>): Promise<AskAnswer> {
    const before = this.#turns.get(userId) ?? Promise.resolve()
    const turn = before.then(work)
    const settled = turn.catch((error: unknown) => this.#options.log.error({ err: error }, 'an ask at the door failed'))
    this.#turns.set(userId, settled)
    try {
      return await turn
    } catch {
      return {
        kind: 'refused',
        code: 'store_unavailable',
        lines: ['sallyport: this cannot be asked for at the moment'],
      }
    } finally {
      if (this.#turns.get(userId) === settled) this.#turns.delete(userId)
    }
  }
}

const GONE = ['sallyport: access can no longer be asked for on this connection']
const GONE_ANSWER: AskAnswer = { kind: 'refused', code: 'access_denied', lines: GONE }
const WHILE_WAITING = 'Seeking request approval... (Ctrl-C leaves the request open)'
/** What is typed where a reason may be missing: an empty answer is also what ssh gives when nobody sits there. */
const NO_REASON = '-'
const NOTHING_ASKED: AskAnswer = { kind: 'refused', code: 'access_denied', lines: ['sallyport: nothing was asked'] }
const ABOUT_THE_REASON = new Set<string>(['reason_required', 'malformed', 'over_limit'])

/** `dba`; a server is named, and by which role only where there is a choice. */
const nameOf = ({ roles, resources }: AskWay): string =>
  resources.length === 0 ? roles.join(', ') : resources.map(({ kind, name }) => `${kind}/${name}`).join(', ')

const otherName = (way: AskWay): string =>
  way.resources.length === 0 ? nameOf(way) : `${nameOf(way)} by ${way.roles.join(', ')}`

function promptFor({ ways }: Denied, way: AskWay): AskAnswer {
  const others = ways.slice(1, 5).map(otherName)
  const more = others.length === 0 ? [] : [`  Others that would help: ${others.join('; ')} (see sally request create)`]
  const lines = [
    `sallyport: to ask for ${nameOf(way)} for ${formatDuration(usualDuration(way))} right here, give the reason (Ctrl-C: do not ask)`,
    ...more,
  ]
  return { kind: 'prompt', lines, prompt: promptOf(way) }
}

const again = (way: AskWay, why: string): AskAnswer => ({
  kind: 'prompt',
  lines: [`sallyport: ${why}`],
  prompt: promptOf(way),
})

function promptOf({ reason }: AskWay): string {
  const what = reason.prompt ?? 'Reason'
  return reason.required ? `${what}: ` : `${what} (${NO_REASON} for none): `
}

const tooMany = (why: string): AskAnswer => ({ kind: 'refused', code: 'session_limit', lines: [`sallyport: ${why}`] })

function placeOf(input: AuthorizeInput): Pick<WantedAtDoor, 'place' | 'account'> {
  if (input.protocol === 'ssh') return { place: { kind: 'node', name: input.node }, account: input.login }
  return { place: { kind: 'database', name: input.database }, account: input.dbUser }
}

function isSameSignIn(a: AuthorizeInput, b: AuthorizeInput): boolean {
  const samePerson =
    a.userId === b.userId && a.loginSessionId === b.loginSessionId && a.keyFingerprint === b.keyFingerprint
  if (!samePerson) return false
  if (a.protocol === 'ssh') {
    if (b.protocol !== 'ssh' || !isSame(a.proof.sessionId, b.proof.sessionId)) return false
    return a.node === b.node && a.login === b.login
  }
  if (b.protocol !== a.protocol || !isSame(a.certificate, b.certificate)) return false
  return a.address === b.address && a.database === b.database && a.dbUser === b.dbUser && a.dbName === b.dbName
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b)
