import { formatDuration } from '../../contract/duration.ts'
import type { AccessRequest } from '../../contract/request.ts'
import { html, type Html } from './html.ts'

/** What a request asks for and how it stands, whole: nothing is cut where somebody decides. */
export function requestFacts(request: AccessRequest, gives: readonly string[] = []): Html {
  const { user, roles, resources, narrowing, reason, duration, grantedDuration, state, start, reviews, progress } =
    request
  const narrowed = [narrowing?.login, narrowing?.dbUser].filter((name) => name !== undefined)
  return html`<dl>
    ${fact('Asked by', user)}${fact('Roles', roles.join(', '))}
    ${resources.length === 0 ? null : fact('Resources', resources.map(({ kind, name }) => `${kind}/${name}`).join(', '))}
    ${narrowed.length === 0 ? null : fact('Only as', [...new Set(narrowed)].join(', '))}
    ${fact('Reason', reason === '' ? '(none given)' : reason)}${fact('Duration', lengths(duration, grantedDuration))}
    ${gives.map((each) => fact('Would give', each))}
    ${start.at === 'approval' ? null : fact('Starts', start.at === 'instant' ? timeOf(start.instant) : 'at its first use')}
    ${request.warnings.map((warning) => fact('Mind', WARNINGS[warning]))}
    ${state === 'pending' ? fact('Open until', timeOf(request.pendingUntil)) : null}
    ${request.grant?.state === 'active' ? fact('Access until', timeOf(request.grant.endsAt)) : null}
    ${reviews.map((review) =>
      fact(
        review.decision === 'approve' ? 'Approved' : 'Denied',
        [
          review.reviewer,
          review.onBehalfOf === null ? '' : ` for ${review.onBehalfOf}`,
          review.reason === '' ? '' : `: ${review.reason}`,
          review.counts ? '' : ` (does not count: ${review.why ?? 'replaced'})`,
        ].join(''),
      ),
    )}
    ${state === 'pending' ? progress.map((each) => fact('Needed', `${each.role}, ${each.name}: ${each.approvals} of ${each.approve} approvals`)) : null}
    ${request.notes.map((note) => fact(`Note of ${note.by}`, note.text))} ${fact('Request', request.id)}
  </dl>`
}

const WARNINGS: Readonly<Record<AccessRequest['warnings'][number], string>> = {
  nobody_can_approve: 'nobody who is there now can approve this',
  earlier_denial: 'a request like this was denied lately',
}

/** `alice asks for dba`, as long as it may still be answered. */
export function requestTitle({ user, roles, resources, state, kind }: AccessRequest): string {
  const names = resources.length > 0 ? resources.map(({ kind: of, name }) => `${of}/${name}`) : roles
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  const what = `${names.slice(0, 3).join(', ')}${more}`
  if (kind === 'break_glass') return `${user} took emergency access to ${what}`
  const longer = kind === 'extension' ? 'more time with ' : ''
  return `${user} ${state === 'pending' ? 'asks' : 'asked'} for ${longer}${what}`
}

/** How it stands, in a sentence: `Waiting. It needs: dba: 1 more approval counted by "team"`. */
export function standingWords({ state, resolution, grant }: AccessRequest, needed: readonly string[]): string {
  if (state === 'pending')
    return needed.length === 0 ? 'It waits for its decision.' : `It still needs ${needed.join('; ')}.`
  const why = resolution === null ? '' : `: ${resolution}`
  const ended = grant?.state === 'ended' ? ` The access has ended (${grant.endReason ?? 'ended'}).` : ''
  return `It is ${state}${why}.${ended}`
}

export const fact = (name: string, value: string): Html =>
  html`<dt>${name}</dt>
    <dd>${value}</dd>`

const lengths = (asked: number, granted: number): string =>
  granted === asked ? formatDuration(asked) : `${formatDuration(granted)} (asked for ${formatDuration(asked)})`

const timeOf = (instant: number): string => `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`
