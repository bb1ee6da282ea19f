import { z } from 'zod'
import type { Clock } from '../../foundation/clock.ts'
import type { OutboundAnswer, OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { jsonOf, waitOf } from '../vendor-answer.ts'
import { visibleLine } from '../words/inert-text.ts'

export interface ApiParts {
  readonly url: string
  readonly token: string
  readonly fetch: OutboundFetch
  readonly clock: Clock
}

/** A call that the server refused. `id`: its own name of the reason, `api.context.permissions.app_error`. */
export class MattermostRefused extends Error {
  override readonly name = 'MattermostRefused'
  readonly status: number
  readonly id: string
  readonly afterMs: number | null

  constructor(what: string, status: number, id: string, afterMs: number | null) {
    super(`${what} was answered ${status}${id === '' ? '' : ` (${id})`}`)
    this.status = status
    this.id = id
    this.afterMs = afterMs
  }
}

const ErrorBody = z.object({ id: z.string() })
/** Seconds until calls are taken again; the server's rate limit sends the second */
const WAIT_HEADERS = ['retry-after', 'x-ratelimit-reset'] as const

/** API v4 of one server, as one bot. Nothing is retried here. */
export class MattermostApi {
  readonly #parts: ApiParts

  constructor(parts: ApiParts) {
    this.#parts = parts
  }

  /** `path`: `/posts`. Errors: MattermostRefused; whatever the network does is thrown as it comes. */
  async call(method: 'GET' | 'POST' | 'PUT', path: string, body: unknown, signal: AbortSignal): Promise<unknown> {
    const { url, token, fetch, clock } = this.#parts
    const answer = await fetch(`${url}/api/v4${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, accept: 'application/json', 'content-type': 'application/json' },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
      signal,
    })
    if (answer.status >= 200 && answer.status < 300) return jsonOf(answer)
    const what = `${method} ${path.replace(/[a-z0-9]{26}/g, '…').replace(/\?.*$/, '')}`
    throw new MattermostRefused(what, answer.status, reasonOf(answer), waitOf(answer, clock.now(), WAIT_HEADERS))
  }
}

/** The name of the reason and no word of the message, which may repeat what was sent. */
function reasonOf(answer: OutboundAnswer): string {
  const body = ErrorBody.safeParse(jsonOf(answer))
  return body.success ? visibleLine(body.data.id).slice(0, 120) : ''
}

/** Where a post cannot go, though others can. */
const DESTINATIONS = [
  'api.post.create_post.can_not_post_to_deleted.error',
  'api.post.create_post.town_square_read_only',
  'api.channel.create_direct_channel.invalid_user.app_error',
] as const

/** What a refusal means for a message that was to be posted. */
export function asDeliveryFailure(error: unknown): unknown {
  if (!(error instanceof MattermostRefused)) return error
  const { status, id, message, afterMs } = error
  // Counted for each user, whatever it calls: nothing of the bot goes on.
  if (status === 429) return new DeliveryFailed('retry', message, afterMs, { taken: 'no', holds: 'integration' })
  if (status === 408 || status >= 500) return new DeliveryFailed('retry', message, afterMs, { taken: 'unknown' })
  if (status === 401) return new DeliveryFailed('integration', `${message}: the bot token is not taken`)
  if (status === 403 || status === 404 || DESTINATIONS.some((known) => known === id))
    return new DeliveryFailed('destination', `${message}: the bot cannot post there`)
  return new DeliveryFailed('defect', message)
}
