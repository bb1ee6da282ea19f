import { formatDuration } from '../../contract/duration.ts'
import type { AccessRequest } from '../../contract/request.ts'
import { html, type Html } from './html.ts'

/** What a request asks for and how it stands, whole: nothing is cut where somebody decides. */
export function requestFacts(request: AccessRequest, gives: readonly string[] = []): Html {
  const { user, roles, resources, narrowing, reason, duration, grantedDuration, state, start, reviews, progress } =
    request
  const narrowed = narrowing?.login ?? narrowing?.dbUser
  return html`<dl>
    ${fact('Request', request.id)}${fact('Asked by', user)}${fact('Roles', roles.join(', '))}
    ${resources.length === 0 ? null : fact('Resources', resources.map(({ kind, name }) => `${kind}/${name}`).join(', '))}
    ${narrowed === undefined ? null : fact('Only as', narrowed)}
    ${fact('Reason', reason === '' ? '(none given)' : reason)}${fact('Duration', lengths(duration, grantedDuration))}
    ${gives.map((each) => fact('Would give', each))}
    ${start.at === 'approval' ? null : fact('Starts', start.at === 'instant' ? timeOf(start.instant) : 'at its first use')}
    ${fact('State', request.resolution === null ? state : `${state}: ${request.resolution}`)}
    ${state === 'pending' ? fact('Open until', timeOf(request.pendingUntil)) : null}
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
    ${progress.map((each) => fact('Needed', `${each.role}, ${each.name}: ${each.approvals} of ${each.approve} approvals`))}
  </dl>`
}

export const fact = (name: string, value: string): Html =>
  html`<dt>${name}</dt>
    <dd>${value}</dd>`

const lengths = (asked: number, granted: number): string =>
  granted === asked ? formatDuration(asked) : `${formatDuration(granted)} (asked for ${formatDuration(asked)})`

const timeOf = (instant: number): string => `${new Date(instant).toISOString().slice(0, 16).replace('T', ' ')} UTC`
