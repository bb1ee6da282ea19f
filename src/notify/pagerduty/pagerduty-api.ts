import type { z } from 'zod'
import type { Clock } from '../../foundation/clock.ts'
import type { OutboundAnswer, OutboundFetch } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'
import { failureOf, jsonOf } from '../vendor-answer.ts'

export interface ApiParts {
  readonly fetch: OutboundFetch
  readonly clock: Clock
  /** Of the REST API; links inside of answers are never called */
  readonly url: string
  readonly token: string
  /** Mail address in whose name incidents and notes are made */
  readonly from: string | undefined
}

export type Query = readonly (readonly [name: string, value: string])[]

/** Lists end where the API's own paging does. */
const PAGE = 100
const MOST_PAGES = 100
const WAIT_HEADERS = ['retry-after', 'ratelimit-reset'] as const

export interface Answered<T> {
  readonly value: T
  /** PagerDuty's clock, ms since the epoch; null: it did not say */
  readonly date: number | null
}

/** The REST API of one account. */
export class PagerDutyApi {
  readonly #parts: ApiParts

  constructor(parts: ApiParts) {
    this.#parts = parts
  }

  /** Errors: DeliveryFailed. `ok`: statuses besides 2xx that the caller deals with. */
  async send(
    method: string,
    path: string,
    { query = [], body, signal, ok = [] }: SendOptions,
  ): Promise<{ readonly answer: OutboundAnswer; readonly json: unknown }> {
    const { fetch, clock, url, token, from } = this.#parts
    const text = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
    const answer = await fetch(`${url}${path}${text === '' ? '' : `?${text}`}`, {
      method,
      headers: {
        authorization: `Token token=${token}`,
        accept: 'application/vnd.pagerduty+json;version=2',
        'content-type': 'application/json',
        ...(from !== undefined && method !== 'GET' ? { from } : {}),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
    })
    const isFine = (answer.status >= 200 && answer.status < 300) || ok.includes(answer.status)
    if (!isFine) throw failureOf(`PagerDuty: ${method} ${path}`, answer, clock.now(), WAIT_HEADERS)
    return { answer, json: jsonOf(answer) }
  }

  async get<S extends z.ZodType>(
    path: string,
    shape: S,
    query: Query,
    signal: AbortSignal,
  ): Promise<Answered<z.output<S>>> {
    const { answer, json } = await this.send('GET', path, { query, signal })
    const parsed = shape.safeParse(json)
    if (!parsed.success) throw new DeliveryFailed('retry', `PagerDuty: GET ${path} answered something else`)
    const date = Date.parse(answer.headers['date'] ?? '')
    return { value: parsed.data, date: Number.isNaN(date) ? null : date }
  }

  /** Every page of a list, or an error: half a list is none. */
  async list<T>(path: string, shape: z.ZodType<Page<T>>, query: Query, signal: AbortSignal): Promise<Answered<T[]>> {
    const items: T[] = []
    for (let page = 0; page < MOST_PAGES; page++) {
      const paged: Query = [...query, ['limit', String(PAGE)], ['offset', String(items.length)]]
      const { value, date } = await this.get(path, shape, paged, signal)
      items.push(...value.items)
      if (!value.more) return { value: items, date }
      if (value.items.length === 0) break
    }
    throw new DeliveryFailed('retry', `PagerDuty: ${path} could not be read to its end`)
  }
}

export interface Page<T> {
  readonly items: T[]
  readonly more: boolean
}

interface SendOptions {
  readonly query?: Query
  readonly body?: unknown
  readonly signal: AbortSignal
  readonly ok?: readonly number[]
}
