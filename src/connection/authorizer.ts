import type { Deed, DeedLog, RowRef, Tx } from '../audit/deed.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Log } from '../foundation/log.ts'
import type { Snapshot } from '../grants/snapshot.ts'
import type { Sealer } from '../identity/sealing.ts'
import type { AuthorizationFacts } from './authorization.ts'
import type { AuthorizeAnswer, AuthorizeInput } from './control-plane.ts'
import { decideAccess, type AccessDecision } from './decide-access.ts'
import { decideFresh } from './decide-fresh.ts'
import { RowProof, rowsBehind } from './row-proof.ts'
import { rejectSession, sessionFacts, startSession } from './session-start.ts'

export interface AuthorizerOptions {
  readonly deeds: DeedLog
  readonly snapshot: Snapshot
  readonly sealer: Sealer
  readonly recordingsDir: string
  /** This daemon among those on one store */
  readonly instanceId: string | null
  /** Resolves when everything that is stored is known here (DeedLog.catchUp) */
  readonly catchUp: () => Promise<void>
  readonly offlineGraceMs: number
  /** Why a row is not what its event says (audit/check-row.ts) */
  readonly checkRow: (ref: RowRef) => Promise<string | null>
  readonly clock: Clock
  readonly log: Log
}

export type Outcome =
  | { readonly ok: true; readonly facts: AuthorizationFacts; readonly recheckAt: number | null }
  | Extract<AuthorizeAnswer, { ok: false }>

type Allowed = Extract<AccessDecision, { ok: true }>

/** Decides about new connections, of whatever protocol, and stores the answer before it gives it. */
export class Authorizer {
  readonly #options: AuthorizerOptions
  readonly #proof: RowProof

  constructor(options: AuthorizerOptions) {
    this.#options = options
    this.#proof = new RowProof(options.checkRow)
  }

  /** The rule alone: nothing is stored. */
  decide(input: AuthorizeInput, now: number): AccessDecision {
    return decideAccess(this.#options.snapshot, { ...input, live: null }, now)
  }

  /** Who asks is proven by now. On yes the session's row and its `session.start` are stored, on no a `session.reject`. */
  async authorize(input: AuthorizeInput): Promise<Outcome> {
    await this.#options.catchUp()
    const altered = await this.#alteredRow(input)
    if (altered !== null) return this.#refuseAltered(input, altered)
    return decideFresh<Outcome>(this.#options, async (tx, now) => {
      const decision = this.decide(input, now)
      return decision.ok ? this.#start(tx, input, decision, now) : rejectSession(input, decision, this.#nameOf(input))
    })
  }

  async #start(tx: Tx, input: AuthorizeInput, decision: Allowed, now: number): Promise<Deed<Outcome>> {
    const { snapshot } = this.#options
    const wanted = sessionFacts(input, decision, { ...this.#options, position: snapshot.position }, now)
    const { facts, events } = await startSession(tx, input, wanted, decision, this.#options, now)
    return { result: { ok: true, facts, recheckAt: decision.recheckAt }, events }
  }

  async #alteredRow(input: AuthorizeInput): Promise<string | null> {
    const decision = this.decide(input, this.#options.clock.now())
    return decision.ok ? this.#proof.trouble(rowsBehind(decision, input.loginSessionId)) : null
  }

  async #refuseAltered(input: AuthorizeInput, altered: string): Promise<Outcome> {
    this.#options.log.error({ altered }, 'somebody changed the store behind our back; run: sallyctl audit verify')
    const lines = [
      'sallyport: this access cannot be proven, so it is not given',
      '  Tell the operators: sallyctl audit verify',
    ]
    const rejected = rejectSession(input, { code: 'row_altered', lines }, this.#nameOf(input), { altered })
    return this.#options.deeds.commitDeed(() => Promise.resolve(rejected))
  }

  #nameOf(input: AuthorizeInput): string | undefined {
    return this.#options.snapshot.user(input.userId)?.name
  }
}
