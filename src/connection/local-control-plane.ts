import { Refused } from '../foundation/errors.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import type { AuthorizationFacts, DatabaseFacts } from './authorization.ts'
import type {
  AskAnswer,
  AskInput,
  AuthorizeAnswer,
  AuthorizeInput,
  ControlPlane,
  EndNotice,
  MintInput,
  Minted,
  RecordingHead,
  RequestNews,
  SessionEnd,
  SessionRecordEvent,
} from './control-plane.ts'
import type { AskAtDoor } from './ask-at-door.ts'
import { Authorizer, type AuthorizerOptions } from './authorizer.ts'
import { decideAccess, type AccessDecision } from './decide-access.ts'
import { Doors, type WaitingLimits } from './doors.ts'
import { endSessionDeed } from './end-session.ts'
import { startFirstUse } from './first-use.ts'
import type { JustInTimeUsers } from './just-in-time/just-in-time-users.ts'
import { mintFor, type Credentials } from './credentials.ts'
import { LiveSessions, newLiveSession, type LiveSession, type Recheck } from './live-sessions.ts'
import { aboutLive, markUse, reauthorizedDeed, useDeed } from './session-deeds.ts'
import type { Wanted } from './target.ts'
import { UnspentAuthorizations } from './unspent-authorizations.ts'

export interface LocalControlPlaneOptions extends AuthorizerOptions {
  readonly credentials: Credentials
  readonly reportAuthFailure: (failure: { address: string; code: string }) => void
  /** Why a client is not who a worker says (sign-in-proof.ts); null when it is proven. `again`: it was, and waited. */
  readonly checkSignIn: (input: AuthorizeInput, again: boolean) => string | null
  /** Users of databases that are made on connect. Absent: none are */
  readonly justInTime?: Pick<JustInTimeUsers, 'open' | 'released'>
  /** Absent: nothing can be asked for within a connection */
  readonly asking?: { readonly requests: AskAtDoor; readonly limits: WaitingLimits }
}

/** The side that holds keys and the store. Everything it decides, it stores first; everything it ends, it ends first. */
export class LocalControlPlane implements ControlPlane {
  readonly live: LiveSessions
  /** Null: nothing can be asked for within a connection */
  readonly doors: Doors | null
  readonly #options: LocalControlPlaneOptions
  readonly #authorizer: Authorizer
  readonly #mintedToEnd = new WeakSet<LiveSession>()
  readonly #unspent: UnspentAuthorizations
  readonly #heads = new Map<string, RecordingHead>()
  #closing = false

  constructor(options: LocalControlPlaneOptions) {
    const { clock, log, asking } = options
    this.#options = options
    this.#authorizer = new Authorizer(options)
    this.#unspent = new UnspentAuthorizations(clock)
    this.live = new LiveSessions({
      clock,
      decide: (session, now) => this.#decideLive(session, now),
      onRecheck: (recheck) => void this.#storeRecheck(recheck),
    })
    const decide = (input: AuthorizeInput): AccessDecision => this.#authorizer.decide(input, clock.now())
    this.doors = asking ? new Doors({ ...asking, decide, clock, log }) : null
  }

  /** From now on nothing new is authorized. */
  refuseNew(): void {
    this.#closing = true
  }

  /** Heads of recordings that are being written, for checkpoints: session id -> head. */
  openHeads(): ReadonlyMap<string, RecordingHead> {
    return this.#heads
  }

  async authorize(input: AuthorizeInput): Promise<AuthorizeAnswer> {
    if (this.#closing) return refuse('shutting_down', [STOPPING])
    try {
      const again = input.door !== undefined
      if (again && !this.doors?.take(input)) return refuse('access_denied', ['sallyport: this sign-in waits no more'])
      const unproven = this.#options.checkSignIn(input, again)
      return unproven === null ? await this.#authorizeProven(input) : this.#refuseUnproven(input, unproven)
    } catch (error) {
      const code = error instanceof Refused ? error.code : 'store_unavailable'
      this.#options.log.error({ err: error instanceof Error ? error.message : String(error), code }, 'authorize failed')
      return refuse(code, [
        'sallyport: this access cannot be recorded now, so it is not given',
        '  Try again later, or tell the operators: sallyctl status',
      ])
    }
  }

  async #authorizeProven(input: AuthorizeInput): Promise<AuthorizeAnswer> {
    const outcome = await this.#authorizer.authorize(input)
    if (!outcome.ok) return outcome.code === 'row_altered' ? outcome : this.#withDoor(input, outcome)
    const { facts, recheckAt } = outcome
    this.live.register(newLiveSession(input, facts, this.#options.clock), recheckAt)
    this.#unspent.keep(facts)
    return { ok: true, facts }
  }

  /** Whoever waited once is not asked a second time. */
  #withDoor(input: AuthorizeInput, refused: Extract<AuthorizeAnswer, { ok: false }>): AuthorizeAnswer {
    if (input.door !== undefined) return refused
    const name = this.#options.snapshot.user(input.userId)?.name ?? ''
    const door = this.doors?.offer(input, this.#authorizer.decide(input, this.#options.clock.now()), name)
    return door === undefined ? refused : { ...refused, door }
  }

  /** The worker has judged the same: either its clock or authorities differ for a moment, or it is not to be believed. */
  #refuseUnproven({ address, userId }: AuthorizeInput, why: string): AuthorizeAnswer {
    this.#options.log.error({ why, address, user: userId }, 'a relay worker named a client that is not proven')
    this.#options.reportAuthFailure({ address, code: why })
    return refuse('not_signed_in', ['sallyport: who you are could not be proven', '  run: sally login'])
  }

  async ask(input: AskInput): Promise<AskAnswer> {
    if (this.#closing || !this.doors) return { kind: 'refused', code: 'shutting_down', lines: [STOPPING] }
    return this.doors.ask(input)
  }

  watchRequest(door: string, onNews: (news: RequestNews) => void): { stop(): void } {
    return this.doors?.watch(door, onNews) ?? { stop: () => {} }
  }

  async mint(input: MintInput): Promise<Minted> {
    if (input.kind === 'x509-certificate' && input.toEnd) return this.#mintToEnd(input)
    const facts = this.#unspent.take(input.authorizationId)
    const session = this.live.get(facts.sessionId)
    if (!session || !this.live.recheck(session)) throw new Refused('access_denied', 'this session is over')
    if (facts.protocol === 'ssh' || !facts.justInTime) return mintFor(facts, input, this.#options.credentials)
    const password = await this.#openUser(facts, session)
    // What was taken away, or closed, while it was being made.
    if (this.live.get(facts.sessionId) !== session || !this.live.recheck(session))
      throw new Refused('access_denied', 'this session is over')
    return password === null ? mintFor(facts, input, this.#options.credentials) : { kind: 'password', password }
  }

  #openUser(facts: DatabaseFacts, session: LiveSession): Promise<string | null> {
    const { justInTime } = this.#options
    if (!justInTime) throw new Refused('upstream_refused', 'no users are made on databases here')
    return justInTime.open(facts, () => session.endText === null && this.live.get(facts.sessionId) === session)
  }

  /** For a session that is over or about to be, so nothing is checked but that there is one: it takes power away. */
  #mintToEnd(input: MintInput): Promise<Minted> {
    const session = this.live.all().find(({ facts }) => facts.id === input.authorizationId)
    if (session?.facts.protocol !== 'mysql' || this.#mintedToEnd.has(session))
      throw new Refused('not_allowed', 'there is no session to end, or it was given what ends it')
    this.#mintedToEnd.add(session)
    return mintFor(session.facts, input, this.#options.credentials)
  }

  /** What other daemons have taken away meanwhile is seen here, before the first byte. */
  async startUse(sessionId: string): Promise<{ ok: true } | { ok: false; text: string }> {
    const session = this.live.get(sessionId)
    if (!session) return { ok: false, text: 'this session is not known any more' }
    try {
      await this.#options.catchUp()
      if (this.live.recheck(session)) {
        const decide = (one: LiveSession, now: number): AccessDecision => this.#decideLive(one, now)
        await startFirstUse({ ...this.#options, decide }, session)
      }
    } catch (error) {
      this.#options.log.error({ session: sessionId, err: String(error) }, 'the first use of a grant was not stored')
      return { ok: false, text: 'this access cannot be recorded now, so it is not given' }
    }
    session.isUsed = true
    if (this.live.recheck(session)) return { ok: true }
    return { ok: false, text: session.endText ?? 'access ended' }
  }

  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    return this.live.watch(sessionId, onNotice)
  }

  async append(sessionId: string, event: SessionRecordEvent): Promise<void> {
    const session = this.live.get(sessionId)
    if (!session || session.endText !== null) throw new Refused('access_denied', 'this session is over')
    const allowed = markUse(session, event)
    await this.#options.deeds.commitDeed(() => Promise.resolve(useDeed(session, event, allowed)))
    if (!allowed && !('allowed' in event && !event.allowed))
      throw new Refused('access_denied', `${event.type} is not permitted`)
  }

  reportHeads(heads: ReadonlyMap<string, RecordingHead>): void {
    for (const [id, head] of heads) if (this.live.get(id)) this.#heads.set(id, head)
  }

  async endSession(sessionId: string, end: SessionEnd): Promise<void> {
    const session = this.live.get(sessionId)
    this.#heads.delete(sessionId)
    if (!session) return
    this.live.remove(sessionId)
    const input = {
      sessionId,
      code: session.endCode ?? end.reason,
      text: session.endText,
      complete: end.complete,
      contents: end.contents,
      head: end.head,
      about: aboutLive(session),
    }
    try {
      await this.#options.deeds.commitTakingAway({ name: 'end_session', input }, (tx, now) =>
        endSessionDeed(tx, now, input),
      )
    } finally {
      const { facts } = session
      if (facts.protocol !== 'ssh' && facts.justInTime) this.#options.justInTime?.released(facts.justInTime.id)
    }
  }

  reportAuthFailure(failure: { address: string; code: string }): void {
    this.#options.reportAuthFailure(failure)
  }

  silentFor(): number {
    return 0
  }

  #decideLive(session: LiveSession, now: number): AccessDecision {
    const { input, facts } = session
    const { snapshot } = this.#options
    const asker = { userId: input.userId, loginSessionId: input.loginSessionId, keyFingerprint: input.keyFingerprint }
    const live = { startedAt: session.startedAt, grants: session.grants, isUsed: session.isUsed }
    return decideAccess(snapshot, { ...asker, ...usedNow(snapshot, facts), live }, now)
  }

  async #storeRecheck(recheck: Recheck): Promise<void> {
    // The end itself is stored by endSession, once the worker says how the recording closed.
    if (recheck.kind === 'ended') return
    const { session } = recheck
    try {
      await this.#options.deeds.commitDeed(() => Promise.resolve(reauthorizedDeed(session)))
    } catch (error) {
      this.#options.log.error(
        { session: session.facts.sessionId, err: String(error) },
        'session.reauthorized not stored',
      )
      this.live.end(session, 'store_unavailable', 'this access cannot be recorded any more')
    }
  }
}

const STOPPING = 'sallyport: the proxy is stopping; try again in a moment'

const refuse = (code: string, lines: readonly string[]): AuthorizeAnswer => ({ ok: false, code, lines })

/** What a session uses, under the names that it has now. */
function usedNow(snapshot: Snapshot, facts: AuthorizationFacts): Wanted {
  if (facts.protocol === 'ssh')
    return { protocol: 'ssh', node: snapshot.node(facts.node.id)?.name ?? '', login: facts.login }
  const { protocol, database, dbUser, dbName, justInTime } = facts
  const held = justInTime === undefined ? {} : { dbRoles: justInTime.dbRoles }
  return { protocol, database: snapshot.database(database.id)?.name ?? '', dbUser, dbName, ...held }
}
