import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TimeWindow } from '../contract/time-window.ts'
import { localTime, nextOpening, windowIsOpen, windowText, zonedText } from './time-window.ts'

const windowOf = (input: object): TimeWindow => TimeWindow.parse(input)
const at = (text: string): number => Date.parse(text)
const office = windowOf({
  days: ['mon', 'tue', 'wed', 'thu', 'fri'],
  from: '09:00',
  to: '18:00',
  zone: 'Europe/Berlin',
})

describe('a window of the week', () => {
  test.each([
    ['2026-11-23T07:59:59.999Z', false, 'the last millisecond before nine in Berlin, a Monday'],
    ['2026-11-23T08:00:00.000Z', true, 'nine'],
    ['2026-11-23T16:59:59.999Z', true, 'the last millisecond before six'],
    ['2026-11-23T17:00:00.000Z', false, 'six'],
    ['2026-11-22T12:00:00.000Z', false, 'Sunday noon'],
    ['2026-07-20T07:00:00.000Z', true, 'nine in summer'],
    ['2026-07-20T06:59:00.000Z', false, 'before nine in summer'],
  ])('%s: %s (%s)', (instant, open) => {
    expect(windowIsOpen(office, at(instant))).toBe(open)
  })
  test('one that passes midnight belongs to the day on which it opens', () => {
    const night = windowOf({ days: ['fri'], from: '22:00', to: '06:00', zone: 'UTC' })
    expect(windowIsOpen(night, at('2026-11-20T22:00Z'))).toBe(true)
    expect(windowIsOpen(night, at('2026-11-21T05:59Z'))).toBe(true)
    expect(windowIsOpen(night, at('2026-11-21T06:00Z'))).toBe(false)
    expect(windowIsOpen(night, at('2026-11-20T05:00Z'))).toBe(false)
    expect(windowIsOpen(night, at('2026-11-21T23:00Z'))).toBe(false)
  })
  test('days and hours left out are always', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e12 }), (now) => windowIsOpen(windowOf({}), now)),
      { numRuns: 50 },
    )
  })
  test('says itself in words', () => {
    expect(windowText(office)).toBe('mon, tue, wed, thu, fri 09:00-18:00 Europe/Berlin')
    expect(windowText(windowOf({}))).toBe('every day 00:00-24:00 UTC')
    expect(zonedText('Europe/Berlin', at('2026-11-23T08:00Z'))).toBe('mon 2026-11-23 09:00 Europe/Berlin')
  })
})

describe('the next opening', () => {
  test.each([
    ['2026-11-20T17:00Z', '2026-11-23T08:00Z', 'Friday six to Monday nine'],
    ['2026-11-23T03:00Z', '2026-11-23T08:00Z', 'the same day'],
    ['2026-11-23T10:00Z', '2026-11-23T10:00Z', 'open now'],
    ['2026-03-27T18:00Z', '2026-03-30T07:00Z', 'over the weekend on which summer time begins'],
    ['2026-10-23T18:00Z', '2026-10-26T08:00Z', 'over the weekend on which it ends'],
  ])('from %s is %s (%s)', (now, expected) => {
    expect(new Date(nextOpening(office, at(now))).toISOString()).toBe(new Date(at(expected)).toISOString())
  })
  test('an opening that summer time skips is the first minute after it', () => {
    const skipped = windowOf({ days: ['sun'], from: '02:30', to: '05:00', zone: 'Europe/Berlin' })
    expect(new Date(nextOpening(skipped, at('2026-03-28T12:00Z'))).toISOString()).toBe('2026-03-29T01:00:00.000Z')
  })
  test('an hour that is repeated opens twice', () => {
    const twice = windowOf({ days: ['sun'], from: '02:00', to: '02:30', zone: 'Europe/Berlin' })
    expect(new Date(nextOpening(twice, at('2026-10-24T12:00Z'))).toISOString()).toBe('2026-10-25T00:00:00.000Z')
    expect(new Date(nextOpening(twice, at('2026-10-25T00:30Z'))).toISOString()).toBe('2026-10-25T01:00:00.000Z')
  })
  test('is open, and nothing between is, in zones of every kind', () => {
    const clockTime = fc
      .nat(1439)
      .map((m) => `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`)
    const aWindow = fc
      .record({
        days: fc.subarray(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], { minLength: 1 }),
        from: clockTime,
        to: clockTime,
        zone: fc.constantFrom(
          'UTC',
          'Europe/Berlin',
          'America/St_Johns',
          'Asia/Kathmandu',
          'Australia/Lord_Howe',
          'Pacific/Apia',
        ),
      })
      .filter(({ from, to }) => from !== to)
    const start = at('2026-01-01T00:00Z')
    fc.assert(
      fc.property(aWindow, fc.nat(365 * 1440), fc.nat(), (input, minutes, probe) => {
        const window = windowOf(input)
        const now = start + minutes * 60_000
        const next = nextOpening(window, now)
        const between = now + (next > now ? probe % (next - now) : 0)
        return windowIsOpen(window, next) && (next === now || !windowIsOpen(window, between))
      }),
      { numRuns: 200 },
    )
  })
})

test.each([
  [{ from: '9:00' }, 'a time of day'],
  [{ from: '25:00' }, 'a time of day'],
  [{ to: '24:01' }, 'a time of day'],
  [{ from: '24:00', to: '06:00' }, 'write 00:00'],
  [{ from: '09:00', to: '09:00' }, 'no time'],
  [{ zone: 'Europe/Bonn' }, 'no time zone'],
  [{ zone: '+01:00' }, 'no time zone'],
  [{ zone: '' }, 'no time zone'],
  [{ days: [] }, 'Too small'],
  [{ days: ['monday'] }, 'Invalid option'],
  [{ until: '18:00' }, 'Unrecognized key'],
])('%j is refused: %s', (input, why) => {
  const parsed = TimeWindow.safeParse(input)
  expect(parsed.success ? '' : parsed.error.message).toContain(why)
})

test('the wall clock of a zone: midnight is hour 0, of the day that begins', () => {
  expect(localTime('Europe/Paris', Date.UTC(2026, 10, 22, 23, 0))).toEqual({
    date: '2026-11-23',
    weekday: 'mon',
    hour: 0,
    minute: 0,
  })
})
