import type { Kysely } from 'kysely'
import { confirmed, confirmedTaking, type Confirmation } from '../audit/confirmation.ts'
import type { DeedLog } from '../audit/deed.ts'
import type { AccessRequest, AskPreview } from '../contract/request.ts'
import type { RequestChanges } from '../contract/request-change.ts'
import type { RequestPreview } from '../contract/request-preview.ts'
import type { Clock } from '../foundation/clock.ts'
import type { Tables } from '../foundation/database/tables.ts'
import { Refused } from '../foundation/errors.ts'
import type { Log } from '../foundation/log.ts'
import type { TakenAway } from '../grants/snapshot.ts'
import { NO_SANDBOX, withPolicies } from './automate/ask-policies.ts'
import type { Answers, PolicyAsker } from './automate/judge.ts'
import { sayings } from './automate/ruling.ts'
import { annotateDeed } from './annotate/annotate.ts'
import { acknowledgeDeed, checkAcknowledgement } from './break-glass/acknowledge.ts'
import type { BreakGlassAsked } from './break-glass/plan-break-glass.ts'
import { breakGlassDeed } from './break-glass/take-access.ts'
import { askDeed, extensionDeed, forecastAsk, warningsOf, type AskForecast, type AskOutcome } from './ask/ask.ts'
import type { ExtensionAsked } from './ask/plan-extension.ts'
import type { Asked } from './ask/plan-ask.ts'
import { maySee, requestNotFound, type Caller } from './caller.ts'
import { checkBallot, voteDeed, type Ballot } from './decide/cast-vote.ts'
import { lateness, type VoteOutcome } from './end/lateness.ts'
import { cancelDeed } from './end/cancel-request.ts'
import { grantHasEnded, takeBackDeed, ORDERS, type OrderName, type TakeBackInput } from './end/take-back.ts'
import { LIMITS } from './limits.ts'
import { orNothing } from './nothing-to-do.ts'
import { loadCase, loadWhole, withSteps, type RequestCase } from './request-case.ts'
import { findPending, type Wanted } from './show/find-pending.ts'
import { listRequests, type ListQuery } from './show/list-requests.ts'
import { previewRequest } from './show/preview/preview-request.ts'
import { mayRevoke, presentRequest } from './show/present-request.ts'
import { changesSince, endOfChanges } from './show/request-changes.ts'
import { Watchers } from './watchers.ts'

export interface AccessParts {
  /** Last committed state */
  readonly reads: Kysely<Tables>
  readonly deeds: DeedLog
  readonly clock: Clock
  readonly log: Log
  /** Runs policies; left out: those that stand in the store have failed */
  readonly policies?: PolicyAsker
  /** Takes power away in memory, before anything is stored */
  readonly takeAway: (taken: TakenAway, now: number) => void
}

/** Stretches of the change log that one answer goes through in vain. */
const MOST_LOOKS = 20

/** The path of one access request: ask, route, decide, grant, end. A thin shell over the rules in its folders. */
export class AccessRequests {
  readonly #parts: AccessParts
  readonly #watchers = new Watchers()

  constructor(parts: AccessParts) {
    this.#parts = parts
    parts.deeds.onCommitted((committed) => this.#watchers.onCommitted(committed))
  }

  async forecast(caller: Caller, asked: Asked): Promise<AskPreview> {
    const { reads, clock } = this.#parts
    return previewOf(await this.#withPolicies((answers) => forecastAsk(reads, clock.now(), caller, asked, answers)))
  }

  /** Stores the request, or finds the identical one that is pending. */
  async ask(caller: Caller, asked: Asked): Promise<{ request: AccessRequest; existing: boolean }> {
    const { requestId, existing, after } = await this.#ask(caller, asked)
    return { request: await this.#showAfter(caller, requestId, after), existing }
  }

  /** As `ask`, with what the dry run would have said, worked out once. */
  async askAndForecast(
    caller: Caller,
    asked: Asked,
  ): Promise<{ request: AccessRequest; existing: boolean; preview: AskPreview }> {
    const { requestId, existing, forecast, after } = await this.#ask(caller, asked)
    const preview = forecast ? previewOf(forecast()) : await this.forecast(caller, asked)
    return { request: await this.#showAfter(caller, requestId, after), existing, preview }
  }

  #ask(caller: Caller, asked: Asked): Promise<AskOutcome> {
    return orNothing<AskOutcome>(
      this.#withPolicies((answers) =>
        this.#parts.deeds.commitDeed(confirmed(caller, (tx, now) => askDeed(tx, now, caller, asked, answers))),
      ),
    )
  }

  /** Asks for more time for the grant with this id, or that of the request with this id. */
  async extend(caller: Caller, id: string, asked: ExtensionAsked): Promise<AccessRequest> {
    const outcome = await orNothing<AskOutcome>(
      this.#withPolicies((answers) =>
        this.#parts.deeds.commitDeed(
          confirmed(caller, (tx, now) => extensionDeed(tx, now, caller, id, asked, answers)),
        ),
      ),
    )
    return this.show(caller, outcome.requestId)
  }

  /** Takes roles without asking. Refusals for want of the right or of acknowledgements are events. */
  async breakGlass(caller: Caller, asked: BreakGlassAsked): Promise<AccessRequest> {
    try {
      const id = await this.#parts.deeds.commitDeed(
        confirmed(caller, (tx, now) => breakGlassDeed(tx, now, caller, asked)),
      )
      return await this.show(caller, id)
    } catch (error) {
      if (error instanceof Refused) await this.#recordRefusedTaking(caller, asked, error)
      throw error
    }
  }

  async #recordRefusedTaking(caller: Caller, { roles }: BreakGlassAsked, { code }: Refused): Promise<void> {
    if (!['role_not_requestable', 'break_glass_blocked', 'locked', 'duration_over_cap'].includes(code)) return
    const details = { code, roles: roles.slice(0, LIMITS.roles) }
    const event = { type: 'access_request.break_glass', actor: caller.actor, login: caller.loginId, details } as const
    await this.#parts.deeds.commitDeed(async () => ({ result: null, events: [{ ...event, outcome: 'refused' }] }))
  }

  /** Looks first, so that nobody is asked for a second factor for what is refused anyway. */
  async acknowledge(
    caller: Caller,
    id: string,
    comment: string,
    demandFresh: () => Promise<Confirmation | null>,
  ): Promise<AccessRequest> {
    const now = this.#parts.clock.now()
    checkAcknowledgement(await loadCase(this.#parts.reads, id, now), caller, comment, now)
    const confirmation = await demandFresh()
    const deed = confirmed({ confirmation }, (tx, at) => acknowledgeDeed(tx, at, caller, id, comment))
    await orNothing(this.#parts.deeds.commitDeed(deed))
    return this.show(caller, id)
  }

  /** Errors: Refused('not_found'), also for requests that the caller must not know of. */
  async show(caller: Caller, id: string): Promise<AccessRequest> {
    return this.#present(await this.#see(caller, id), caller)
  }

  /** What a deed has left, if it can tell, and else what is there now. Errors: as of `show`. */
  async #showAfter(caller: Caller, id: string, after: RequestCase | null): Promise<AccessRequest> {
    if (!after) return this.show(caller, id)
    if (!maySee(caller, after, this.#parts.clock.now())) throw requestNotFound()
    return this.#present(await withSteps(this.#parts.reads, after), caller)
  }

  #present(loaded: RequestCase, caller: Caller): AccessRequest {
    const shown = presentRequest(loaded, caller, this.#parts.clock.now())
    return { ...shown, look: this.#watchers.looked(viewerOf(caller), shown) }
  }

  /** Errors: as of `show`. */
  async preview(caller: Caller, id: string): Promise<RequestPreview> {
    return previewRequest(this.#parts.reads, await this.#see(caller, id), caller, this.#parts.clock.now())
  }

  async list(caller: Caller, query: ListQuery): Promise<{ items: AccessRequest[]; next: string | null }> {
    return listRequests(this.#parts.reads, this.#parts.clock.now(), caller, query)
  }

  /** The caller's undecided request that would give what was refused. */
  async pendingFor(caller: Caller, wanted: Wanted): Promise<AccessRequest | null> {
    const { reads, clock } = this.#parts
    const found = caller.userId === null ? null : await findPending(reads, caller.userId, wanted, clock.now())
    return found && this.show(caller, found.id)
  }

  /**
   * Answers as soon as the version is not `version`, or an edit elsewhere shows this caller something else than `look`; when
   * the signal is aborted, with what it is then. Without a look: than what was shown here last.
   */
  async waitForChange(
    caller: Caller,
    id: string,
    version: number,
    signal: AbortSignal,
    look?: string,
  ): Promise<AccessRequest> {
    const viewer = viewerOf(caller)
    let known = look ?? this.#watchers.lastLook(viewer, id)
    for (;;) {
      // The watch stands before the look: a change in between is not missed.
      const change = new AbortController()
      const changed = this.#watchers.next(id, AbortSignal.any([signal, change.signal]))
      try {
        const shown = presentRequest(await this.#see(caller, id), caller, this.#parts.clock.now())
        const digest = this.#watchers.looked(viewer, shown)
        const isNews = shown.version !== version || (known !== undefined && known !== digest)
        if (isNews || signal.aborted) return { ...shown, look: digest }
        known = digest
        await changed
      } finally {
        change.abort()
      }
    }
  }

  /**
   * Committed changes behind `cursor`, as soon as there are any that the caller may see; when the signal is aborted, none. The
   * page's cursor goes on. Without a cursor: where the end is. `stillAdmitted` is asked before each look: waiting keeps no right.
   * Errors: Refused('cursor_gone' | 'malformed'), and what `stillAdmitted` throws.
   */
  async changes(
    caller: Caller,
    { cursor, limit }: { readonly cursor: string | undefined; readonly limit: number },
    signal: AbortSignal,
    stillAdmitted: () => Promise<void>,
  ): Promise<RequestChanges> {
    const { reads, clock } = this.#parts
    if (cursor === undefined) return { items: [], cursor: await endOfChanges(reads), more: false }
    let place = cursor
    for (let looks = 1; ; looks++) {
      // The watch stands before the look: a change in between is not missed.
      const done = new AbortController()
      const changed = this.#watchers.nextOfAny(AbortSignal.any([signal, done.signal]))
      try {
        await stillAdmitted()
        const page = await changesSince(reads, clock.now(), caller, place, limit)
        if (page.items.length > 0 || signal.aborted || (page.more && looks >= MOST_LOOKS)) return page
        place = page.cursor
        if (!page.more) await changed
      } finally {
        done.abort()
      }
    }
  }

  /** What a service account says about a request; no part of what is voted on. */
  async annotate(
    caller: Caller,
    id: string,
    note: { readonly key: string; readonly text: string },
  ): Promise<AccessRequest> {
    await orNothing(this.#parts.deeds.commitDeed((tx, now) => annotateDeed(tx, now, caller, id, note)))
    return this.show(caller, id)
  }

  /**
   * One vote. `demandFresh` throws unless a second factor was proven lately; it is asked after it is clear that the caller
   * may review at all, and before anything is written. What it gives is used up by the vote. Null: one was, and none is used up.
   */
  async review(
    caller: Caller,
    id: string,
    ballot: Ballot,
    demandFresh: (() => Promise<Confirmation | null>) | null,
  ): Promise<AccessRequest> {
    let outcome: VoteOutcome
    try {
      outcome = await orNothing(this.#vote(caller, id, ballot, demandFresh))
      if (outcome.kind === 'late') throw lateness(outcome.because)
    } catch (error) {
      if (error instanceof Refused) await this.recordRefusedVote(caller, id, ballot.decision, error)
      throw error
    }
    return this.#showAfter(caller, id, outcome.after)
  }

  async #vote(
    caller: Caller,
    id: string,
    ballot: Ballot,
    demandFresh: (() => Promise<Confirmation | null>) | null,
  ): Promise<VoteOutcome> {
    const confirmation = demandFresh && (await this.#lookAndConfirm(caller, id, ballot, demandFresh))
    return this.#withPolicies((answers) =>
      this.#parts.deeds.commitDeed(async (tx, at) => {
        const deed = await voteDeed(tx, at, caller, id, ballot, answers)
        // Too late is stored, too, and is no vote.
        if (deed.result.kind === 'counted') await confirmation?.spend(tx, at)
        return deed
      }),
    )
  }

  /** Looks first, so that nobody is asked for a second factor for a vote that is refused anyway. */
  async #lookAndConfirm(
    caller: Caller,
    id: string,
    ballot: Ballot,
    demandFresh: () => Promise<Confirmation | null>,
  ): Promise<Confirmation | null> {
    const now = this.#parts.clock.now()
    const loaded = await loadCase(this.#parts.reads, id, now)
    if (!loaded) throw requestNotFound()
    checkBallot(loaded, caller, ballot, now)
    return demandFresh()
  }

  #withPolicies<T>(deed: (answers: Answers | null) => Promise<T>): Promise<T> {
    return withPolicies(this.#parts.policies ?? NO_SANDBOX, deed)
  }

  async cancel(caller: Caller, id: string): Promise<AccessRequest> {
    const outcome = await this.#parts.deeds.commitDeed(confirmed(caller, (tx, now) => cancelDeed(tx, now, caller, id)))
    if (outcome.kind === 'late') throw lateness(outcome.because)
    return this.show(caller, id)
  }

  /** The requester gives the grant back. */
  async return(caller: Caller, id: string): Promise<AccessRequest> {
    const loaded = await this.#see(caller, id)
    if (caller.userId !== loaded.request.user_id)
      throw new Refused('not_allowed', 'only the one who has the grant returns it', `sallyctl request revoke ${id}`)
    return this.#takeBack('return_grant', caller, loaded, null)
  }

  async revoke(caller: Caller, id: string, reason: string): Promise<AccessRequest> {
    const loaded = await this.#see(caller, id)
    if (!mayRevoke(caller, loaded, this.#parts.clock.now()))
      throw new Refused('not_allowed', 'your roles do not let you revoke this grant')
    if (!reason.isWellFormed() || Buffer.byteLength(reason) > LIMITS.reasonBytes)
      throw new Refused('over_limit', `a reason is text of at most ${LIMITS.reasonBytes} bytes`)
    return this.#takeBack('revoke_grant', caller, loaded, reason || null)
  }

  /** In memory first: whatever the store says, nothing works any more once this returns. */
  async #takeBack(
    order: OrderName,
    caller: Caller,
    { request, grant }: RequestCase,
    comment: string | null,
  ): Promise<AccessRequest> {
    if (!grant) throw new Refused('not_found', 'the request was never granted')
    if (grant.state === 'ended') throw grantHasEnded()
    const at = this.#parts.clock.now()
    this.#parts.takeAway(
      { kind: 'grant', id: grant.id, reason: ORDERS[order], by: caller.actor.name, comment: comment ?? '' },
      at,
    )
    const input: TakeBackInput = {
      requestId: request.id,
      grantId: grant.id,
      actor: { ...caller.actor },
      login: caller.loginId,
      comment,
      at,
    }
    const work = confirmedTaking(caller, (tx) => takeBackDeed(tx, order, input))
    const done = await this.#parts.deeds.commitTakingAway({ name: order, input }, work)
    const shown = await this.show(caller, request.id)
    return done === 'spilled' ? withEnd(shown, order, caller.actor.name, comment, at) : shown
  }

  async #see(caller: Caller, id: string): Promise<RequestCase> {
    const now = this.#parts.clock.now()
    const loaded = await loadWhole(this.#parts.reads, id, now)
    if (!loaded || !maySee(caller, loaded, now)) throw requestNotFound()
    return loaded
  }

  /** Attempts to review one's own request, or without the right, are events of their own. */
  async recordRefusedVote(caller: Caller, id: string, decision: Ballot['decision'], refusal: Refused): Promise<void> {
    if (refusal.code !== 'own_request' && refusal.code !== 'not_a_reviewer') return
    const details = { code: refusal.code, decision, ...(caller.via === undefined ? {} : { via: caller.via }) }
    await this.#parts.deeds.commitDeed(async () => ({
      result: null,
      events: [
        {
          type: 'access_request.review_refused',
          actor: caller.actor,
          outcome: 'refused',
          login: caller.loginId,
          request: id,
          details,
        },
      ],
    }))
  }
}

const viewerOf = ({ userId, actor }: Caller): string => userId ?? actor.kind

/** The store could not be written; the answer shows what holds already. */
function withEnd(
  shown: AccessRequest,
  order: OrderName,
  by: string,
  comment: string | null,
  at: number,
): AccessRequest {
  if (!shown.grant) return shown
  const grant = {
    ...shown.grant,
    state: 'ended' as const,
    endedAt: at,
    endReason: ORDERS[order],
    endedBy: by,
    endComment: comment,
  }
  return { ...shown, grant, can: [] }
}

function previewOf({ plan, steps, routed, outcome, shown, nobodyCanApprove }: AskForecast): AskPreview {
  return {
    roles: plan.roles.map((role) => role.name),
    resources: plan.resources.map(({ kind, name }) => ({ kind, name })),
    narrowing: plan.narrowing,
    duration: plan.durationMs,
    longest: plan.longestMs,
    ...shown,
    escalation: steps.map(({ afterMs: after, notify }) => ({ after, notify: [...notify] })),
    approvalsNeeded: routed.tally.roles.flatMap(({ role, sets }) =>
      sets.flatMap((set) =>
        set.thresholds
          .filter(({ approve }) => approve > 0)
          .map(({ name, approve }) => ({ role: role.name, name, approve })),
      ),
    ),
    warnings: warningsOf(plan, outcome === 'pending' && nobodyCanApprove),
    automatic: sayings(routed.automation),
    outcome,
  }
}
