import { randomBytes } from 'node:crypto'
import type { Deed, DeedLog, NewEvent, RowRef, Tx } from '../audit/deed.ts'
import type { Actor } from '../contract/audit.ts'
import { Bug, Refused } from '../foundation/errors.ts'
import type { Clock } from '../foundation/clock.ts'
import { newId } from '../foundation/ids.ts'
import type { Log } from '../foundation/log.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import type { StoredGrant } from '../grants/stored-grant.ts'
import { rowsUsed, useGrant } from '../grants/use-grant.ts'
import type { Sealer } from '../identity/sealing.ts'
import { recordingFile, recordingPath } from '../recording/recordings-folder.ts'
import type { AuthorizationFacts, SshPermissions } from './authorization.ts'
import type {
  AskAnswer,
  AskInput,
  AuthorizeAnswer,
  AuthorizeInput,
  ControlPlane,
  EndNotice,
  MintInput,
  RecordingHead,
  RequestNews,
  SessionEnd,
  SessionRecordEvent,
} from './control-plane.ts'
import type { AskAtDoor } from './ask-at-door.ts'
import { Doors, type WaitingLimits } from './doors.ts'
import { endSessionDeed } from './end-session.ts'
import { decideAccess, type AccessDecision } from './decide-access.ts'
import { RowProof, rowsBehind } from './row-proof.ts'
import { LiveSessions, type LiveSession, type Recheck } from './live-sessions.ts'

const AUTHORIZATION_LIFE_MS = 30_000

export interface OnwardOrder {
  readonly publicKey: Uint8Array
  readonly login: string
  readonly userName: string
  readonly sessionId: string
  readonly sourceAddress: string | null
  readonly permissions: SshPermissions
}

export interface LocalControlPlaneOptions {
  readonly deeds: DeedLog
  readonly snapshot: Snapshot
  readonly sealer: Sealer
  readonly mintOnward: (order: OnwardOrder) => Promise<Uint8Array>
  readonly reportAuthFailure: (failure: { address: string; code: string }) => void
  readonly recordingsDir: string
  /** This daemon among those on one store */
  readonly instanceId: string | null
  /** Resolves when everything that is stored is known here (DeedLog.catchUp) */
  readonly catchUp: () => Promise<void>
  readonly offlineGraceMs: number
  /** Why a client is not who a worker says (sign-in-proof.ts); null when it is proven. `again`: it was, and waited. */
  readonly checkSignIn: (input: AuthorizeInput, again: boolean) => string | null
  /** Absent: nothing can be asked for within a connection */
  readonly asking?: { readonly requests: AskAtDoor; readonly limits: WaitingLimits }
  /** Why a row is not what its event says (audit/check-row.ts) */
  readonly checkRow: (ref: RowRef) => Promise<string | null>
  readonly clock: Clock
  readonly log: Log
}

interface Mintable {
  readonly facts: AuthorizationFacts
  readonly input: AuthorizeInput
  readonly until: number
}

type Outcome =
  | { readonly ok: true; readonly facts: AuthorizationFacts; readonly recheckAt: number | null }
  | Extract<AuthorizeAnswer, { ok: false }>

/** Somebody else has started it, or something else permits the access by now. */
class NothingToStart extends Error {}

/** The side that holds keys and the store. Everything it decides, it stores first; everything it ends, it ends first. */
export class LocalControlPlane implements ControlPlane {
  readonly live: LiveSessions
  /** Null: nothing can be asked for within a connection */
  readonly doors: Doors | null
  readonly #options: LocalControlPlaneOptions
  readonly #mintable = new Map<string, Mintable>()
  readonly #heads = new Map<string, RecordingHead>()
  readonly #proof: RowProof
  #closing = false

  constructor(options: LocalControlPlaneOptions) {
    this.#options = options
    this.#proof = new RowProof(options.checkRow)
    this.live = new LiveSessions({
      clock: options.clock,
      decide: (session, now) => this.#decideLive(session, now),
      onRecheck: (recheck) => void this.#storeRecheck(recheck),
    })
    const { clock, log, asking } = options
    const decide = (input: AuthorizeInput): AccessDecision => this.#decideNew(input, clock.now())
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
      return unproven === null ? await this.#authorizeFresh(input) : this.#refuseUnproven(input, unproven)
    } catch (error) {
      const code = error instanceof Refused ? error.code : 'store_unavailable'
      this.#options.log.error({ err: error instanceof Error ? error.message : String(error), code }, 'authorize failed')
      return refuse(code, [
        'sallyport: this access cannot be recorded now, so it is not given',
        '  Try again later, or tell the operators: sallyctl status',
      ])
    }
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

  async mint(input: MintInput): Promise<{ certificate: Uint8Array }> {
    const mintable = this.#mintable.get(input.authorizationId)
    this.#mintable.delete(input.authorizationId)
    const { clock, mintOnward } = this.#options
    if (!mintable || clock.monotonic() > mintable.until) {
      throw new Refused('not_allowed', 'this authorization was used before, has expired or never was')
    }
    const { facts } = mintable
    const session = this.live.get(facts.sessionId)
    if (!session || !this.live.recheck(session)) throw new Refused('access_denied', 'this session is over')
    const certificate = await mintOnward({
      publicKey: input.publicKey,
      login: facts.login,
      userName: facts.user.name,
      sessionId: facts.sessionId,
      permissions: facts.permissions,
      sourceAddress: input.sourceAddress,
    })
    return { certificate }
  }

  /** What other daemons have taken away meanwhile is seen here, before the first byte. */
  async startUse(sessionId: string): Promise<{ ok: true } | { ok: false; text: string }> {
    const session = this.live.get(sessionId)
    if (!session) return { ok: false, text: 'this session is not known any more' }
    try {
      await this.#options.catchUp()
      if (this.live.recheck(session)) await this.#startGrant(session)
    } catch (error) {
      this.#options.log.error({ session: sessionId, err: String(error) }, 'the first use of a grant was not stored')
      return { ok: false, text: 'this access cannot be recorded now, so it is not given' }
    }
    session.isUsed = true
    if (this.live.recheck(session)) return { ok: true }
    return { ok: false, text: session.endText ?? 'access ended' }
  }

  /** Starts the clock of the grant that this session needs, when it waits for its first use and nothing else permits it. */
  async #startGrant(session: LiveSession): Promise<void> {
    if (this.#startedBy(session, this.#options.clock.now()) === null) return
    const started = this.#decideFresh<null>(async (tx, now) => {
      const grant = this.#startedBy(session, now)
      if (!grant) throw new NothingToStart()
      const used = await useGrant(tx, grant, now)
      if (!used) throw new Bug(`grant ${grant.id} is not as the snapshot has it`)
      const details = { user: grant.user_id, startsAt: now, endsAt: used.endsAt, by: 'first use' }
      const about = { ...this.#about(session), request: grant.request_id, grants: [grant.id] }
      const event: NewEvent = { type: 'grant.start', ...about, outcome: 'success', details, rows: rowsUsed(grant) }
      return { result: null, events: [event] }
    })
    await started.catch((error: unknown) => {
      if (!(error instanceof NothingToStart)) throw error
    })
  }

  #startedBy(session: LiveSession, now: number): StoredGrant | null {
    const decision = this.#decideLive(session, now)
    return decision.ok ? decision.starts : null
  }

  watchEnd(sessionId: string, onNotice: (notice: EndNotice) => void): { stop(): void } {
    return this.live.watch(sessionId, onNotice)
  }

  async append(sessionId: string, event: SessionRecordEvent): Promise<void> {
    const session = this.live.get(sessionId)
    if (!session || session.endText !== null) throw new Refused('access_denied', 'this session is over')
    const { type, ...details } = event
    const allowed = this.#use(session, event)
    await this.#options.deeds.commitDeed(() =>
      Promise.resolve({
        result: null,
        events: [{ type: eventType(type), ...this.#about(session), outcome: allowed ? 'success' : 'refused', details }],
      }),
    )
    if (!allowed && !('allowed' in event && !event.allowed))
      throw new Refused('access_denied', `${type} is not permitted`)
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
      about: this.#about(session),
    }
    await this.#options.deeds.commitTakingAway({ name: 'end_session', input }, (tx, now) =>
      endSessionDeed(tx, now, input),
    )
  }

  reportAuthFailure(failure: { address: string; code: string }): void {
    this.#options.reportAuthFailure(failure)
  }

  silentFor(): number {
    return 0
  }

  async #authorizeFresh(input: AuthorizeInput): Promise<AuthorizeAnswer> {
    await this.#options.catchUp()
    const altered = await this.#alteredRow(input)
    if (altered !== null) return this.#refuseAltered(input, altered)
    const outcome = await this.#decideFresh<Outcome>(async (tx, now) => {
      const decision = this.#decideNew(input, now)
      return decision.ok ? this.#sessionStart(tx, input, decision, now) : this.#sessionReject(input, decision)
    })
    if (outcome.ok) this.#register(input, outcome.facts, outcome.recheckAt)
    return outcome.ok ? { ok: true, facts: outcome.facts } : this.#withDoor(input, outcome)
  }

  /** A deed that decides by the snapshot, which is brought up to the store's head of the deciding transaction. */
  #decideFresh<T>(work: (tx: Tx, now: number) => Promise<Deed<T>> | Deed<T>): Promise<T> {
    const { deeds, snapshot } = this.#options
    return deeds.commitDeed<T>(
      async (tx, now) => {
        const head = await tx.selectFrom('chain_head').select('seq').executeTakeFirst()
        const position = head?.seq ?? 0
        // Other daemons have written: nobody does now, so what is read beside this transaction is what it would read itself.
        if (position !== snapshot.position) await snapshot.apply({ position, rows: [] })
        if (position !== snapshot.position) throw new Refused('store_unavailable', 'the store went back behind us')
        return work(tx, now)
      },
      { first: true },
    )
  }

  /** Whoever waited once is not asked a second time. */
  #withDoor(input: AuthorizeInput, refused: Extract<Outcome, { ok: false }>): AuthorizeAnswer {
    if (input.door !== undefined) return refused
    const name = this.#options.snapshot.user(input.userId)?.name ?? ''
    const door = this.doors?.offer(input, this.#decideNew(input, this.#options.clock.now()), name)
    return door === undefined ? refused : { ...refused, door }
  }

  async #alteredRow(input: AuthorizeInput): Promise<string | null> {
    const decision = this.#decideNew(input, this.#options.clock.now())
    return decision.ok ? this.#proof.trouble(rowsBehind(decision, input.loginSessionId)) : null
  }

  async #refuseAltered(input: AuthorizeInput, altered: string): Promise<AuthorizeAnswer> {
    this.#options.log.error({ altered }, 'somebody changed the store behind our back; run: sallyctl audit verify')
    const lines = [
      'sallyport: this access cannot be proven, so it is not given',
      '  Tell the operators: sallyctl audit verify',
    ]
    const decision = { ok: false, code: 'row_altered', lines, ended: altered, ways: [], asksInside: false } as const
    return this.#options.deeds.commitDeed(() => Promise.resolve(this.#sessionReject(input, decision, { altered })))
  }

  #decideNew(input: AuthorizeInput, now: number): AccessDecision {
    return decideAccess(this.#options.snapshot, { ...input, live: null }, now)
  }

  #decideLive(session: LiveSession, now: number): AccessDecision {
    const { input, facts } = session
    const question = {
      ...input,
      node: this.#options.snapshot.node(facts.node.id)?.name ?? '',
      login: facts.login,
      live: { startedAt: session.startedAt, grants: session.grants, isUsed: session.isUsed },
    }
    return decideAccess(this.#options.snapshot, question, now)
  }

  async #sessionStart(
    tx: Tx,
    input: AuthorizeInput,
    decision: Extract<AccessDecision, { ok: true }>,
    now: number,
  ): Promise<Deed<Outcome>> {
    const facts = this.#facts(input, decision, now)
    const { key, keyId } = facts.recording
    const file = recordingFile(facts.sessionId)
    await tx
      .insertInto('sessions')
      .values({
        id: facts.sessionId,
        event_id: '',
        user_id: facts.user.id,
        login_id: facts.loginSessionId,
        protocol: 'ssh',
        node_id: facts.node.id,
        node_name: facts.node.name,
        login: facts.login,
        address: input.address,
        request_ids_json: JSON.stringify(facts.requests),
        grant_ids_json: JSON.stringify(facts.grants),
        started_at: now,
        ended_at: null,
        end_reason: null,
        recording_file: file,
        recording_key_sealed: this.#options.sealer.seal(
          { table: 'sessions', row: facts.sessionId, column: 'recording_key_sealed' },
          key,
        ),
        recording_key_id: keyId,
        recording_mode: facts.recording.mode,
        recording_state: 'open',
        recording_bytes: 0,
        recording_head: null,
        recording_chunks: 0,
        contents_json: '[]',
        instance_id: this.#options.instanceId,
      })
      .execute()
    const event: NewEvent = {
      type: 'session.start',
      ...about(facts),
      outcome: 'success',
      details: {
        login: facts.login,
        address: input.address,
        certificate: input.certificateSerial,
        roles: decision.roles.map((role) => role.name),
        recording: file,
        mode: facts.recording.mode,
        position: facts.position,
        endsAt: facts.endsAt,
      },
      rows: [{ table: 'sessions', id: facts.sessionId }],
    }
    return { result: { ok: true, facts, recheckAt: decision.recheckAt }, events: [event] }
  }

  #sessionReject(
    input: AuthorizeInput,
    decision: Extract<AccessDecision, { ok: false }>,
    more: { readonly altered?: string } = {},
  ): Deed<Extract<Outcome, { ok: false }>> {
    const user = this.#options.snapshot.user(input.userId)
    const event: NewEvent = {
      type: 'session.reject',
      actor: { kind: 'user', id: input.userId, name: user?.name ?? input.userId },
      login: input.loginSessionId,
      outcome: 'refused',
      details: { code: decision.code, node: input.node, login: input.login, address: input.address, ...more },
    }
    return { result: { ok: false, code: decision.code, lines: decision.lines }, events: [event] }
  }

  #facts(input: AuthorizeInput, decision: Extract<AccessDecision, { ok: true }>, now: number): AuthorizationFacts {
    const { snapshot, recordingsDir, offlineGraceMs } = this.#options
    const { user, node, options, grants } = decision
    const sessionId = newId('session', now)
    const [host, port] = splitAddress(node.address)
    return {
      id: newId('authorization', now),
      sessionId,
      user: { id: user.id, name: user.name },
      loginSessionId: input.loginSessionId,
      node: {
        id: node.id,
        name: node.name,
        host,
        port,
        hostKey: node.host_key,
        hostAuthority: node.host_authority,
        hostPrincipal: node.host_principal,
      },
      login: decision.login,
      grants: grants.map((grant) => grant.id),
      requests: grants.map((grant) => grant.request_id),
      permissions: {
        pty: true,
        portForwarding: options.portForwarding,
        agentForwarding: options.agentForwarding,
        forceCommand: null,
      },
      endsAt: decision.endsAt,
      endText: decision.endText,
      budgetMs: decision.endsAt === null ? null : Math.max(0, decision.endsAt - now),
      idleMs: options.idleMs,
      offlineGraceMs: Math.min(offlineGraceMs, options.offlineGraceMs ?? offlineGraceMs),
      recording: {
        path: recordingPath(recordingsDir, recordingFile(sessionId)),
        keyId: `key_${randomBytes(8).toString('hex')}`,
        key: randomBytes(32),
        mode: options.recordSession,
        recordInput: options.recordInput,
      },
      position: snapshot.position,
    }
  }

  #register(input: AuthorizeInput, facts: AuthorizationFacts, recheckAt: number | null): void {
    const { clock } = this.#options
    const session: LiveSession = {
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
      portForwarding: facts.permissions.portForwarding,
      agentForwarding: facts.permissions.agentForwarding,
      endCode: null,
      endText: null,
    }
    this.live.register(session, recheckAt)
    this.#mintable.set(facts.id, { facts, input, until: clock.monotonic() + AUTHORIZATION_LIFE_MS })
    clock.after(AUTHORIZATION_LIFE_MS, () => this.#mintable.delete(facts.id))
  }

  /** Marks what the session uses from now on; false when it may not. */
  #use(session: LiveSession, event: SessionRecordEvent): boolean {
    if (event.type === 'port_forward') {
      if (!event.allowed || !session.portForwarding) return false
      session.used.portForwarding = true
    }
    if (event.type === 'agent_forward') {
      if (!event.allowed || !session.agentForwarding) return false
      session.used.agentForwarding = true
    }
    return true
  }

  #about(session: LiveSession) {
    return { ...about(session.facts), grants: session.grants }
  }

  async #storeRecheck(recheck: Recheck): Promise<void> {
    // The end itself is stored by endSession, once the worker says how the recording closed.
    if (recheck.kind === 'ended') return
    const { session } = recheck
    try {
      await this.#options.deeds.commitDeed(() =>
        Promise.resolve({
          result: null,
          events: [
            {
              type: 'session.reauthorized',
              ...this.#about(session),
              actor: { kind: 'system', id: null, name: 'live sessions' },
              outcome: 'success',
              details: { endsAt: session.endsAt },
            },
          ],
        }),
      )
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

const eventType = (type: SessionRecordEvent['type']): NewEvent['type'] => (type === 'shell' ? 'exec' : type)

function about(facts: AuthorizationFacts) {
  const actor: Actor = { kind: 'user', id: facts.user.id, name: facts.user.name }
  return {
    actor,
    login: facts.loginSessionId,
    request: facts.requests[0] ?? null,
    grants: facts.grants,
    session: facts.sessionId,
    resource: { kind: 'node', id: facts.node.id, name: facts.node.name },
  }
}

function splitAddress(address: string): [string, number] {
  const at = address.lastIndexOf(':')
  const host = address.slice(0, at)
  return [host.startsWith('[') ? host.slice(1, -1) : host, Number(address.slice(at + 1))]
}
