import type { DeliveryVerdict } from '../../contract/notify-plane.ts'
import type { Vendor } from '../../contract/vendors/common.ts'
import { OutboundRefused } from '../../foundation/outbound-fetch.ts'
import { DeliveryFailed } from '../connector.ts'

const SECOND = 1000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE

/** Standard Webhooks 1.0.0: what follows the first attempt. */
const WEBHOOK_SCHEDULE = [
  5 * SECOND,
  5 * MINUTE,
  30 * MINUTE,
  2 * HOUR,
  5 * HOUR,
  10 * HOUR,
  14 * HOUR,
  20 * HOUR,
  24 * HOUR,
]
const LONGEST_WAIT = 5 * MINUTE
/** With waits of five minutes: after some eight hours it is a dead letter */
const MOST_ATTEMPTS = 100
/** A vendor that says more than this is believed this much: an operator may retry earlier */
const LONGEST_HOLD = HOUR

/** Milliseconds until the next attempt; null: there is none. `random` in [0, 1) spreads those that failed together. */
export function waitAfter(vendor: Vendor, attempt: number, random: number): number | null {
  const base = vendor === 'webhook' ? WEBHOOK_SCHEDULE[attempt - 1] : chatWait(attempt)
  return base === undefined ? null : Math.round(base * (0.8 + 0.4 * random))
}

const chatWait = (attempt: number): number | undefined =>
  attempt >= MOST_ATTEMPTS ? undefined : Math.min(LONGEST_WAIT, SECOND * 2 ** Math.min(20, attempt - 1))

/** What becomes of an attempt that failed. `why` is shown to operators, at most 500 characters of it. */
export function verdictOf(error: unknown, vendor: Vendor, attempt: number, random: number): DeliveryVerdict {
  const failed = error instanceof DeliveryFailed ? error : new DeliveryFailed(kindOf(error), textOf(error))
  const why = failed.message.slice(0, 500)
  if (failed.kind === 'integration') return { kind: 'trouble', why }
  if (failed.kind === 'gone') return { kind: 'anew', why }
  if (failed.kind !== 'retry') return { kind: 'dead', why, failure: failed.kind }
  // A vendor that asked us to wait has not failed: such attempts do not end in a dead letter.
  if (failed.afterMs !== null && Number.isFinite(failed.afterMs)) {
    const asked = Math.min(LONGEST_HOLD, Math.max(0, failed.afterMs))
    const afterMs = asked + Math.round(random * Math.min(SECOND, asked / 10))
    return { kind: 'later', why, afterMs, asked: true, hold: failed.holds === 'integration' }
  }
  const afterMs = waitAfter(vendor, attempt, random)
  return afterMs === null
    ? { kind: 'dead', why, failure: 'retry' }
    : { kind: 'later', why, afterMs, asked: false, hold: false }
}

/** Where nothing may be connected to, nothing is won by trying again. */
const kindOf = (error: unknown): 'integration' | 'retry' => (error instanceof OutboundRefused ? 'integration' : 'retry')

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
