import { z } from 'zod'
import { OutboundRefused, type OutboundAnswer, type OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { failureOf } from './error-table.ts'

/** All that is ever called, and with whose token. */
export type SlackMethod =
  | 'auth.test'
  | 'chat.postMessage'
  | 'chat.update'
  | 'chat.postEphemeral'
  | 'conversations.open'
  | 'conversations.info'
  | 'conversations.members'
  | 'conversations.history'
  | 'conversations.replies'
  | 'users.list'
  | 'views.open'
  | 'apps.connections.open'

export type SlackArguments = Readonly<Record<string, string | number | boolean | object | undefined>>

const Answer = z.looseObject({
  ok: z.boolean(),
  error: z.string().optional(),
  needed: z.string().optional(),
  response_metadata: z.looseObject({ messages: z.array(z.string()).optional() }).optional(),
})

export interface WebApiParts {
  readonly fetch: OutboundFetch
  /** Ends with `/` */
  readonly apiUrl: string
  readonly token: string
}

/** One call is one POST: nothing is repeated here, so nothing is said twice; methods are names, never addresses. */
export class SlackWebApi {
  readonly #parts: WebApiParts

  constructor(parts: WebApiParts) {
    this.#parts = parts
  }

  /** The answer where Slack says ok. Errors: DeliveryFailed. */
  async call(method: SlackMethod, args: SlackArguments, signal: AbortSignal): Promise<Record<string, unknown>> {
    return (await this.#call(method, args, signal)).said
  }

  /** The same of auth.test, with the scopes that the token has; null: Slack did not say. */
  async test(signal: AbortSignal): Promise<{ said: Record<string, unknown>; scopes: ReadonlySet<string> | null }> {
    const { said, headers } = await this.#call('auth.test', {}, signal)
    const list = headers['x-oauth-scopes']
    return { said, scopes: list === undefined ? null : new Set(list.split(',').map((scope) => scope.trim())) }
  }

  async #call(
    method: SlackMethod,
    args: SlackArguments,
    signal: AbortSignal,
  ): Promise<{ said: Record<string, unknown>; headers: OutboundAnswer['headers'] }> {
    const answer = await this.#post(method, args, signal)
    if (answer.status === 429) throw tooMany(method, answer)
    if (answer.status >= 500) throw new DeliveryFailed('retry', `Slack answered ${method} with HTTP ${answer.status}`)
    const parsed = Answer.safeParse(jsonOf(answer))
    if (!parsed.success) throw unreadable(method, answer.status)
    const { ok, error, needed, response_metadata: metadata } = parsed.data
    if (ok) return { said: parsed.data, headers: answer.headers }
    throw failureOf(method, error ?? 'no error code', [
      ...(needed === undefined ? [] : [`needs the scope ${needed}`]),
      ...(metadata?.messages ?? []),
    ])
  }

  async #post(method: SlackMethod, args: SlackArguments, signal: AbortSignal): Promise<OutboundAnswer> {
    const { fetch, apiUrl, token } = this.#parts
    try {
      return await fetch(`${apiUrl}${method}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
          accept: 'application/json',
        },
        body: formOf(args),
        signal,
      })
    } catch (error) {
      const kind = error instanceof OutboundRefused ? 'integration' : 'retry'
      throw new DeliveryFailed(kind, `Slack cannot be reached for ${method}: ${textOf(error)}`)
    }
  }
}

/** Values that are not scalars go as JSON inside the form, as Slack describes it. */
function formOf(args: SlackArguments): string {
  const form = new URLSearchParams()
  for (const [name, value] of Object.entries(args)) {
    if (value === undefined) continue
    form.append(name, typeof value === 'object' ? JSON.stringify(value) : String(value))
  }
  return form.toString()
}

function tooMany(method: SlackMethod, answer: OutboundAnswer): DeliveryFailed {
  const seconds = Number(answer.headers['retry-after'])
  const wait = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 30_000
  return new DeliveryFailed('retry', `Slack takes no more ${method} for ${Math.round(wait / 1000)} s`, wait)
}

/** A page that is no JSON: a proxy, or an address that is not Slack's. */
function unreadable(method: SlackMethod, status: number): DeliveryFailed {
  const kind = status >= 300 && status < 400 ? 'integration' : 'retry'
  return new DeliveryFailed(kind, `What answered ${method} with HTTP ${status} is not Slack's Web API`)
}

function jsonOf(answer: OutboundAnswer): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(answer.body)) as unknown
  } catch {
    return null
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 200)
