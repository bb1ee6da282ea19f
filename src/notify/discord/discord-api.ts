import { z } from 'zod'
import type { OutboundAnswer, OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed, type FailureKind } from '../connector.ts'
import { cutText, visibleLine } from '../words/inert-text.ts'

interface ApiParts {
  readonly url: string
  readonly token: string
  readonly fetch: OutboundFetch
}

const Failure = z.object({ code: z.number().optional(), message: z.string().optional() })
const Limited = z.object({ retry_after: z.number().min(0).optional(), global: z.boolean().optional() })

/** Codes that say more than the status. https://discord.com/developers/docs/topics/opcodes-and-status-codes */
const BY_CODE: ReadonlyMap<number, FailureKind> = new Map([
  [10_003, 'destination'], // unknown channel
  [10_004, 'destination'], // unknown server
  [10_008, 'gone'], // unknown message
  [10_013, 'destination'], // unknown user
  [30_046, 'retry'], // too many edits of an old message
  [40_001, 'integration'], // unauthorised
  [40_002, 'integration'], // the account must be verified
  [50_001, 'destination'], // missing access
  [50_005, 'gone'], // a message of somebody else
  [50_007, 'destination'], // takes no direct messages
  [50_013, 'destination'], // missing permissions
  [50_278, 'destination'], // shares no server with them
  [50_083, 'destination'], // archived thread
])

export class DiscordApi {
  readonly #parts: ApiParts

  constructor(parts: ApiParts) {
    this.#parts = parts
  }

  /** `path`: our own text and ids that were checked. Errors: DeliveryFailed. */
  async call(
    method: 'GET' | 'POST' | 'PATCH',
    path: string,
    body: object | null,
    signal: AbortSignal,
  ): Promise<unknown> {
    const { url, token, fetch } = this.#parts
    const answer = await fetch(`${url.replace(/\/+$/, '')}${path}`, {
      method,
      headers: {
        authorization: `Bot ${token}`,
        'user-agent': 'DiscordBot (https://github.com/sallyport, 1)',
        ...(body === null ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === null ? {} : { body: JSON.stringify(body) }),
      signal,
    })
    if (answer.status >= 200 && answer.status < 300) return readJson(answer)
    throw failureOf(answer)
  }
}

function readJson({ body }: OutboundAnswer): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown
  } catch {
    return null
  }
}

export function failureOf(answer: OutboundAnswer): DeliveryFailed {
  const said = readJson(answer)
  const { code, message } = Failure.catch({}).parse(said)
  const text = cutText(
    `Discord answered ${answer.status}${code === undefined ? '' : ` (${code})`}: ${visibleLine(message ?? '')}`,
    300,
  )
  if (answer.status === 429) return new DeliveryFailed('retry', text, waitOf(answer, said))
  const known = code === undefined ? undefined : BY_CODE.get(code)
  if (known !== undefined) return new DeliveryFailed(known, text)
  if (answer.status === 401) return new DeliveryFailed('integration', text)
  if (answer.status === 403 || answer.status === 404) return new DeliveryFailed('destination', text)
  return new DeliveryFailed(answer.status >= 400 && answer.status < 500 ? 'defect' : 'retry', text)
}

/** Seconds with fractions in the body, whole ones in the header; the longer wins. */
function waitOf({ headers }: OutboundAnswer, said: unknown): number {
  const seconds = Limited.catch({}).parse(said).retry_after ?? 1
  const header = Number(headers['retry-after'] ?? '0')
  return Math.ceil(Math.max(seconds, Number.isFinite(header) ? header : 0) * 1000)
}
