import { WEEKDAYS, type Schedule, type Weekday } from '../contract/review-rule.ts'

/** What the clock on the wall of a zone shows. */
export interface LocalTime {
  /** `2026-11-23` */
  readonly date: string
  readonly weekday: Weekday
  readonly hour: number
  readonly minute: number
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** Null, or why the text names no zone. */
export function zoneProblem(zone: string): string | null {
  try {
    formatOf(zone)
    return null
  } catch {
    return `"${zone}" is no time zone; write a name like Europe/Paris, or UTC`
  }
}

function formatOf(zone: string): Intl.DateTimeFormat {
  const known = formats.get(zone)
  if (known) return known
  const fresh = new Intl.DateTimeFormat('en-US', {
    timeZone: zone,
    hourCycle: 'h23',
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
  })
  formats.set(zone, fresh)
  return fresh
}

/** Errors: RangeError for an unknown zone (refused when it was written). */
export function localTime(now: number, zone: string): LocalTime {
  const parts = formatOf(zone).formatToParts(now)
  const part = (name: string): string => parts.find(({ type }) => type === name)?.value ?? ''
  const weekday = WEEKDAYS.find((day) => day === part('weekday').toLowerCase())
  if (!weekday) throw new RangeError(`no weekday for ${now} in ${zone}`)
  return {
    date: `${part('year')}-${part('month')}-${part('day')}`,
    weekday,
    hour: Number(part('hour')),
    minute: Number(part('minute')),
  }
}

/** From `from` on and before `to`, by the wall clock: an hour that is skipped in spring never is, one repeated is twice. */
export function isWithin(schedule: Schedule, now: number): boolean {
  const { weekday, hour, minute } = localTime(now, schedule.zone)
  const at = hour * 60 + minute
  const from = minutesOf(schedule.from)
  const to = minutesOf(schedule.to)
  const today = schedule.days.includes(weekday)
  if (from < to) return today && from <= at && at < to
  // Past midnight: the evening belongs to its own day, the morning to the day before.
  return (today && at >= from) || (schedule.days.includes(dayBefore(weekday)) && at < to)
}

function minutesOf(text: string): number {
  const [hours, minutes] = text.split(':')
  return Number(hours) * 60 + Number(minutes)
}

const dayBefore = (day: Weekday): Weekday => WEEKDAYS[(WEEKDAYS.indexOf(day) + 6) % 7] ?? day
