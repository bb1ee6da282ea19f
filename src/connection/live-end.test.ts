import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ManualClock } from '../../test/support/manual-clock.ts'
import { dueEnd, LiveEnd, type EndFacts, type EndReason } from './live-end.ts'

const FACTS: EndFacts = { endsAt: 10_000, endText: 'over', budgetEnd: 5000, idleMs: 2000, offlineGraceMs: 60_000 }
const NOW = { wall: 0, monotonic: 0, lastActive: 0, silentFor: 0 }

test.each([
  ['nothing is due yet', {}, null],
  ['the wall clock reached the end', { wall: 10_000 }, 'expired'],
  [
    'the wall clock was set back, but the budget is used up',
    { wall: -99_999, monotonic: 5000, lastActive: 5000 },
    'expired',
  ],
  ['the wall clock was set forward', { wall: 99_999_999 }, 'expired'],
  ['nothing was done for the idle time', { monotonic: 2000 }, 'idle'],
  ['something was done in time', { monotonic: 2000, lastActive: 1 }, null],
  ['the control side is silent for the grace', { silentFor: 60_000 }, null],
  ['the control side is silent for longer', { silentFor: 60_001 }, 'offline'],
])('%s', (_what, change, reason) => {
  expect(dueEnd(FACTS, { ...NOW, ...change })?.reason ?? null).toBe(reason)
})

test('a grace of 0 waits until three beats are missing, because one may be late', () => {
  const facts = { ...FACTS, offlineGraceMs: 0 }
  expect(dueEnd(facts, { ...NOW, silentFor: 3000 })).toBeNull()
  expect(dueEnd(facts, { ...NOW, silentFor: 3001 })?.reason).toBe('offline')
})

test('no clock, whatever it says, lets a session live past both its ends', () => {
  fc.assert(
    fc.property(fc.integer(), fc.integer({ min: 0 }), fc.nat(), (wall, monotonic, silentFor) => {
      const end = dueEnd(FACTS, { wall, monotonic, lastActive: monotonic, silentFor })
      if (wall >= 10_000 || monotonic >= 5000) expect(end?.reason).toBe('expired')
    }),
  )
})

function start(change: Partial<ConstructorParameters<typeof LiveEnd>[0]> = {}) {
  const clock = new ManualClock(0)
  const ends: EndReason[] = []
  let silence = 0
  const liveEnd = new LiveEnd({
    clock,
    endsAt: 10_000,
    endText: 'over',
    budgetMs: 10_000,
    idleMs: null,
    offlineGraceMs: 60_000,
    silentFor: () => silence,
    onEnd: (reason) => ends.push(reason),
    ...change,
  })
  liveEnd.start()
  return { clock, ends, liveEnd, setSilence: (ms: number) => (silence = ms) }
}

test('the end comes at its millisecond, once', () => {
  const { clock, ends } = start()
  clock.advance(9999)
  expect(ends).toEqual([])
  clock.advance(1)
  clock.advance(100_000)
  expect(ends).toEqual([{ reason: 'expired', text: 'over' }])
})

test('an end that moves out is obeyed, and so is one that moves in', () => {
  const { clock, ends, liveEnd } = start()
  clock.advance(9000)
  liveEnd.move(20_000, 11_000, 'over later')
  clock.advance(5000)
  expect(ends).toEqual([])
  liveEnd.move(15_000, 1000, 'over now')
  clock.advance(1000)
  expect(ends).toEqual([{ reason: 'expired', text: 'over now' }])
})

test('work puts off the idle end', () => {
  const { clock, ends, liveEnd } = start({ endsAt: null, budgetMs: null, idleMs: 3000 })
  for (let i = 0; i < 10; i++) {
    clock.advance(2000)
    liveEnd.active()
  }
  expect(ends).toEqual([])
  clock.advance(4000)
  expect(ends[0]?.text).toContain('3 seconds')
})

test('silence of the control side is noticed within a second', () => {
  const { clock, ends, setSilence } = start({ endsAt: null, budgetMs: null })
  clock.advance(5000)
  setSilence(60_001)
  clock.advance(1000)
  expect(ends[0]?.reason).toBe('offline')
})

test('after the stop nothing ends any more', () => {
  const { clock, ends, liveEnd } = start()
  liveEnd.stop()
  liveEnd.move(0, 0, '')
  clock.advance(100_000)
  expect(ends).toEqual([])
})
