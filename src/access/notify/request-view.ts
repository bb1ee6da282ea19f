import { hash } from 'node:crypto'
import type { MessageButton, RequestView } from '../../contract/message.ts'
import type { AccessRequest } from '../../contract/request.ts'
import { canonicalJson } from '../../formats/canonical-json.ts'
import { maskSecrets } from '../../formats/secrets-in-text.ts'
import { SYSTEM, type Caller } from '../caller.ts'
import { delegatesOf } from '../show/present-reviewers.ts'
import { membersWhoMayReview, votersOf } from '../route/who-can-review.ts'
import type { Reader } from '../directory.ts'
import { loadWhole, type RequestCase } from '../request-case.ts'
import { presentRequest } from '../show/present-request.ts'
import { gainsInWords } from '../show/preview/gains-in-words.ts'
import { changeOf } from '../show/preview/preview-request.ts'
import { stillNeeded } from '../show/preview/still-needed.ts'

const VIEWER: Caller = { actor: SYSTEM, userId: null, loginId: null, local: true }

/** A request with all that its messages show, as of one read. */
export interface Shown {
  readonly loaded: RequestCase
  readonly request: AccessRequest
  readonly view: RequestView
  /** Of what people see of it */
  readonly contentHash: string
}

/** Null: there is no such request. */
export async function readShown(reads: Reader, id: string, publicUrl: string, now: number): Promise<Shown | null> {
  const loaded = await loadWhole(reads, id, now)
  if (!loaded) return null
  const request = presentRequest(loaded, VIEWER, now)
  const pending = request.state === 'pending'
  const change = pending && request.kind !== 'break_glass' ? await changeOf(reads, loaded, now) : null
  const view = viewOf(request, stillNeeded(loaded, now), change && gainsInWords(change), publicUrl)
  const contentHash = hash('sha256', canonicalJson({ view, facts: request.factsDigest }))
  return { loaded, request, view, contentHash }
}

function viewOf(
  request: AccessRequest,
  needed: readonly string[],
  gives: readonly string[] | null,
  publicUrl: string,
): RequestView {
  return {
    id: request.id,
    kind: request.kind,
    url: `${publicUrl}/r/${request.id}`,
    state: request.state,
    user: request.user,
    roles: request.roles,
    resources: request.resources,
    narrowing: request.narrowing,
    reason: maskSecrets(request.reason),
    duration: request.duration,
    grantedDuration: request.grantedDuration,
    start: request.grantedStart === null ? request.start : { at: 'instant', instant: request.grantedStart },
    createdAt: request.createdAt,
    pendingUntil: request.pendingUntil,
    decidedAt: request.decidedAt,
    resolution: said(request.resolution),
    progress: request.progress,
    reviews: request.reviews
      .filter((review) => review.why !== 'replaced')
      .map(({ id, reviewer, onBehalfOf, decision, reason, duration, at, counts, why }) => {
        const said = reason === '' ? null : maskSecrets(reason)
        return { id, reviewer, onBehalfOf, decision, reason: said, duration, at, counts, why }
      }),
    needed: [...needed],
    gives: gives === null ? [] : [...gives],
    warnings: request.warnings.map((warning) => WARNINGS[warning]),
    notes: request.notes.slice(-NOTES_SHOWN).map(({ by, text, at }) => ({ by, text: maskSecrets(text), at })),
    grant: request.grant && { ...request.grant, endComment: said(request.grant.endComment) },
  }
}

const NOTES_SHOWN = 5

const WARNINGS = {
  nobody_can_approve: 'nobody who is there now can approve this',
  earlier_denial: 'a request like this was denied lately',
} as const

const said = (text: string | null): string | null => (text === null ? null : maskSecrets(text))

/** For an integration that leaves reasons out. */
export const withoutReasons = (view: RequestView): RequestView => ({
  ...view,
  reason: null,
  notes: [],
  grant: view.grant && { ...view.grant, endComment: null },
  reviews: view.reviews.map((review) => ({ ...review, reason: null })),
})

/** Who could still bring a decision nearer, by themselves or for somebody absent. */
export function stillAsked(loaded: RequestCase, now: number): { id: string; standsIn: boolean }[] {
  const voted = votersOf(loaded.tally)
  const reviewers = membersWhoMayReview(loaded.directory, loaded, now).filter(({ id }) => !voted.has(id))
  const standIns = delegatesOf(reviewers, loaded, loaded.directory.members, now).filter(
    ({ delegate }) => !voted.has(delegate.id),
  )
  const own = reviewers.map(({ id }) => ({ id, standsIn: false }))
  const known = new Set(own.map(({ id }) => id))
  const more = new Set(standIns.map(({ delegate }) => delegate.id).filter((id) => !known.has(id)))
  return [...own, ...[...more].map((id) => ({ id, standsIn: true }))]
}

export interface ForButtons {
  readonly audience: 'channel' | 'reviewer' | 'requester' | 'person'
  /** By the strictest of the requested roles */
  readonly chatApproval: 'allowed' | 'step_up' | 'link_only'
  /** Of a message to one person: they may vote on it */
  readonly mayReview: boolean
}

/** What a message offers. What is pressed is judged when it is pressed; this is what looks right. Pure. */
export function buttonsFor(view: Pick<RequestView, 'state' | 'kind' | 'grant'>, who: ForButtons): MessageButton[] {
  if (who.audience === 'requester') {
    if (view.state === 'pending') return ['cancel', 'open']
    if (view.state !== 'approved' || view.grant === null || view.grant.state === 'ended') return []
    if (view.kind === 'extension') return ['open']
    return view.kind === 'break_glass' ? ['return', 'open'] : ['extend', 'return', 'open']
  }
  if (view.state !== 'pending') return view.kind === 'break_glass' && view.grant?.state === 'active' ? ['open'] : []
  const votes = who.audience !== 'person' && who.mayReview && who.chatApproval !== 'link_only'
  return votes ? ['approve', 'deny', 'open'] : ['open']
}
