import { formatDuration } from '../../contract/duration.ts'
import type { RequestView } from '../../contract/message.ts'
import { cutText, visibleLine, visibleText } from './inert-text.ts'

export interface Fact {
  readonly label: string
  readonly text: string
}

/**
 * A request in words, for vendors whose messages are text. Any of them may hold what people typed, and may try to be markup,
 * a link or a mention of whatever shows it: not yet escaped and not yet cut.
 */
export interface RequestWords {
  /** The same as long as the request lives: subjects of mails are made of it */
  readonly subject: string
  /** `dba, ops`: the subject without who and how */
  readonly what: string
  /** `Waiting for approval`, `Approved for 1h` */
  readonly state: string
  readonly facts: readonly Fact[]
  /** One line a vote, as they came */
  readonly reviews: readonly Fact[]
  /** What it still takes; empty once it is decided */
  readonly needed: readonly string[]
  readonly warnings: readonly string[]
  /** The last things that programs said about it, each cut to a line; labelled by who said it */
  readonly notes: readonly Fact[]
}

export function requestWords(view: RequestView): RequestWords {
  return {
    subject: `${view.user} ${VERBS[view.kind]} ${whatOf(view)}`,
    what: whatOf(view),
    state: stateLine(view),
    facts: factsOf(view),
    reviews: view.reviews.map(reviewFact),
    needed: view.needed.map(visibleLine),
    warnings: view.warnings.map(visibleLine),
    notes: view.notes.slice(-NOTES).map(({ by, text }) => ({ label: visibleLine(by), text: noteLine(text) })),
  }
}

const NOTES = 3
const NOTE_LINE = 240

/** A program's note in one line; the pages show all of it. */
export const noteLine = (text: string): string => cutText(visibleLine(text), NOTE_LINE)

/** `2026-11-22 21:40 UTC`: who reads it may be anywhere. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

const VERBS: Readonly<Record<RequestView['kind'], string>> = {
  role: 'asks for',
  resource: 'asks for',
  extension: 'asks to keep',
  break_glass: 'took emergency access to',
}

const resourceNames = (view: RequestView): string[] => view.resources.map(({ kind, name }) => `${kind}/${name}`)

function whatOf(view: RequestView): string {
  const names = view.roles.length > 0 ? view.roles : resourceNames(view)
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return `${names.slice(0, 3).join(', ')}${more}`
}

function stateLine(view: RequestView): string {
  const why = view.resolution === null ? '' : `: ${visibleLine(view.resolution)}`
  switch (view.state) {
    case 'pending':
      return view.needed.length > 0 ? `Waiting: ${view.needed.map(visibleLine).join('; ')}` : 'Waiting for approval'
    case 'approved':
      return endedGrant(view) ?? `Approved for ${formatDuration(view.grantedDuration)}${why}`
    case 'denied':
      return `Denied${why}`
    case 'cancelled':
      return `Cancelled${why}`
    case 'expired':
      return `Expired without a decision${why}`
  }
}

function endedGrant({ grant }: RequestView): string | null {
  if (grant?.state !== 'ended' || grant.endedAt === null) return null
  return `Access ended at ${timeText(grant.endedAt)} (${visibleLine(whyEnded(grant))})`
}

/** `revoked by bob: the ticket is closed`. Holds texts of people as they are. */
export function whyEnded({ endReason, endedBy, endComment }: NonNullable<RequestView['grant']>): string {
  const by = endedBy === null ? '' : ` by ${endedBy}`
  const comment = endComment === null || endComment === '' ? '' : `: ${endComment}`
  return `${(endReason ?? 'ended').replaceAll('_', ' ')}${by}${comment}`
}

function factsOf(view: RequestView): Fact[] {
  const facts: Fact[] = []
  const add = (label: string, text: string): void => {
    if (text !== '') facts.push({ label, text })
  }
  add('Who', view.user)
  add('Roles', view.roles.join(', '))
  add('Resources', resourceNames(view).join(', '))
  add('Login', view.narrowing?.login ?? '')
  add('Database user', view.narrowing?.dbUser ?? '')
  add('For', formatDuration(view.duration))
  if (view.grantedDuration < view.duration) add('Shortened to', formatDuration(view.grantedDuration))
  add('Starts', startText(view))
  add('Reason', view.reason === null ? '' : visibleText(view.reason).trim())
  add('An approval gives', view.state === 'pending' ? view.gives.map(visibleLine).join('; ') : '')
  add('Answer until', view.state === 'pending' ? timeText(view.pendingUntil) : '')
  add('Access until', view.grant?.state === 'active' ? timeText(view.grant.endsAt) : '')
  return facts
}

function startText({ start }: RequestView): string {
  if (start.at === 'instant') return timeText(start.instant)
  return start.at === 'first-use' ? 'at the first use' : ''
}

type ViewedReview = RequestView['reviews'][number]

function reviewFact(review: ViewedReview): Fact {
  const behalf = review.onBehalfOf === null ? '' : ` for ${review.onBehalfOf}`
  const verb = review.decision === 'approve' ? 'approved' : 'denied'
  const terms = review.duration === null ? '' : ` for ${formatDuration(review.duration)}`
  const counts = review.counts ? '' : ` (does not count${review.why === null ? '' : `: ${visibleLine(review.why)}`})`
  const reason = review.reason === null || review.reason === '' ? '' : `: ${visibleLine(review.reason)}`
  const text = `${timeText(review.at)}, ${verb}${terms}${counts}${reason}`
  return { label: `${visibleLine(review.reviewer)}${behalf}`, text }
}
