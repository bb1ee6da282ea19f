import { formatDuration, parseDuration } from '../../contract/duration.ts'
import type { Start } from '../../contract/request.ts'
import { LIMITS } from '../limits.ts'

const DAY = 86_400_000

type ReadStart = { readonly ok: true; readonly start: Start } | { readonly ok: false; readonly message: string }

/**
 * When access is wanted, as it is typed in chat: nothing (at the approval), `first-use`, `+2h`, `18:00` (the next one), or a day
 * and a time. Nobody's time zone is known here: a time without one is UTC, and the answer says so. Pure.
 */
export function readStart(text: string, now: number): ReadStart {
  const typed = text.trim().replace(/\s+/gu, ' ')
  const word = typed.toLowerCase().replace(' ', '-')
  if (typed === '' || word === 'approval' || word === 'now') return { ok: true, start: { at: 'approval' } }
  if (word === 'first-use') return { ok: true, start: { at: 'first-use' } }
  const instant = typed.startsWith('+') ? after(typed.slice(1), now) : (onDay(typed) ?? nextTime(typed, now))
  if (instant === null)
    return wrong(
      `"${[...typed].slice(0, 40).join('')}" is no start: write 18:00 UTC, 2026-11-23 18:00 UTC, +2h or first-use`,
    )
  if (instant <= now) return wrong('that start is over already; leave it out to start at the approval')
  if (instant - now > LIMITS.startAheadMs)
    return wrong(`a start is at most ${formatDuration(LIMITS.startAheadMs)} ahead`)
  return { ok: true, start: { at: 'instant', instant } }
}

function after(text: string, now: number): number | null {
  const parsed = parseDuration(text.replace(/\s/g, '').toLowerCase())
  return parsed.ok ? now + parsed.ms : null
}

const ZONE = String.raw`(?: ?(?:utc|gmt|z|([+-]\d\d):?(\d\d)?))?`
const TIME = String.raw`(\d{1,2}):(\d\d)`
const ON_DAY = new RegExp(String.raw`^(\d{4}-\d\d-\d\d)[ t]${TIME}${ZONE}$`, 'i')
const AT_TIME = new RegExp(`^${TIME}${ZONE}$`, 'i')

function onDay(text: string): number | null {
  const [, day = '', ...rest] = ON_DAY.exec(text) ?? []
  const midnight = Date.parse(`${day}T00:00:00Z`)
  const time = timeOf(rest)
  // What Date makes of 31 February is another day.
  if (time === null || Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return null
  return midnight + time
}

function nextTime(text: string, now: number): number | null {
  const time = timeOf((AT_TIME.exec(text) ?? []).slice(1))
  if (time === null) return null
  const today = now - (now % DAY) + time
  return today + DAY * Math.ceil((now - today + 1) / DAY)
}

/** Milliseconds after midnight UTC; null: there is no such time. */
function timeOf([hours, minutes, zoneHours, zoneMinutes]: readonly (string | undefined)[]): number | null {
  if (hours === undefined || minutes === undefined) return null
  const [h, m, zh, zm] = [hours, minutes, zoneHours ?? '0', zoneMinutes ?? '0'].map(Number)
  if (h === undefined || m === undefined || zh === undefined || zm === undefined) return null
  if (h > 23 || m > 59 || Math.abs(zh) > 14 || zm > 59) return null
  const offset = Math.abs(zh) * 60 + zm
  return (h * 60 + m - (zoneHours?.startsWith('-') ? -offset : offset)) * 60_000
}

const wrong = (message: string): ReadStart => ({ ok: false, message })
