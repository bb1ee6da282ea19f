import { describe, expect, test } from 'vitest'
import { Schedule } from '../contract/review-rule.ts'
import { isWithin, localTime, zoneProblem } from './schedule.ts'

const at = (iso: string): number => Date.parse(iso)

describe('office hours in Paris', () => {
  const office = Schedule.parse({ days: ['mon', 'tue'], from: '09:00', to: '17:30', zone: 'Europe/Paris' })
  test.each([
    ['2026-11-23T08:00:00Z', true, 'Monday 09:00 in winter'],
    ['2026-11-23T07:59:59Z', false, 'a second before'],
    ['2026-11-23T16:29:59Z', true, 'the last second'],
    ['2026-11-23T16:30:00Z', false, 'the end is outside'],
    ['2026-06-22T07:00:00Z', true, 'Monday 09:00 in summer'],
    ['2026-11-25T10:00:00Z', false, 'a Wednesday'],
    ['2026-11-22T23:30:00Z', false, 'Monday there, Sunday in UTC, but night'],
  ])('%s is %s: %s', (iso, expected) => {
    expect(isWithin(office, at(iso))).toBe(expected)
  })
})

describe('a night belongs to the day on which it began', () => {
  const night = Schedule.parse({ days: ['fri'], from: '22:00', to: '06:00' })
  test.each([
    ['2026-11-27T22:00:00Z', true],
    ['2026-11-28T05:59:00Z', true],
    ['2026-11-28T06:00:00Z', false],
    ['2026-11-27T05:00:00Z', false],
    ['2026-11-28T22:30:00Z', false],
  ])('%s is %s', (iso, expected) => {
    expect(isWithin(night, at(iso))).toBe(expected)
  })
})

test('without times the whole of its days', () => {
  const weekend = Schedule.parse({ days: ['sat', 'sun'], zone: 'America/New_York' })
  expect(isWithin(weekend, at('2026-11-28T05:00:00Z'))).toBe(true)
  expect(isWithin(weekend, at('2026-11-28T04:59:59Z'))).toBe(false)
  expect(isWithin(weekend, at('2026-11-30T04:59:59Z'))).toBe(true)
  expect(isWithin(weekend, at('2026-11-30T05:00:00Z'))).toBe(false)
})

test('an hour that spring skips never is, and one that autumn repeats is twice', () => {
  const hour = Schedule.parse({ from: '02:00', to: '03:00', zone: 'Europe/Paris' })
  const within = (day: string): number =>
    Array.from({ length: 24 * 60 }, (_, minute) => isWithin(hour, at(day) + minute * 60_000)).filter(Boolean).length
  expect(within('2026-03-28T23:00:00Z')).toBe(0)
  expect(within('2026-10-24T22:00:00Z')).toBe(120)
  expect(within('2026-06-01T22:00:00Z')).toBe(60)
})

test('midnight is hour 0, and what is no zone is told', () => {
  expect(localTime(at('2026-11-23T00:00:00Z'), 'UTC')).toEqual({
    date: '2026-11-23',
    weekday: 'mon',
    hour: 0,
    minute: 0,
  })
  expect(zoneProblem('Europe/Paris')).toBeNull()
  for (const zone of ['Paris', '', 'Europe/../Paris', '\n']) expect(zoneProblem(zone)).toContain('is no time zone')
})
