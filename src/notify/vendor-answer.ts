import type { OutboundAnswer } from '../foundation/outbound-fetch.ts'
import { DeliveryFailed, type FailureKind } from './connector.ts'

/** JSON of an answer; undefined: it is none. */
export function jsonOf({ body }: OutboundAnswer): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

const MOST_WAIT_MS = 3_600_000

/** When a vendor that wants fewer calls may be asked again, in ms; null: it does not say. Seconds, or an HTTP date. */
export function waitOf({ headers }: OutboundAnswer, now: number, names: readonly string[]): number | null {
  for (const name of names) {
    const text = headers[name]
    if (text === undefined || text === '') continue
    const seconds = Number(text)
    const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(text) - now
    if (Number.isFinite(ms)) return Math.min(Math.max(ms, 0), MOST_WAIT_MS)
  }
  return null
}

/** What a status that is not 2xx means for the message. `what`: without secrets, for operators. */
export function failureOf(what: string, answer: OutboundAnswer, now: number, waitHeaders: readonly string[]): Error {
  const { status } = answer
  const kind = kindOf(status)
  return new DeliveryFailed(
    kind,
    `${what} was answered ${status}`,
    kind === 'retry' ? waitOf(answer, now, waitHeaders) : null,
  )
}

function kindOf(status: number): FailureKind {
  if (status === 401 || status === 402 || status === 403) return 'integration'
  if (status === 404 || status === 410) return 'gone'
  if (status === 408 || status === 409 || status === 425 || status === 429 || status >= 500) return 'retry'
  return 'defect'
}
