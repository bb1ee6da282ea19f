import fc from 'fast-check'
import { expect, test } from 'vitest'
import { bestOf, shiftsNow, standingOfShift, type OnCallEntry } from './shift.ts'

const NOW = 1_800_000_000_000
const HOUR = 3_600_000
const entry = (more: Partial<OnCallEntry> = {}): OnCallEntry => ({
  userId: 'PADA',
  scheduleId: 'PSCHED',
  policyId: 'PPOLICY',
  level: 1,
  start: NOW - HOUR,
  end: NOW + HOUR,
  ...more,
})
const schedule = { schedule: 'PSCHED' } as const
const policy = { escalation_policy: 'PPOLICY', max_level: 1 } as const
const shift = (start: number, end: number) => ({ scheduleId: 'PSCHED', start: NOW + start, end: NOW + end })

test.each<[string, Partial<OnCallEntry>]>([
  ['of somebody else', { userId: 'PBOB' }],
  ['of another schedule', { scheduleId: 'POTHER' }],
  ['that ended', { end: NOW }],
  ['that begins later', { start: NOW + 1 }],
  ['without an end: a permanent member of the policy', { start: null, end: null }],
  ['without a schedule', { scheduleId: null }],
])('trap 27: an entry %s is no shift, whatever PagerDuty was asked for', (_what, more) => {
  expect(shiftsNow([entry(more)], 'PADA', schedule, NOW)).toEqual([])
  expect(shiftsNow([entry()], 'PADA', schedule, NOW)).toHaveLength(1)
})

test('trap 27: of an escalation policy only its first levels count', () => {
  expect(shiftsNow([entry({ level: 3 })], 'PADA', policy, NOW)).toEqual([])
  expect(shiftsNow([entry({ policyId: 'POTHER' })], 'PADA', policy, NOW)).toEqual([])
  expect(shiftsNow([entry({ scheduleId: 'PANY' })], 'PADA', policy, NOW)).toHaveLength(1)
})

test('trap 27: a shift that is an override for the requester is none; one of the past or of others does not matter', () => {
  const own = (start: number, end: number, userId = 'PADA') => ({ userId, start: NOW + start, end: NOW + end })
  expect(standingOfShift(shift(-HOUR, HOUR), [own(-HOUR, HOUR)], 'PADA', NOW)).toMatchObject({ on: false })
  expect(standingOfShift(shift(-HOUR, HOUR), [own(-2 * HOUR, -HOUR)], 'PADA', NOW)).toMatchObject({ on: true })
  expect(standingOfShift(shift(-HOUR, HOUR), [own(-HOUR, HOUR, 'PBOB')], 'PADA', NOW)).toMatchObject({ on: true })
})

test('trap 27: a shift that one prolongs by an override of oneself ends where it would have', () => {
  const prolonged = { userId: 'PADA', start: NOW + HOUR / 2, end: NOW + 9 * HOUR }
  expect(standingOfShift(shift(-HOUR, 9 * HOUR), [prolonged], 'PADA', NOW)).toEqual({
    on: true,
    until: NOW + HOUR / 2,
    account: 'PADA',
  })
})

test('trap 27: within a minute of a shift’s start or end nobody is on call', () => {
  expect(standingOfShift(shift(-59_999, HOUR), [], 'PADA', NOW)).toMatchObject({ on: false })
  expect(standingOfShift(shift(-HOUR, 59_999), [], 'PADA', NOW)).toMatchObject({ on: false })
  expect(standingOfShift(shift(-60_000, 60_000), [], 'PADA', NOW)).toMatchObject({ on: true })
})

test('of several shifts the one that lasts longest counts, and none is none', () => {
  const on = (until: number) => ({ on: true, until, account: 'PADA' }) as const
  expect(bestOf([on(1), { on: false, why: 'x' }, on(3), on(2)])).toEqual(on(3))
  expect(bestOf([])).toMatchObject({ on: false })
})

test('whoever is on call is so by an entry of their own that covers this instant, and never beyond it', () => {
  const time = fc.integer({ min: -3 * HOUR, max: 3 * HOUR })
  const entries = fc.array(
    fc.record({
      userId: fc.constantFrom('PADA', 'PBOB'),
      start: time,
      end: time,
      level: fc.integer({ min: 1, max: 3 }),
    }),
    { maxLength: 6 },
  )
  const overrides = fc.array(fc.record({ userId: fc.constantFrom('PADA', 'PBOB'), start: time, end: time }), {
    maxLength: 3,
  })
  fc.assert(
    fc.property(entries, overrides, (some, over) => {
      const at = <T extends { start: number; end: number }>(each: T) => ({
        ...each,
        start: NOW + each.start,
        end: NOW + each.end,
      })
      const listed = some.map((each) => entry(at(each)))
      const facts = shiftsNow(listed, 'PADA', schedule, NOW).map((each) =>
        standingOfShift(each, over.map(at), 'PADA', NOW),
      )
      const best = bestOf(facts)
      if (!('on' in best) || !best.on) return
      const own = listed.filter(
        ({ userId, start, end }) => userId === 'PADA' && (start ?? 0) <= NOW && NOW < (end ?? 0),
      )
      expect(own.some(({ end }) => best.until <= (end ?? 0))).toBe(true)
      expect(over.map(at).some(({ userId, start, end }) => userId === 'PADA' && start <= NOW && NOW < end)).toBe(false)
    }),
  )
})
