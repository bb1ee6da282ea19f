// How a request looks to people. Everything that its author or reviewers wrote passes `harmless` on its way out.
import type { AskWay } from '../../contract/access-check.ts'
import { formatDuration } from '../../contract/duration.ts'
import type { AccessRequest, AskPreview, Review } from '../../contract/request.ts'
import { localTime, utcTime } from './format-time.ts'
import { harmless, harmlessLines } from './harmless.ts'
import { renderFields, renderTable, type Column } from './table.ts'

type Answerers = Pick<AccessRequest, 'reviewers' | 'notNow' | 'delegates'>

/** `approved`, or for a grant what became of it: `active`, `revoked`. */
export function stateOf(request: AccessRequest): string {
  const { grant, state } = request
  if (state !== 'approved' || grant === null) return state
  return grant.state === 'ended' ? (grant.endReason ?? 'ended') : grant.state
}

/** All that a reviewer must see before voting, and all that a requester waits for. */
export function describeRequest(request: AccessRequest): string {
  const fields: [string, string | string[]][] = [
    ['Request', request.id],
    ['Requestor', request.user],
    ...(request.extends === null ? [] : [['Extends', `the grant ${request.extends}`] as [string, string]]),
    ...resourceFields(request),
    ['Roles', request.roles.join(', ')],
    ['Reason', quoted(request.reason)],
    ['Duration', durationOf(request)],
    ...startFields(request),
    ['Asked', `${localTime(request.createdAt)} (UTC ${utcTime(request.createdAt)})`],
    ['State', stateOf(request)],
  ]
  for (const [name, values] of Object.entries(request.annotations))
    fields.push([`Annotation ${harmless(name)}`, values.join(', ')])
  if (request.resolution !== null) fields.push(['Outcome', request.resolution])
  if (request.grant !== null) fields.push(['Access', accessOf(request.grant)])
  if (request.state === 'pending') {
    fields.push(['Open until', localTime(request.pendingUntil)], ['Needed', neededLines(request)])
    fields.push(['Can approve', reviewersText(request)])
    fields.push(...escalationFields(request.escalation))
    if (request.suggestedReviewers.length > 0) fields.push(['Suggested', request.suggestedReviewers.join(', ')])
  }
  if (request.acknowledgementsNeeded > 0) fields.push(['Acknowledged', acknowledgedLines(request)])
  if (request.reviews.length > 0) fields.push(['Votes', request.reviews.map(voteLine)])
  if (request.automatic.length > 0) fields.push(['Automatic', request.automatic.map(sayingLine)])
  if (request.notes.length > 0) fields.push(['Notes', request.notes.map(noteLine)])
  if (request.warnings.length > 0) fields.push(['Note', request.warnings.map(warningText)])
  return renderFields(fields)
}

/** What a dry run answers. */
export function describePreview(preview: AskPreview): string {
  const needed = preview.approvalsNeeded.map((each) => `${each.approve} for ${each.role}${named(each.name)}`)
  return renderFields([
    ...resourceFields(preview),
    ['Roles', preview.roles.join(', ')],
    ['Duration', `${formatDuration(preview.duration)} (longest: ${formatDuration(preview.longest)})`],
    ['Approvals', needed],
    ['Can approve', reviewersText(preview)],
    ...escalationFields(preview.escalation),
    ...(preview.automatic.length === 0 ? [] : [['Automatic', preview.automatic.map(sayingLine)] as const]),
    ...(preview.outcome === 'pending' ? [] : [['Outcome', `${preview.outcome} at once`] as const]),
    ...(preview.warnings.length === 0 ? [] : [['Note', preview.warnings.map(warningText)] as const]),
  ])
}

/** `bob, carol (from Mon 09:00), dan for bob`. */
export function reviewersText({ reviewers, notNow, delegates }: Answerers): string {
  const opens = new Map(notNow.map(({ name, opensAt }) => [name, opensAt]))
  const people = reviewers.map((name) => {
    const at = opens.get(name)
    return at === undefined ? name : `${name} (from ${localTime(at)})`
  })
  const standIns = delegates.map(({ name, onBehalfOf }) => `${name} for ${onBehalfOf}`)
  return people.length === 0 ? 'nobody' : [...people, ...standIns].join(', ')
}

function escalationFields(
  steps: readonly { after: number; notify: string[]; at?: number | null; told?: string[] }[],
): [string, string[]][] {
  if (steps.length === 0) return []
  const lines = steps.map(({ after, notify, at, told = [] }) => {
    const done = at ? `, done at ${localTime(at)}: ${told.length === 0 ? 'nobody' : told.join(', ')}` : ''
    return `after ${formatDuration(after)} without an answer tell ${notify.map(harmless).join(', ')}${done}`
  })
  return [['Escalates', lines]]
}

/** No part of what is voted on: who wrote it stands in front. */
const noteLine = ({ by, text }: AccessRequest['notes'][number]): string => `${by}: "${harmless(text)}"`

function acknowledgedLines({ acknowledged, acknowledgementsNeeded }: AccessRequest): string[] {
  const lines = acknowledged.map(({ name, comment }) => (comment === '' ? name : `${name}: "${harmless(comment)}"`))
  const missing = acknowledgementsNeeded - acknowledged.length
  return missing > 0 ? [...lines, `${missing} more must look at it (sally request acknowledge)`] : lines
}

/** `1 of 2 approvals for dba (dba team)`, a line for each threshold. Met ones say so. */
export function neededLines(request: AccessRequest): string[] {
  return request.progress.map((each) => {
    const line = `${each.approvals} of ${each.approve} approvals for ${each.role}${named(each.name)}`
    const denials = each.deny > 0 && each.denials > 0 ? `, ${each.denials} of ${each.deny} denials` : ''
    return `${line}${denials}${each.met ? ', enough' : ''}`
  })
}

/** `bob approved dba: "fine with me"`, and why a vote does not count any more. */
export function voteLine(review: Review): string {
  const verb = review.decision === 'approve' ? 'approved' : 'denied'
  const length = review.duration === null ? '' : `, for ${formatDuration(review.duration)}`
  const shortened = review.startAt === null ? length : `${length}, from ${localTime(review.startAt)}`
  const reason = review.reason === '' ? '' : `: "${harmless(review.reason)}"`
  const void_ = review.counts ? '' : ` (does not count: ${harmless(review.why ?? 'replaced')})`
  const voter = review.onBehalfOf === null ? review.reviewer : `${review.reviewer} (for ${review.onBehalfOf})`
  return `${voter} ${verb} ${review.roles.join(', ')}${shortened}${reason}${void_}`
}

/** `policy:freeze limits it to 1h` */
const sayingLine = ({ by, says }: AccessRequest['automatic'][number]): string => harmless(`${by} ${says}`)

/** `dba (postgres; up to 4h)`, `node/db-box by dba (postgres; up to 1h)` */
export function describeWay({ roles, resources, logins, longest }: AskWay): string {
  const names = roles.join(', ')
  const what =
    resources.length === 0 ? names : `${resources.map(({ kind, name }) => `${kind}/${name}`).join(', ')} by ${names}`
  const shown = logins.slice(0, MOST_LOGINS).join(', ') + (logins.length > MOST_LOGINS ? ', ...' : '')
  return harmless(`${what} (${shown}; up to ${formatDuration(longest)})`)
}

const MOST_LOGINS = 6

export function warningText(warning: AccessRequest['warnings'][number]): string {
  return warning === 'nobody_can_approve'
    ? 'nobody who could approve this is left: ask an operator'
    : 'the same was denied before'
}

export function requestTable(requests: readonly AccessRequest[], width: number | null): string {
  const columns: Column<AccessRequest>[] = [
    { head: 'Token', cell: (each) => each.id },
    { head: 'Requestor', cell: (each) => each.user },
    { head: 'Metadata', cell: metadataOf, shrinks: true },
    { head: 'Created At (UTC)', cell: (each) => utcTime(each.createdAt) },
    { head: 'Status', cell: (each) => stateOf(each).toUpperCase() },
  ]
  return requests.length === 0 ? 'No requests.' : renderTable(columns, requests, width)
}

function metadataOf(request: AccessRequest): string {
  const reason = request.reason === '' ? '' : ` reason="${request.reason}"`
  const { start } = request
  const from =
    start.at === 'instant' ? ` start=${utcTime(start.instant)}` : start.at === 'first-use' ? ' start=first-use' : ''
  const extended = request.extends === null ? '' : ` extends=${request.extends}`
  const resources = request.resources.length === 0 ? '' : `resources=${request.resources.map(resourceName).join(',')} `
  const login = request.narrowing?.login === undefined ? '' : ` login=${request.narrowing.login}`
  const dbUser = request.narrowing?.dbUser === undefined ? '' : ` db-user=${request.narrowing.dbUser}`
  return `${resources}roles=${request.roles.join(',')}${login}${dbUser} duration=${formatDuration(request.duration)}${from}${extended}${reason}`
}

const LISTED_AT_MOST = 20

/** What it is for, when that is less than all that its roles give. */
function resourceFields({ resources, narrowing }: Pick<AccessRequest, 'resources' | 'narrowing'>): Field[] {
  const more = resources.length - LISTED_AT_MOST
  const listed = resources.slice(0, LISTED_AT_MOST).map(resourceName)
  const shown = more > 0 ? [...listed, `and ${more} more`] : listed
  return [
    ...(shown.length === 0 ? [] : [['Resources', shown] as Field]),
    ...(narrowing?.login === undefined ? [] : [['Login', `${narrowing.login} only`] as Field]),
    ...(narrowing?.dbUser === undefined ? [] : [['Db user', `${narrowing.dbUser} only`] as Field]),
  ]
}

type Field = [string, string | string[]]

const resourceName = ({ kind, name }: AccessRequest['resources'][number]): string => `${kind}/${name}`

/** Each line behind a mark, so that a reason cannot pretend to be a field of the form. */
function quoted(reason: string): string[] {
  return reason === '' ? ['(none)'] : harmlessLines(reason).map((line) => `| ${line}`)
}

function durationOf(request: AccessRequest): string {
  const asked = formatDuration(request.duration)
  if (request.grantedDuration === request.duration) return asked
  return `${asked} asked, ${formatDuration(request.grantedDuration)} by the approvals so far`
}

function startFields({ start, grantedStart }: AccessRequest): [string, string][] {
  const asked = start.at === 'instant' ? localTime(start.instant) : start.at === 'first-use' ? 'at its first use' : null
  const moved = grantedStart !== null && (start.at !== 'instant' || start.instant !== grantedStart)
  if (moved)
    return [['Start', `${asked ?? 'at the approval'} asked, ${localTime(grantedStart)} by the approvals so far`]]
  return asked === null ? [] : [['Start', asked]]
}

function accessOf(grant: NonNullable<AccessRequest['grant']>): string {
  if (grant.state === 'scheduled' && grant.useBy !== null) {
    const length = formatDuration(grant.endsAt - grant.useBy)
    return `for ${length} from its first use, between ${localTime(grant.startsAt)} and ${localTime(grant.useBy)}`
  }
  const until = `from ${localTime(grant.startsAt)} until ${localTime(grant.endedAt ?? grant.endsAt)}`
  if (grant.endReason === null) return until
  const by = grant.endedBy === null ? '' : ` by ${grant.endedBy}`
  return `${until}, ${grant.endReason}${by}${grant.endComment ? `: ${grant.endComment}` : ''}`
}

const named = (name: string): string => (name === '' ? '' : ` (${harmless(name)})`)
