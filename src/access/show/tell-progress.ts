import { formatDuration } from '../../contract/duration.ts'
import type { AccessRequest, Review } from '../../contract/request.ts'

/** What is new since `before` (null: everything that matters), in plain lines for somebody who waits in a terminal. */
export function tellProgress(before: AccessRequest | null, now: AccessRequest): string[] {
  const lines = newVotes(before, now).map(voteLine)
  if (now.state !== 'pending') return [...lines, outcomeLine(now)].map(oneLine)
  const standing = standingLine(now)
  if (before === null || standing !== standingLine(before)) lines.push(standing)
  if (before === null) lines.push(...now.warnings.map((warning) => `  ${WARNINGS[warning]}`))
  return lines.map(oneLine)
}

function newVotes(before: AccessRequest | null, now: AccessRequest): Review[] {
  const known = new Map(before?.reviews.map((review) => [review.id, review.counts]))
  return now.reviews.filter((review) => known.get(review.id) !== review.counts)
}

function voteLine({ reviewer, decision, roles, duration, reason, counts, why }: Review): string {
  const shorter = duration === null ? '' : `, for ${formatDuration(duration)}`
  const because = reason === '' ? '' : `: "${reason}"`
  const void_ = counts ? '' : ` (does not count: ${why ?? 'replaced'})`
  return `  ${reviewer} ${decision === 'approve' ? 'approved' : 'denied'} ${roles.join(', ')}${shorter}${because}${void_}`
}

function standingLine(request: AccessRequest): string {
  const { progress, resolution } = request
  const people = whoCanAnswer(request)
  const needed = progress
    .filter(({ approve, met }) => approve > 0 && !met)
    .map(({ approvals, approve, role, name }) => `${approvals} of ${approve} approvals for ${role} (${name})`)
  const who = people.length === 0 ? 'nobody is left who could approve' : `can answer: ${few(people)}`
  const hindered = resolution === null ? '' : `; ${resolution}`
  return `  Waiting: ${needed.join('; ')}; ${who}${hindered}`
}

function whoCanAnswer({ reviewers, notNow, delegates }: AccessRequest): string[] {
  const closed = new Set(notNow.map(({ name }) => name))
  const people = reviewers.map((name) => (closed.has(name) ? `${name} (not at this hour)` : name))
  return [...people, ...delegates.map(({ name, onBehalfOf }) => `${name} for ${onBehalfOf}`)]
}

const MOST_NAMES = 8

const few = (names: readonly string[]): string =>
  names.length <= MOST_NAMES
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`

function outcomeLine({ state, resolution, grantedDuration, grant }: AccessRequest): string {
  const how = resolution === null || resolution.startsWith(state) ? (resolution ?? state) : `${state}: ${resolution}`
  if (state !== 'approved' || grant === null) return `sallyport: request ${how}`
  return `sallyport: request ${how}, for ${formatDuration(grantedDuration)}`
}

const WARNINGS = {
  nobody_can_approve: 'Nobody who could approve this is left: ask an operator.',
  earlier_denial: 'The same was denied before.',
} as const satisfies Record<AccessRequest['warnings'][number], string>

/** What reviewers wrote gets no line of its own, which could pass for ours. */
const oneLine = (text: string): string => text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
