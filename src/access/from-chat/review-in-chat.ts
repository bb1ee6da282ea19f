import { formatDuration, parseDuration } from '../../contract/duration.ts'
import type { ChatForm, ChatOutcome } from '../../contract/from-chat.ts'
import type { ChatApproval } from '../../contract/role.ts'
import type { ChatFormsTable } from '../../foundation/database/tables.ts'
import { Refused } from '../../foundation/errors.ts'
import type { Tx } from '../../audit/deed.ts'
import { requestNotFound } from '../caller.ts'
import { checkBallot, type Ballot } from '../decide/cast-vote.ts'
import { LIMITS } from '../limits.ts'
import { orNothing } from '../nothing-to-do.ts'
import { loadCase, type RequestCase } from '../request-case.ts'
import { stillNeeded } from '../show/preview/still-needed.ts'
import { approvalLevel } from './approval-level.ts'
import { arrived, callerOf, type KnownArrival } from './arrival.ts'
import { openForm, useForm } from './chat-forms.ts'
import { requestUrl, type ChatParts } from './chat-parts.ts'
import { openConfirmation } from './confirmations.ts'
import type { Shown } from './shown-terms.ts'
import { readShown } from './shown-terms.ts'
import { FieldRefused } from './to-outcome.ts'

type Decision = 'approve' | 'deny'

export interface Wish {
  readonly requestId: string
  readonly decision: Decision
  /** What the message showed on which it was pressed */
  readonly shown: Shown
}

/** Somebody pressed approve or deny: a form, a page or the request itself, as the roles want it. Errors: Refused as of a vote. */
export async function wishToReview(parts: ChatParts, arrival: KnownArrival, wish: Wish): Promise<ChatOutcome> {
  const { level, loaded } = await looked(
    parts,
    arrival,
    ballotOf(wish, { reason: '', durationMs: null }),
    wish.requestId,
  )
  if (level !== 'allowed') return elsewhere(parts, arrival, wish, level, { reason: null, durationMs: null })
  const about = { kind: 'review', requestId: wish.requestId, decision: wish.decision, shown: wish.shown } as const
  const nonce = await openForm(parts, arrival, about)
  return { kind: 'form', form: reviewForm(nonce, wish, loaded) }
}

/** The form came back. The right, and whether chat is enough, are looked at anew. */
export async function reviewByForm(
  parts: ChatParts,
  arrival: KnownArrival,
  form: ChatFormsTable,
  fields: Readonly<Partial<Record<string, string>>>,
): Promise<ChatOutcome> {
  const wish: Wish = {
    requestId: form.request_id ?? '',
    decision: form.decision ?? 'deny',
    shown: readShown(form.shown_json ?? ''),
  }
  const typed = { reason: readReason(fields['reason']), durationMs: readShorter(wish, fields['duration']) }
  const ballot = ballotOf(wish, typed)
  const { level } = await looked(parts, arrival, ballot, wish.requestId)
  const useUp = (tx: Tx, now: number): Promise<void> => useForm(tx, form, now)
  if (level !== 'allowed') return elsewhere(parts, arrival, wish, level, typed, useUp)
  return await vote(parts, arrival, wish, ballot, useUp)
}

/** A ticket was moved: there is no form to ask in, so that only roles that chat is enough for are decided this way. */
export async function reviewAtOnce(
  parts: ChatParts,
  arrival: KnownArrival,
  wish: Wish,
  reason: string,
): Promise<ChatOutcome> {
  const ballot = ballotOf(wish, { reason: readReason(reason), durationMs: null })
  const { level } = await looked(parts, arrival, ballot, wish.requestId)
  if (level === 'allowed') return await vote(parts, arrival, wish, ballot)
  return elsewhere(parts, arrival, wish, level, { reason: ballot.reason || null, durationMs: null })
}

async function vote(
  parts: ChatParts,
  arrival: KnownArrival,
  { requestId, decision }: Wish,
  ballot: Ballot,
  useUp?: (tx: Tx, now: number) => Promise<void>,
): Promise<ChatOutcome> {
  const confirmation = arrived(arrival, parts.clock.now(), useUp)
  const caller = callerOf(arrival)
  const shown = await parts.requests.review(caller, requestId, ballot, () => Promise.resolve(confirmation))
  const voted = decision === 'approve' ? 'You approved it' : 'You denied it'
  const then = shown.state === 'pending' ? await missingWords(parts, requestId) : `it is ${shown.state} now`
  return { kind: 'done', text: `${voted}; ${then}.`, requestId }
}

/** What it takes besides this vote. */
async function missingWords({ database, clock }: ChatParts, requestId: string): Promise<string> {
  const now = clock.now()
  const loaded = await loadCase(database.reads, requestId, now)
  const missing = loaded === null ? [] : stillNeeded(loaded, now)
  return missing.length === 0 ? 'it waits for others' : `it still needs ${missing.join('; ')}`
}

/** Everything that can be refused is, before anybody types a reason or a code. */
async function looked(
  { database, clock, requests }: Pick<ChatParts, 'database' | 'clock' | 'requests'>,
  arrival: KnownArrival,
  ballot: Ballot,
  requestId: string,
): Promise<{ readonly level: ChatApproval; readonly loaded: RequestCase }> {
  const now = clock.now()
  const loaded = await loadCase(database.reads, requestId, now)
  if (!loaded) throw requestNotFound()
  const caller = callerOf(arrival)
  // Who did so already is told by the vote itself.
  try {
    await orNothing((async () => void checkBallot(loaded, caller, ballot, now))())
  } catch (error) {
    if (error instanceof Refused) await requests.recordRefusedVote(caller, requestId, ballot.decision, error)
    throw error
  }
  return { level: approvalLevel(caller, loaded, now), loaded }
}

async function elsewhere(
  parts: ChatParts,
  arrival: KnownArrival,
  { requestId, decision, shown }: Wish,
  level: Exclude<ChatApproval, 'allowed'>,
  typed: { readonly reason: string | null; readonly durationMs: number | null },
  useUp?: (tx: Tx, now: number) => Promise<void>,
): Promise<ChatOutcome> {
  if (level === 'link_only')
    return {
      kind: 'open',
      text: 'This is not decided from chat. Open the request.',
      url: requestUrl(parts, requestId),
    }
  const token = await openConfirmation(parts, arrival, { requestId, decision, shown, ...typed }, useUp)
  const what = decision === 'approve' ? 'approval' : 'denial'
  return {
    kind: 'open',
    text: `Confirm your ${what} with a code from your authenticator. The page is yours alone and good for ten minutes.`,
    url: `${parts.publicUrl()}/confirm/${token}`,
  }
}

export function ballotOf(
  { decision, shown }: Wish,
  { reason, durationMs }: { readonly reason: string; readonly durationMs: number | null },
): Ballot {
  return {
    decision,
    reason,
    durationMs,
    startAt: null,
    shown: shown.terms,
    requestDigest: shown.requestDigest,
    factsDigest: shown.factsDigest,
  }
}

export function readReason(text: string | undefined): string {
  return (text ?? '').trim()
}

/** Null: what was shown is left as it is. Errors: FieldRefused for what is no duration. */
export function readShorter(
  { decision, shown }: Pick<Wish, 'decision' | 'shown'>,
  text: string | undefined,
): number | null {
  const typed = (text ?? '').replace(/\s/g, '').toLowerCase()
  if (decision === 'deny' || typed === '') return null
  const parsed = parseDuration(typed)
  if (!parsed.ok) throw new FieldRefused('duration', parsed.message)
  return parsed.ms === shown.terms.durationMs ? null : parsed.ms
}

function reviewForm(nonce: string, { decision, shown }: Wish, { request, requesterName }: RequestCase): ChatForm {
  const isApproval = decision === 'approve'
  const reason = {
    name: 'reason',
    label: 'Reason',
    hint: isApproval ? 'Kept with your vote' : 'The requester is told',
    required: false,
    initial: null,
    maxLength: LIMITS.reasonBytes / 4,
    multiline: true,
    options: null,
    several: false,
  } as const
  const length = formatDuration(shown.terms.durationMs)
  const duration = {
    ...reason,
    name: 'duration',
    label: 'Duration',
    hint: `At most ${length}; shorter if you like`,
    initial: length,
    maxLength: 20,
    multiline: false,
  } as const
  const wanted = [
    ...request.roles.map((role) => role.name),
    ...request.resources.map(({ kind, name }) => `${kind}/${name}`),
  ]
  return {
    kind: 'review',
    nonce,
    title: isApproval ? 'Approve a request' : 'Deny a request',
    text: [`${requesterName} asks for ${wanted.slice(0, 20).join(', ')} for ${length}.`],
    fields: isApproval ? [reason, duration] : [reason],
    submit: isApproval ? 'Approve' : 'Deny',
  }
}
