import type { RequestView } from '../../contract/message.ts'
import type { Clock } from '../../foundation/clock.ts'
import type { OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { failureOf } from '../vendor-answer.ts'
import { incidentOf } from './render-incident.ts'

interface EventsParts {
  readonly fetch: OutboundFetch
  readonly clock: Clock
  readonly url: string
}

/** Events API v2: the same key triggers once and resolves once, however often it is sent. Errors: DeliveryFailed. */
export async function sendEvent(
  { fetch, clock, url }: EventsParts,
  routingKey: string,
  action: 'trigger' | 'resolve',
  view: RequestView,
  signal: AbortSignal,
): Promise<void> {
  const { title, details } = incidentOf(view)
  const said = {
    payload: {
      summary: title,
      source: 'sallyport',
      severity: view.kind === 'break_glass' ? 'critical' : 'info',
      component: view.roles.join(', ').slice(0, 200) || 'resources',
      class: 'access request',
      custom_details: { request: details },
    },
    client: 'Sallyport',
    client_url: view.url,
    links: [{ href: view.url, text: 'Open the request' }],
  }
  const body = { routing_key: routingKey, event_action: action, dedup_key: view.id }
  const answer = await fetch(`${url}/v2/enqueue`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(action === 'trigger' ? { ...body, ...said } : body),
    signal,
  })
  if (answer.status >= 200 && answer.status < 300) return
  // Of this API 403 is what asks for patience; a wrong key is a bad request.
  if (answer.status === 403) throw new DeliveryFailed('retry', 'PagerDuty: too many events for this key', 60_000)
  throw failureOf(`PagerDuty: ${action} of an event`, answer, clock.now(), ['retry-after'])
}
