import { WEEKDAYS, type TimeWindow, type Weekday } from '../contract/time-window.ts'

// When a window of the week is open, by the wall clock of its zone: what summer time skips or repeats is skipped or repeated.
// Pure; the zone's rules are those that the runtime carries.

const MINUTE = 60_000
const DAY = 86_400_000
/** Eight days hold every weekly window once, whatever summer time does. */
const DAYS_AHEAD = 8
const DAY_MINUTES = 1440

interface WallTime {
  readonly day: Weekday
  /** Of the day */
  readonly minute: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known) return known
  const fields = { weekday: 'short', year: 'numeric', month: '2-digit', day: '2-digit' } as const
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    ...fields,
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  formats.set(zone, format)
  return format
}

function partsOf(zone: string, at: number): Record<string, string> {
  const parts = formatOf(zone).formatToParts(at)
  return Object.fromEntries(parts.map(({ type, value }) => [type, value]))
}

function wallTime(zone: string, at: number): WallTime {
  const { weekday = '', hour = '0', minute = '0' } = partsOf(zone, at)
  const day = WEEKDAYS.find((each) => each === weekday.toLowerCase()) ?? 'mon'
  return { day, minute: Number(hour) * 60 + Number(minute) }
}

/** What the clock on the wall of a zone shows; `date` as in 2026-11-23. */
export interface LocalTime {
  readonly date: string
  readonly weekday: Weekday
  readonly hour: number
  readonly minute: number
}

/** Errors: RangeError for what is no zone. */
export function localTime(zone: string, at: number): LocalTime {
  const { year = '', month = '', day = '' } = partsOf(zone, at)
  const { day: weekday, minute } = wallTime(zone, at)
  return { date: `${year}-${month}-${day}`, weekday, hour: Math.floor(minute / 60), minute: minute % 60 }
}

const minutesOf = (text: string): number => Number(text.slice(0, 2)) * 60 + Number(text.slice(3))

/** Open from the first millisecond of `from` up to the last before `to`. One that passes midnight belongs to the day it opens on. */
export function windowIsOpen(window: TimeWindow, at: number): boolean {
  const { day, minute } = wallTime(window.zone, at)
  const [from, to] = [minutesOf(window.from), minutesOf(window.to)]
  const opens = (on: Weekday): boolean => window.days?.includes(on) ?? true
  if (from < to) return opens(day) && minute >= from && minute < to
  const yesterday = WEEKDAYS[(WEEKDAYS.indexOf(day) + 6) % 7] ?? day
  return (opens(day) && minute >= from) || (opens(yesterday) && minute < to)
}

/** The first instant from `at` on at which it is open: `at` itself when it is open now. */
export function nextOpening(window: TimeWindow, at: number): number {
  if (windowIsOpen(window, at)) return at
  for (let ahead = 0; ahead <= DAYS_AHEAD; ahead++) {
    for (const candidate of opensOn(window, at + ahead * DAY)) {
      if (candidate > at && windowIsOpen(window, candidate)) return beginningOf(window, candidate, at)
    }
  }
  return nextMinute(window, at)
}

/** Where summer time skips `from`, it opened with the first minute after the skipped hour. */
function beginningOf(window: TimeWindow, open: number, after: number): number {
  let begins = open
  while (begins - MINUTE > after && windowIsOpen(window, begins - MINUTE)) begins -= MINUTE
  return begins
}

/** Instants at which the wall clock shows `from` on the local date of `at`: none to two, as summer time has it. */
function opensOn({ zone, from }: TimeWindow, at: number): number[] {
  const { year = '1970', month = '1', day = '1' } = partsOf(zone, at)
  const wanted = Date.UTC(Number(year), Number(month) - 1, Number(day)) + minutesOf(from) * MINUTE
  const offsets = [wanted - DAY / 2, wanted, wanted + DAY / 2].map((near) => offsetAt(zone, near))
  return [...new Set(offsets)].map((offset) => wanted - offset).sort((a, b) => a - b)
}

/** Milliseconds by which the zone's wall clock is ahead of UTC. */
function offsetAt(zone: string, at: number): number {
  const { year = '1970', month = '1', day = '1', hour = '0', minute = '0' } = partsOf(zone, at)
  const shown = Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour), Number(minute))
  return shown - Math.floor(at / MINUTE) * MINUTE
}

/** Minute by minute, should no day have brought an opening: zones have skipped whole days before. */
function nextMinute(window: TimeWindow, at: number): number {
  const first = Math.floor(at / MINUTE) * MINUTE + MINUTE
  for (let minute = 0; minute <= DAYS_AHEAD * DAY_MINUTES; minute++) {
    if (windowIsOpen(window, first + minute * MINUTE)) return first + minute * MINUTE
  }
  return Number.MAX_SAFE_INTEGER
}

/** Of several windows one is enough. */
export const windowsAreOpen = (windows: readonly TimeWindow[], at: number): boolean =>
  windows.some((window) => windowIsOpen(window, at))

export const nextOpeningOf = (windows: readonly TimeWindow[], at: number): number =>
  Math.min(...windows.map((window) => nextOpening(window, at)))

/** `mon, tue 09:00-18:00 Europe/Berlin`. */
export function windowText({ days, from, to, zone }: TimeWindow): string {
  const on = days && days.length < 7 ? WEEKDAYS.filter((day) => days.includes(day)).join(', ') : 'every day'
  return `${on} ${from}-${to} ${zone}`
}

/** `mon 2026-11-23 09:00 Europe/Berlin`. */
export function zonedText(zone: string, at: number): string {
  const { weekday = '', year = '', month = '', day = '', hour = '', minute = '' } = partsOf(zone, at)
  return `${weekday.toLowerCase()} ${year}-${month}-${day} ${hour}:${minute} ${zone}`
}
